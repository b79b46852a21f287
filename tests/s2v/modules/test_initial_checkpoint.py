"""A fit that begins with another run's weights."""

import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor

from callbacks.generator_ema import GeneratorEMA
from s2v.errors import InputError
from s2v.modules.checkpoint_part import load_part
from s2v.modules.composer import ComposerModule
from s2v.modules.composer_checks import check_heads
from s2v.training.early_check import check_early
from tests.s2v.modules.small_faces import SmallFaces, trainer
from tests.s2v.modules.small_modules import assert_same, composer, distill
from tests.s2v.modules.test_sdfa import sdfa

DATA = {"clips": 2, "batch_size": 2, "pictures": 6}


class First(pl.Callback):
    """The weights at the first step, as they are and as a checkpoint would have them."""

    def __init__(self) -> None:
        self.state: dict[str, Tensor] = {}
        self.saved: dict[str, Tensor] = {}

    def on_train_batch_start(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        if not self.state:
            self.saved = {name: value.clone() for name, value in pl_module.state_dict().items()}
            values = dict(pl_module.named_parameters()) | dict(pl_module.named_buffers())
            self.state = {name: values[name].detach().clone() for name in self.saved}


def fit(module: pl.LightningModule, folder: Path, steps: int = 1, **where: Any) -> First:
    """Fit, and leave `last.ckpt` in the folder."""
    first = First()
    made = trainer(
        folder, first, GeneratorEMA(0.5, module=where.pop("ema", "generator")), max_epochs=-1, max_steps=steps
    )
    made.fit(module, datamodule=SmallFaces(**DATA), **where)
    made.save_checkpoint(folder / "last.ckpt")
    return first


def parts(state: dict[str, Tensor], *names: str) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if key.split(".")[0] in names}


