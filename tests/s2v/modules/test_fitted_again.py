"""A module with a checkpoint's weights, or an earlier fit's, is fitted from them: pretrained parts are read once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor, nn

from s2v.models.cpc import CPC
from s2v.models.mouth_syncnet import MouthSyncNet
from s2v.models.sdfa import SDFA
from s2v.models.sdfa_discriminators import (
    SequenceDiscriminator,
    SpeechLipsDiscriminator,
    StillFrameDiscriminator,
)
from s2v.models.speaker_encoder import SpeakerEncoder
from s2v.models.speech_representation import SpeechRepresentation
from s2v.models.voice_encoder import VoiceEncoder
from s2v.modules.cpc_pretraining import CPCPretraining
from s2v.modules.distill import DistillModule
from s2v.modules.face_teacher import FaceTeacher
from s2v.modules.sdfa import SDFAModule
from s2v.modules.syncnet_training import SyncNetTraining
from s2v.modules.voice_distillation import VoiceEncoderModule
from tests.s2v.modules.small_faces import SIZE, SmallFaces, trainer
from tests.s2v.modules.small_modules import CONTEXT, assert_same, composer, representation, vggface

VOICE = 20


def hearing() -> SpeechRepresentation:
    heads = representation()
    return SpeechRepresentation(
        heads.cpc, heads.identity_head, heads.emotion_head, SpeakerEncoder(8, CONTEXT, 1)
    )


def voice() -> VoiceEncoder:
    return VoiceEncoder(VOICE, 1 / 16, hidden=8, seconds=1.5)


def write(path: Path, state: dict[str, Tensor], prefix: str = "", key: str = "state_dict") -> str:
    torch.save({key: {f"{prefix}{name}": value for name, value in state.items()}}, path)
    return str(path)


def of_distill(folder: Path, teachers: dict[str, Any]) -> tuple[pl.LightningModule, list[nn.Module]]:
    pretrained = hearing()
    assert pretrained.speaker_encoder is not None
    cpc = write(folder / "cpc.ckpt", pretrained.cpc.state_dict(), "cpc.")
    speaker = write(folder / "speaker.pt", pretrained.speaker_encoder.state_dict(), key="model_state")
    made = DistillModule(hearing(), cpc_checkpoint=cpc, speaker_checkpoint=speaker, **teachers)
    assert made.representation.speaker_encoder is not None
    return made, [made.representation.cpc, made.representation.speaker_encoder]


def of_composer(folder: Path, teachers: dict[str, Any]) -> tuple[pl.LightningModule, list[nn.Module]]:
    stage1 = write(folder / "stage1.ckpt", representation().state_dict(), "representation.")
    made = composer(stage1_checkpoint=stage1, feature_network=teachers["identity_teacher"])
    return made, [made.representation]


def of_sdfa(folder: Path, teachers: dict[str, Any]) -> tuple[pl.LightningModule, list[nn.Module]]:
    file = write(folder / "voice.ckpt", voice().state_dict(), "voice.")
    made = SDFAModule(
        SDFA(SIZE, 0.125, speech_dim=16, code_dim=8, voice_dim=VOICE),
        StillFrameDiscriminator(SIZE, 0.125),
        SequenceDiscriminator(SIZE, 0.125),
        SpeechLipsDiscriminator(SIZE, 0.125, dim=16),
        voice(),
        voice_checkpoint=file,
    )
    assert made.voice is not None
    return made, [made.voice]


def states(parts: list[nn.Module]) -> dict[str, Tensor]:
    """Copies of all that the parts hold."""
    return {
        f"{number}.{name}": value.clone()
        for number, part in enumerate(parts)
        for name, value in part.state_dict().items()
    }


@pytest.mark.parametrize("made_by", [of_distill, of_composer, of_sdfa])
def test_pretrained_parts_are_read_at_the_first_fit_alone(
    made_by: Callable[..., tuple[pl.LightningModule, list[nn.Module]]],
    teachers: dict[str, Any],
    tmp_path: Path,
) -> None:
    def fit() -> None:
        trainer(tmp_path, max_steps=1, max_epochs=-1).fit(module, datamodule=SmallFaces(pictures=6))

    torch.manual_seed(0)
    module, parts = made_by(tmp_path, teachers)
    own = states(parts)
    module.on_load_checkpoint({})  # as `load_from_checkpoint` calls it
    fit()
    assert_same(states(parts), own)  # frozen parts

    module, parts = made_by(tmp_path, teachers)
    own = states(parts)
    fit()
    assert any(not torch.equal(value, own[name]) for name, value in states(parts).items())  # the files'
    with torch.no_grad():
        for part in parts:
            for parameter in part.parameters():
                parameter += 1
    own = states(parts)
    fit()
    assert_same(states(parts), own)


@pytest.mark.parametrize(
    "build",
    [
        lambda: CPCPretraining(CPC(16, 16).eval()),
        lambda: FaceTeacher(vggface().eval()),
        lambda: SyncNetTraining(MouthSyncNet(32).eval()),
        lambda: VoiceEncoderModule(voice().eval()),
    ],
)
def test_loaded_networks_are_trained_as_new_ones(build: Callable[[], nn.Module]) -> None:
    """`s2v.weights` gives them in eval mode, and Lightning would leave them in it: no batch statistics, no dropout."""
    assert all(part.training for name, part in build().named_modules() if not name.startswith("teachers"))
