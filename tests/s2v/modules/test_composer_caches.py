"""Stage 2 on cached contexts and identity maps: the same losses, no frozen network at work, and nothing stale."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch

from data_modules import SyntheticFaces
from data_modules.speech_augmentation import SpeechAugmentation
from s2v.errors import InputError
from s2v.models.cpc import CPC
from s2v.models.face_network import FaceNetwork
from s2v.models.vggface import VGGFace
from s2v.modules.composer import ComposerModule
from tests.s2v.modules.small_faces import trainer
from tests.s2v.modules.small_modules import WIDTH, composer
from tests.s2v.modules.test_teacher_cache import faces


def made(speech_seed: int = 0, face_seed: int = 0, moved: str = "", **settings: Any) -> ComposerModule:
    """A composer with stage 1's networks and a face network of these seeds; one of stage 1's may have learned on."""
    module = composer(image_size=64, seed=speech_seed, **settings)
    if moved:
        with torch.no_grad():
            next(module.representation.get_submodule(moved).parameters()).add_(0.1)
    torch.manual_seed(face_seed)
    network = VGGFace(image_size=64, width=WIDTH, num_classes=3, batch_norm=True)
    module.feature_networks["face"] = FaceNetwork(network)
    return module


def data(cache: Path, **settings: Any) -> SyntheticFaces:
    return faces(cache, even_frames=True, **settings)


def fit(folder: Path, cache: Path, *callbacks: pl.Callback, epochs: int = 2, **settings: Any) -> list[float]:
    """All losses of each step, and `val/l1` of each epoch."""
    logged: list[float] = []

    class Keep(pl.Callback):
        def on_train_batch_end(_, trainer: Any, *__: Any) -> None:
            found = {name: value for name, value in trainer.callback_metrics.items() if "train/" in name}
            assert "train/loss/d_identity" in found
            logged.extend(value.item() for _, value in sorted(found.items()))

        def on_validation_end(_, trainer: Any, *__: Any) -> None:
            logged.append(trainer.callback_metrics["val/l1"].item())

    module = made(**settings)
    torch.manual_seed(1)
    trainer(
        folder,
        Keep(),
        *callbacks,
        max_epochs=epochs,
        limit_val_batches=None,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    ).fit(module, datamodule=data(cache))
    assert module._hearing is None and module._maps is None  # another data module's would be others
    return logged


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}


@pytest.mark.parametrize("voice_augmentation", [None, SpeechAugmentation(gain_db=6.0)])
def test_the_losses_are_those_of_the_networks_themselves(
    voice_augmentation: SpeechAugmentation | None,
    crema_d_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    live = fit(tmp_path, crema_d_cache, voice_augmentation=voice_augmentation)
    contexts, maps = tmp_path / "contexts", tmp_path / "maps"
    cached: dict[str, Any] = {"context_cache": str(contexts), "map_cache": str(maps)}
    cached["voice_augmentation"] = voice_augmentation
    assert fit(tmp_path, crema_d_cache, **cached) == pytest.approx(live, rel=1e-4, abs=1e-6)
    kept = files(contexts), files(maps)
    assert [len(of) for of in kept] == [
        12,
        6,
    ]  # six clips of training, of which alone maps are compared, and six more

    def no_network(*_: Any) -> None:
        raise AssertionError("a frozen network worked although what it says is cached")

    monkeypatch.setattr("s2v.modules.composer.check_composer_sizes", lambda *_: None)  # its pass asks stage 1
    monkeypatch.setattr(VGGFace, "feature_maps", no_network)
    if voice_augmentation is None:
        monkeypatch.setattr(CPC, "encode", no_network)
    assert fit(tmp_path, crema_d_cache, **cached) == pytest.approx(live, rel=1e-4, abs=1e-6)
    assert (files(contexts), files(maps)) == kept


def test_what_is_kept_is_what_is_served(crema_d_cache: Path, tmp_path: Path) -> None:
    differences: list[float] = []

    class Compare(pl.Callback):
        def on_train_batch_start(_, trainer: Any, module: Any, batch: Any, *__: Any) -> None:
            with torch.no_grad():
                heard = module.representation(batch["speech"], batch["frame_times"])
                seen = module.face_network.feature_maps(batch["still"])
                kept = (*module._hear(batch), *module._look_at_stills(batch))
            pairs = zip((*heard, *seen), kept, strict=True)
            differences.extend((one - other).abs().max().item() for one, other in pairs)
            assert {one.dtype for one in kept} == {torch.float32}

    folders = {"context_cache": str(tmp_path / "contexts"), "map_cache": str(tmp_path / "maps")}
    fit(tmp_path, crema_d_cache, Compare(), epochs=3, **folders)
    assert len(differences) >= 18 and max(differences) < 1e-4, differences


def test_other_networks_are_other_files(crema_d_cache: Path, tmp_path: Path) -> None:
    contexts, maps = tmp_path / "contexts", tmp_path / "maps"

    def count(**settings: Any) -> list[int]:
        fit(tmp_path, crema_d_cache, epochs=1, context_cache=str(contexts), map_cache=str(maps), **settings)
        return [len(files(contexts)), len(files(maps))]

    assert count() == [12, 6]
    assert count(face_seed=1) == [12, 12]
    assert count(speech_seed=1) == [24, 12]
    # students of another stage 1 may read the same frozen CPC
    assert count(moved="identity_head") == [36, 12]
    assert count(moved="emotion_head") == [48, 12]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (
            {"flip": True},
            "map_cache keeps maps of the frames as they are, but data.init_args.flip",
        ),
        (
            {"speech_augmentation": SpeechAugmentation()},
            "set that to null, or leave context_cache",
        ),
    ],
)
def test_what_changes_at_random_is_not_kept(
    settings: dict[str, Any], why: str, crema_d_cache: Path, tmp_path: Path
) -> None:
    module = made(context_cache=str(tmp_path / "contexts"), map_cache=str(tmp_path / "maps"))
    with pytest.raises(InputError, match=why):
        trainer(tmp_path, max_steps=1).fit(module, datamodule=data(crema_d_cache, **settings))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match=why):
        module.check_data("fit", data(crema_d_cache, **settings))  # before loggers begin