def saved(folder: Path) -> dict[str, Tensor]:
    return torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def other(face_file: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a composer's fit."""
    folder = tmp_path_factory.mktemp("other")
    fit(composer(seed=3, feature_network=face_file), folder)
    return folder


def test_stage_2_begins_with_the_others_networks_and_its_own_stage_1(
    other: Path, face_file: str, tmp_path: Path
) -> None:
    path = str(other / "last.ckpt")
    module = composer(feature_network=face_file, initial_checkpoint=path)
    own = parts(module.state_dict(), "representation")
    own = {name: value.clone() for name, value in own.items()}
    with pytest.warns(
        UserWarning, match="trained on another stage 1 than this one, which has no checkpoint: its"
    ):
        first = fit(module, tmp_path)
    assert_same(parts(first.state, "discriminators"), parts(saved(other), "discriminators"))
    for state in (first.state, first.saved):  # GeneratorEMA's average begins with these too
        assert_same(parts(state, "generator"), parts(saved(other), "generator"))
    assert_same(parts(first.state, "representation"), own)


def test_the_same_stage_1_is_no_cause_for_a_warning(other: Path, face_file: str, tmp_path: Path) -> None:
    path = str(other / "last.ckpt")
    module = composer(seed=3, feature_network=face_file, initial_checkpoint=path)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fit(module, tmp_path)
    assert not [w for w in told if "another stage 1" in str(w.message)]


def test_another_corpus_speakers_are_not_remembered(face_file: str, tmp_path: Path) -> None:
    """Pose codes are kept by a speaker's number, which in another corpus is somebody else's."""
    (tmp_path / "other").mkdir()
    fit(
        composer(feature_network=face_file, drawing={"pose_dim": 3, "num_speakers": 4}),
        tmp_path / "other",
        steps=2,
    )
    before = parts(saved(tmp_path / "other"), "generator")
    assert before["generator.pose.seen"].sum() > 0
    path = str(tmp_path / "other" / "last.ckpt")
    drawing = {"pose_dim": 3, "num_speakers": 6}
    first = fit(composer(feature_network=face_file, initial_checkpoint=path, drawing=drawing), tmp_path)
    remembered = {f"generator.pose.{name}" for name in ("faces", "nus", "codes", "seen")}
    begun = parts(first.state, "generator")
    assert_same(*({k: v for k, v in state.items() if k not in remembered} for state in (begun, before)))
    for name in remembered:
        assert len(begun[name]) == 6 and not begun[name].any()


def test_a_resumed_fit_a_test_and_loading_do_not_need_the_file(
    other: Path, face_file: str, tmp_path: Path
) -> None:
    copy = tmp_path / "initial.ckpt"
    copy.write_bytes((other / "last.ckpt").read_bytes())
    settings = {"feature_network": face_file, "initial_checkpoint": str(copy)}
    fit(composer(**settings), tmp_path)
    copy.unlink()
    before = saved(tmp_path)
    module = composer(seed=7, **settings)
    first = fit(module, tmp_path, steps=2, ckpt_path=tmp_path / "last.ckpt")
    assert_same(parts(first.state, "discriminators"), parts(before, "discriminators"))
    trainer(tmp_path, max_steps=1).validate(module, datamodule=SmallFaces(**DATA), verbose=False)
    networks = composer(seed=9)
    again = ComposerModule.load_from_checkpoint(
        tmp_path / "last.ckpt",
        weights_only=True,
        representation=networks.representation,
        generator=networks.generator,
        **{f"{name}_discriminator": network for name, network in networks.discriminators.items()},
    )
    assert_same(again.state_dict(), saved(tmp_path))
    for stage, resuming in (("fit", True), ("test", False), ("test", True)):
        check_early(
            [again, sdfa(initial_checkpoint=str(copy)), distill(initial_checkpoint=str(copy))],
            stage,
            resuming,
        )


def test_speech_networks_of_random_weights_are_told(tmp_path: Path) -> None:
    some = str(tmp_path / "some.ckpt")
    torch.save({"state_dict": {}}, some)
    for module, fault in [
        (composer(), "stage1_checkpoint is not set"),
        (distill(), "cpc_checkpoint is not set"),
        (composer(stage1_checkpoint=some), ""),
        (distill(finetune_cpc=True), ""),
    ]:
        for stage, resuming in (("fit", False), ("fit", True), ("test", False)):
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                check_early([module], stage, resuming)
            told = [str(warning.message) for warning in said]
            assert len(told) == bool(fault and (stage, resuming) == ("fit", False)), told
            assert all(text.startswith(fault) for text in told)


@pytest.mark.parametrize("head", ["identity_head", "emotion_head"])
def test_a_head_that_ended_otherwise_in_stage_1_is_refused(head: str) -> None:
    """Weights can't tell: a ReLU has none."""
    other = "emotion_head" if head == "identity_head" else "identity_head"
    heads = {head: {"init_args": {"non_negative": True}}, other: {"init_args": {"non_negative": False}}}
    hyper_parameters = {"representation": {"class_path": "s2v.models.X", "init_args": heads}}
    with pytest.raises(
        InputError, match=rf"^stage 1: a\.ckpt was trained with {head}\.init_args\.non_negative=true"
    ):
        check_heads(composer().representation, hyper_parameters, "a.ckpt")
    heads[head]["init_args"]["non_negative"] = False
    check_heads(composer().representation, hyper_parameters, "a.ckpt")
    check_heads(composer().representation, {"representation": None}, "a.ckpt")


def test_another_stages_checkpoint_is_called_that(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"^stage 1: cpc\.ckpt holds cpc, prediction, and nothing of representation: is it another",
    ):
        load_part(
            torch.nn.Linear(1, 1), {"cpc.a": torch.ones(1), "prediction.b": torch.ones(1)}, "representation.",
            "cpc.ckpt", "stage 1",
        )  # fmt: skip


def test_a_network_without_weights_wants_none() -> None:
    load_part(torch.nn.ReLU(), {"cpc.a": torch.ones(1)}, "head.", "a.ckpt", "stage 1")


def test_a_missing_file_and_other_networks_are_one_line(other: Path, face_file: str, tmp_path: Path) -> None:
    none = str(tmp_path / "none.ckpt")
    for module in (
        composer(initial_checkpoint=none),
        sdfa(initial_checkpoint=none),
        distill(initial_checkpoint=none),
    ):
        with pytest.raises(
            InputError, match=r"^initial checkpoint: no file at .*none.ckpt; train or fetch it first"
        ):
            check_early([module], "fit", resuming=False)
    content = torch.load(other / "last.ckpt", weights_only=True)
    name = "discriminators.frame.layers.2.bias"
    content["state_dict"][name] = torch.zeros(5)
    torch.save(content, tmp_path / "wide.ckpt")
    module = composer(feature_network=face_file, initial_checkpoint=str(tmp_path / "wide.ckpt"))
    with pytest.raises(InputError) as error:
        fit(module, tmp_path)
    assert "initial checkpoint, discriminators: " in str(error.value) and "\n" not in str(error.value)
    assert "misshapen: frame.layers.2.bias (5,) instead of (1,)" in str(error.value)


def test_sdfa_begins_with_the_others_networks(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    fit(sdfa(), tmp_path / "other", steps=2)
    first = fit(sdfa(initial_checkpoint=str(tmp_path / "other" / "last.ckpt")), tmp_path)
    assert_same(first.state, saved(tmp_path / "other"))


def test_stage_1_begins_with_the_others_networks(teachers: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    fit(distill(seed=3, **teachers), tmp_path / "other", steps=2, ema="representation")
    path = str(tmp_path / "other" / "last.ckpt")
    module = distill(**teachers, initial_checkpoint=path)
    first = First()
    trainer(tmp_path, first, max_epochs=-1, max_steps=1).fit(module, datamodule=SmallFaces(**DATA))
    assert_same(first.state, saved(tmp_path / "other"))


def test_a_cpc_that_is_tuned_further_has_its_predictions_too(
    teachers: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    tuned = {**teachers, "finetune_cpc": True}
    fit(distill(seed=3, **tuned), tmp_path / "other", steps=2, ema="representation")
    path = str(tmp_path / "other" / "last.ckpt")
    first = First()
    trainer(tmp_path, first, max_epochs=-1, max_steps=1).fit(
        distill(**tuned, initial_checkpoint=path), datamodule=SmallFaces(**DATA)
    )
    assert parts(first.state, "prediction")
    assert_same(first.state, saved(tmp_path / "other"))
    # a run that left CPC as it was has none: they are learnt from the beginning
    fit(distill(seed=3, **teachers), tmp_path / "other", steps=2, ema="representation")
    made = trainer(tmp_path, max_epochs=-1, max_steps=1)
    made.fit(distill(**tuned, initial_checkpoint=path), datamodule=SmallFaces(**DATA))
    assert made.global_step == 1
