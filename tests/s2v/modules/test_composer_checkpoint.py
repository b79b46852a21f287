"""What goes into a composer's fit and comes out of it."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from callbacks.generator_ema import GeneratorEMA
from s2v.errors import InputError
from s2v.modules.composer import ComposerModule, LossWeights
from s2v.modules.face_teacher import FaceTeacher
from tests.s2v.modules.small_faces import FRAMES, SmallFaces, draw_clip, trainer
from tests.s2v.modules.small_modules import (
    COMPOSER,
    IDENTITY_TEACHER,
    assert_same,
    composer,
    configured,
    distill,
    network,
)

DATA = {"clips": 2, "batch_size": 2, "pictures": 2}


def keys_under(state: dict[str, Any]) -> set[str]:
    return {key.split(".")[0] for key in state}


@pytest.fixture(scope="module")
def stage1_file(teachers: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A distillation's checkpoint, with other weights than the composers' own."""
    folder = tmp_path_factory.mktemp("stage1")
    fit = trainer(folder, max_steps=1, max_epochs=-1)
    fit.fit(distill(seed=5, **teachers), datamodule=SmallFaces(**DATA))
    fit.save_checkpoint(folder / "stage1.ckpt")
    return folder / "stage1.ckpt"


def of_stage1(path: Path) -> dict[str, Tensor]:
    state = torch.load(path, weights_only=True)["state_dict"]
    return {name.removeprefix("representation."): value for name, value in state.items()}


def test_stage_1_is_loaded_at_the_start_of_a_fit_and_stays_as_it_is(
    stage1_file: Path, face_file: str, tmp_path: Path
) -> None:
    modes = []

    class Watch(pl.Callback):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            assert_same(pl_module.representation.state_dict(), of_stage1(stage1_file))
            modes.extend(m.training for m in pl_module.representation.modules())

    module = composer(feature_network=face_file, stage1_checkpoint=str(stage1_file))
    fit = trainer(tmp_path, Watch(), max_steps=3, max_epochs=-1, limit_val_batches=None)
    fit.fit(module, datamodule=SmallFaces(**DATA))
    assert_same(module.representation.state_dict(), of_stage1(stage1_file))
    assert modes and not any(modes) and module.generator.training
    assert not module.train().representation.training


def test_a_resumed_fit_has_stage_1_from_its_own_checkpoint(
    stage1_file: Path, face_file: str, tmp_path: Path
) -> None:
    copy = Path(shutil.copy(stage1_file, tmp_path / "stage1.ckpt"))
    settings = {"feature_network": face_file, "stage1_checkpoint": str(copy)}
    fit = trainer(tmp_path, max_steps=1, max_epochs=-1)
    fit.fit(composer(**settings), datamodule=SmallFaces(**DATA))
    fit.save_checkpoint(tmp_path / "last.ckpt")
    copy.write_text("gone")
    module = composer(seed=7, **settings)
    fit = trainer(tmp_path, max_steps=2, max_epochs=-1)
    fit.fit(module, datamodule=SmallFaces(**DATA), ckpt_path=tmp_path / "last.ckpt")
    assert fit.global_step == 2
    assert_same(module.representation.state_dict(), of_stage1(stage1_file))


@pytest.fixture(scope="module")
def lone_checkpoint(
    teachers_dir: Path, stage1_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Tensor], Tensor]:
    """A composer's checkpoint from a config, whose other files are gone; its weights, and a clip it made."""
    folder = tmp_path_factory.mktemp("composer")
    files = [
        shutil.copy(teachers_dir / "identity.ckpt", folder / "faces.ckpt"),
        shutil.copy(stage1_file, folder / "stage1.ckpt"),
    ]
    config = COMPOSER | {
        "window_frames": FRAMES,
        "feature_network": str(files[0]),
        "stage1_checkpoint": str(files[1]),
        "weights": {"sync": 0.5},
        "scheduler": {"class_path": "torch.optim.lr_scheduler.StepLR", "init_args": {"step_size": 1}},
    }
    module = configured(ComposerModule, config, folder)
    fit = trainer(folder, max_steps=2, max_epochs=-1)
    fit.fit(module, datamodule=SmallFaces(**DATA))
    fit.save_checkpoint(folder / "last.ckpt")
    for path in (*files, folder / "model.yaml"):
        Path(path).unlink()
    clip = module.eval().generate_clip(draw_clip(0)["speech"], 10)
    return folder / "last.ckpt", module.state_dict(), clip


