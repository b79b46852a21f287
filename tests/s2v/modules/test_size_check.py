"""Networks whose sizes do not fit are told before the first step, and trying them out changes nothing."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from s2v.errors import InputError
from s2v.models.cpc import CPC
from s2v.models.discriminators import FrameDiscriminator, IdentityDiscriminator, SyncDiscriminator
from s2v.models.sdfa_discriminators import StillFrameDiscriminator
from s2v.models.speech_representation import SpeechRepresentation
from s2v.models.students import StudentHead
from s2v.modules.composer import ComposerModule
from s2v.modules.composer_losses import LossWeights
from s2v.modules.size_check import frames_to_try
from tests.quiet_trainer import trainer
from tests.s2v.modules.small_faces import SIZE, SmallFaces
from tests.s2v.modules.small_modules import CONTEXT, EMOTION, IDENTITY, WIDTH, composer
from tests.s2v.modules.test_sdfa import sdfa


def heads(identity: int = IDENTITY, emotion: int = EMOTION, hidden: int = CONTEXT) -> SpeechRepresentation:
    return SpeechRepresentation(
        CPC(channels=CONTEXT, hidden=hidden),
        StudentHead(in_dim=hidden, hidden=8, out_dim=identity),
        StudentHead(in_dim=hidden, hidden=8, out_dim=emotion),
    )


MISFITS: dict[str, tuple[Callable[[ComposerModule], object], str]] = {
    "nu": (
        lambda module: setattr(module, "representation", heads(identity=9)),
        rf"^frames from contexts of {CONTEXT} values, nu of 9 and mu of {EMOTION} can't be computed .*identity_dim=9",
    ),
    "mu": (lambda module: setattr(module, "representation", heads(emotion=9)), "emotion_dim=9"),
    "C": (lambda module: setattr(module, "representation", heads(hidden=9)), "give the generator context_dim=9"),
    "D_ID": (
        lambda module: module.discriminators.update({"identity": IdentityDiscriminator(0.2, WIDTH)}),
        "^D_ID's scores of the generator's identity maps .*: give both the same feature_width$",
    ),
    "D_fr": (
        lambda module: module.discriminators.update({"frame": FrameDiscriminator(WIDTH, layers=6)}),
        rf"^D_fr's scores of frames of {SIZE} x {SIZE} pixels .*: give it fewer layers",
    ),
    "D_sync": (
        lambda module: module.discriminators.update({"sync": SyncDiscriminator(9, SIZE, WIDTH)}),
        rf"^D_sync's scores of contexts of {CONTEXT} values .*: give it context_dim={CONTEXT} and image_size={SIZE}$",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISFITS)
def test_stage_2s_networks_that_do_not_fit(name: str, tmp_path: Path) -> None:
    spoil, message = MISFITS[name]
    module = composer(weights=LossWeights(identity=float(name == "D_ID")))
    spoil(module)
    with pytest.raises(InputError, match=message) as caught:
        trainer(tmp_path).fit(module, datamodule=SmallFaces())
    assert "\n" not in str(caught.value)


def test_a_discriminator_without_a_weight_need_not_fit(tmp_path: Path) -> None:
    module = composer(weights=LossWeights(identity=0.0, sync=0.0))
    module.discriminators["sync"] = SyncDiscriminator(9, SIZE, WIDTH)
    trainer(tmp_path, max_steps=1).fit(module, datamodule=SmallFaces())


def test_sdfas_networks_that_do_not_fit(tmp_path: Path) -> None:
    module = sdfa()
    module.discriminators["frame"] = StillFrameDiscriminator([256, 256], 0.05)
    with pytest.raises(
        InputError, match=r"^the frame discriminator's scores of frames of .*init_args\.frame_discriminator"
    ):
        trainer(tmp_path).fit(module, datamodule=SmallFaces())


class OfFive(SyncDiscriminator):
    """Of one's own: it looks at five frames in a row."""

    def forward(self, contexts: Tensor, frames: Tensor) -> Tensor:
        in_a_row = frames.unfold(1, 5, 1)  # an error where there are fewer
        return super().forward(contexts[:, 4:], in_a_row.mean(-1))


def test_as_many_frames_are_tried_out_as_the_data_serves() -> None:
    module = composer(weights=LossWeights(identity=0.0))
    module.discriminators["sync"] = OfFive(CONTEXT, SIZE, WIDTH)
    with pytest.raises(InputError, match=r"^D_sync's scores"):
        module.check_data("fit", SimpleNamespace(num_frames=4))
    module.check_data("fit", SimpleNamespace(num_frames=6))
    assert [frames_to_try(SimpleNamespace(num_frames=count)) for count in (1, 2, 16, 400)] == [2, 2, 16, 25]
    assert frames_to_try(SimpleNamespace(num_frames=None, window_frames=9)) == 9  # all of the window
    assert frames_to_try(None) == 2 and frames_to_try(None, least=5) == 5


class OwnStep(ComposerModule):
    """A generator that wants more than stage 1's values."""

    def training_step(self, batch: object, batch_idx: int) -> dict[str, Tensor]:  # type: ignore[override]
        return {}


def test_who_steps_otherwise_is_not_tried_out() -> None:
    module = composer()
    module.__class__ = OwnStep
    module.representation = heads(identity=9)
    module.check_data("fit", None)


def test_trying_out_changes_nothing() -> None:
    module = composer()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    random, modes = torch.random.get_rng_state(), [part.training for part in module.modules()]
    module.check_data("fit", None)
    torch.testing.assert_close(module.state_dict(), before, rtol=0, atol=0)
    assert torch.equal(torch.random.get_rng_state(), random)
    assert [part.training for part in module.modules()] == modes
    assert all(parameter.grad is None for parameter in module.parameters())


@pytest.mark.parametrize("wrong", [{"layers": -1}, {"hidden": 0}, {"out_dim": 0}, {"in_dim": 0}])
def test_a_head_without_a_size(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="0 hidden layers or more, and sizes of 1 or more"):
        StudentHead(**wrong)


def test_an_emotion_head_for_other_contexts() -> None:
    identity, emotion = (StudentHead(in_dim=size, hidden=8, out_dim=8) for size in (16, 9))
    with pytest.raises(ValueError, match=r"set emotion_head\.init_args\.in_dim=16 instead of 9"):
        SpeechRepresentation(CPC(channels=16, hidden=16), identity, emotion)