def test_a_checkpoint_needs_no_other_file(lone_checkpoint: tuple[Path, dict[str, Tensor], Tensor]) -> None:
    path, state, clip = lone_checkpoint
    content = torch.load(path, weights_only=True)
    assert keys_under(content["state_dict"]) == {"representation", "generator", "discriminators"}
    loaded = ComposerModule.load_from_checkpoint(path, map_location="cpu", weights_only=True)
    assert_same(loaded.state_dict(), state)
    assert loaded.weights == LossWeights(sync=0.5)
    assert (loaded.window_frames, loaded.image_size, loaded.fps) == (FRAMES, 32, 25)
    made = loaded.eval().generate_clip(draw_clip(0)["speech"], 10)
    assert made.dtype == torch.uint8 and made.shape == (10, 3, 32, 32)
    assert torch.equal(made, clip)


@pytest.mark.slow
def test_a_checkpoint_generates_in_a_process_of_its_own(
    lone_checkpoint: tuple[Path, dict[str, Tensor], Tensor], tmp_path: Path
) -> None:
    path, _, clip = lone_checkpoint
    program = f"""
import torch
from s2v.modules.composer import ComposerModule
speech = torch.load({str(tmp_path / "speech.pt")!r})
composer = ComposerModule.load_from_checkpoint({str(path)!r}, weights_only=True).eval()
torch.save(composer.generate_clip(speech, 10), {str(tmp_path / "clip.pt")!r})
"""
    torch.save(draw_clip(0)["speech"], tmp_path / "speech.pt")
    root = Path(__file__).resolve().parents[3]
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root, timeout=200)
    made = torch.load(tmp_path / "clip.pt")
    assert (made.int() - clip.int()).abs().max() <= 1  # another number of threads may round otherwise


@pytest.mark.parametrize("way", ["save_checkpoint", "ModelCheckpoint"])
def test_weights_only_holds_the_weights_and_nothing_else(way: str, face_file: str, tmp_path: Path) -> None:
    callbacks: list[pl.Callback] = [GeneratorEMA(0.9)]
    if way == "ModelCheckpoint":
        callbacks.append(
            ModelCheckpoint(tmp_path, "last", save_weights_only=True, every_n_train_steps=2, monitor=None)
        )
    fit = trainer(tmp_path, *callbacks, max_steps=2, max_epochs=-1)
    module = composer(feature_network=face_file)
    fit.fit(module, datamodule=SmallFaces(**DATA))
    if way == "save_checkpoint":
        fit.save_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    fit.save_checkpoint(tmp_path / "whole.ckpt")
    content = torch.load(tmp_path / "last.ckpt", weights_only=True)
    whole = torch.load(tmp_path / "whole.ckpt", weights_only=True)
    assert whole["optimizer_states"] and whole["callbacks"]  # the raw weights are here
    assert not content.keys() & {"optimizer_states", "lr_schedulers", "callbacks"}
    assert_same(content["state_dict"], whole["state_dict"])  # the average
    assert keys_under(content["state_dict"]) == {"representation", "generator", "discriminators"}
    tensors = sum(value.numel() for value in module.state_dict().values())
    assert (tmp_path / "last.ckpt").stat().st_size < 4 * tensors * 1.5 + 100_000


def test_validates_tests_and_predicts_without_teachers(tmp_path: Path) -> None:
    module, data, seen = composer(window_frames=FRAMES), SmallFaces(**DATA), []

    class Watch(pl.Callback):
        def on_validation_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_: Any) -> None:
            seen.append(outputs)

        on_test_batch_end = on_validation_batch_end

    run = trainer(tmp_path, Watch(), limit_val_batches=None)
    (logged,) = run.validate(module, datamodule=data, verbose=False)
    assert seen[0]["fake_frames"].shape == seen[0]["real_frames"].shape == (2, 2, 3, 32, 32)
    difference = (seen[0]["fake_frames"] - seen[0]["real_frames"]).abs().mean().item()
    assert logged["val/l1"] == pytest.approx(difference)  # whole frames, where eq. 8 compares the mouth half

    run.test(module, datamodule=data, verbose=False)
    clip = draw_clip(0)
    assert torch.equal(seen[1]["real"], clip["frames"])
    assert torch.equal(seen[1]["generated"], module.generate_clip(clip["speech"], FRAMES))
    assert seen[1]["generated"].dtype == torch.uint8

    predicted = run.predict(module, datamodule=data)
    assert predicted is not None and [one["clip_id"] for one in predicted] == ["clip0", "clip1"]
    assert torch.equal(predicted[0]["generated"], seen[1]["generated"])


def test_without_a_feature_network_there_is_no_identity_term(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"set model\.init_args\.feature_network to .* model\.init_args\.weights\.identity and \.perceptual, to 0",
    ):
        trainer(tmp_path, max_steps=1).fit(composer(), datamodule=SmallFaces(**DATA))


@pytest.mark.parametrize("verb", ["fit", "validate", "test"])
def test_frames_of_another_size_are_one_line(verb: str, tmp_path: Path, face_file: str) -> None:
    module = composer(image_size=64, feature_network=face_file)
    with pytest.raises(InputError, match=r"makes frames of 64 x 64 pixels, the data's are 32 x 32"):
        getattr(trainer(tmp_path, max_steps=1), verb)(module, datamodule=SmallFaces(**DATA))


@pytest.mark.parametrize("verb", ["fit", "validate", "test"])
def test_frames_of_another_rate_are_one_line(verb: str, tmp_path: Path, face_file: str) -> None:
    data = SmallFaces(**DATA)
    data.fps, data.cache_dir = 50.0, tmp_path
    with pytest.raises(InputError, match=r"stored at 50 frames a second.* at 25: prepare them anew"):
        getattr(trainer(tmp_path, max_steps=1), verb)(composer(feature_network=face_file), datamodule=data)


def test_another_rate_of_data_without_a_cache_is_one_line(tmp_path: Path, face_file: str) -> None:
    data = SmallFaces(**DATA)
    data.fps = 50.0
    with pytest.raises(InputError, match="the clips in SmallFaces are stored at 50 frames a second"):
        trainer(tmp_path, max_steps=1).fit(composer(feature_network=face_file), datamodule=data)


def teacher_file(path: Path, face: dict[str, Any], labels: str = "speaker") -> str:
    teacher = configured(FaceTeacher, {"network": face, "labels": labels}, path.parent)
    fit = trainer(path.parent)
    fit.strategy.connect(teacher)
    fit.save_checkpoint(path)
    return str(path)


def test_a_feature_network_of_another_kind_or_width_is_one_line(tmp_path: Path) -> None:
    init_args = IDENTITY_TEACHER["network"]["init_args"] | {"width": 0.1}  # type: ignore[index]
    wide = teacher_file(tmp_path / "wide.ckpt", network("vggface.VGGFace", **init_args))
    no_maps = teacher_file(
        tmp_path / "senet.ckpt",
        network("senet.SENet50", image_size=32, width=0.05, blocks=[1, 1, 1, 1], num_classes=3),
    )
    for path, says in [
        (
            wide,
            r"wide.ckpt have \[51, 51, 26\] channels, the generator's identity maps \[26, 26, 13\]: set feat",
        ),
        (no_maps, "SENet50 has none: give a VGGFace network as feature_network"),
        (str(tmp_path / "none.ckpt"), "face teacher: no file at"),
    ]:
        with pytest.raises(InputError, match=says):
            trainer(tmp_path, max_steps=1).fit(composer(feature_network=path), datamodule=SmallFaces(**DATA))


def test_a_stage_1_of_another_size_is_one_line(stage1_file: Path, face_file: str, tmp_path: Path) -> None:
    content = torch.load(stage1_file, weights_only=True)
    content["state_dict"]["representation.identity_head.layers.0.weight"] = torch.zeros(32, 8)
    torch.save(content, tmp_path / "other.ckpt")
    for path, says in [
        ("other.ckpt", r"misshapen: identity_head.layers.0.weight \(32, 8\) instead of \(32, 16\)"),
        ("none.ckpt", "stage 1: no file at"),
    ]:
        module = composer(feature_network=face_file, stage1_checkpoint=str(tmp_path / path))
        with pytest.raises(InputError, match=says):
            trainer(tmp_path, max_steps=1).fit(module, datamodule=SmallFaces(**DATA))
