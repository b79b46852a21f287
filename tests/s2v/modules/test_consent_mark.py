"""Who had not agreed to be trained on is known of every fit that learned from a marked checkpoint."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch

from s2v.batch import WITHOUT_CONSENT
from s2v.generation.export_system import speakers_without_consent
from s2v.models.cpc import CPC
from s2v.models.voice_encoder import VoiceEncoder
from s2v.modules.cpc_pretraining import CPCPretraining
from s2v.modules.face_teacher import FaceTeacher
from s2v.modules.voice_distillation import VoiceEncoderModule
from tests.s2v.modules.small_faces import SmallFaces, trainer
from tests.s2v.modules.small_modules import CONTEXT, IDENTITY, composer, distill, vggface
from tests.s2v.modules.test_sdfa import VOICE, sdfa


class SomeUnasked(SmallFaces):
    """Small faces whose manifest says who had not agreed."""

    def __init__(self, *unasked: str) -> None:
        super().__init__(clips=2, batch_size=2, pictures=6)
        self.unasked = list(unasked)

    def state_dict(self) -> dict[str, Any]:
        return {WITHOUT_CONSENT: self.unasked} if self.unasked else {}


def fitted(module: pl.LightningModule, path: Path, *unasked: str, resume: Path | None = None) -> str:
    """The checkpoint of a step's fit, or of one more."""
    fit = trainer(path.parent, max_steps=1 if resume is None else 2, max_epochs=-1)
    fit.fit(module, datamodule=SomeUnasked(*unasked), ckpt_path=resume)
    fit.save_checkpoint(path)
    return str(path)


@pytest.fixture
def marked(teachers_dir: Path, tmp_path: Path) -> Callable[[str, str], str]:
    """`marked(teacher, speaker)`: a copy of a teacher's checkpoint, as one whose data had that speaker unasked."""

    def copy(teacher: str, speaker: str) -> str:
        content = torch.load(teachers_dir / f"{teacher}.ckpt", weights_only=True)
        path = tmp_path / f"{teacher}_{speaker}.ckpt"
        torch.save(content | {"SmallFaces": {WITHOUT_CONSENT: [speaker]}}, path)
        return str(path)

    return copy


def test_from_cpc_and_teachers_through_stage_1_into_stage_2(
    marked: Callable[[str, str], str], face_file: str, tmp_path: Path
) -> None:
    cpc = fitted(CPCPretraining(CPC(CONTEXT, CONTEXT)), tmp_path / "cpc.ckpt", "zoe", "eve")
    teachers = {
        "identity_teacher": marked("identity", "ann"),
        "emotion_teacher": marked("emotion", "bob"),
    }
    stage1 = fitted(distill(cpc_checkpoint=cpc, **teachers), tmp_path / "stage1.ckpt", "eve", "dan")
    assert speakers_without_consent(stage1) == ["ann", "bob", "dan", "eve", "zoe"]

    stage2 = fitted(composer(stage1_checkpoint=stage1, feature_network=face_file), tmp_path / "stage2.ckpt")
    assert speakers_without_consent(stage2) == ["ann", "bob", "dan", "eve", "zoe"]

    Path(stage1).unlink()  # a resumed fit has all of it from its own checkpoint
    settings = {"stage1_checkpoint": stage1, "feature_network": marked("identity", "cy")}
    resumed = fitted(composer(**settings), tmp_path / "more.ckpt", resume=tmp_path / "stage2.ckpt")
    assert speakers_without_consent(resumed) == ["ann", "bob", "cy", "dan", "eve", "zoe"]


def test_the_voice_encoder_and_what_hears_by_it(marked: Callable[[str, str], str], tmp_path: Path) -> None:
    taught = VoiceEncoderModule(
        VoiceEncoder(IDENTITY, 1 / 16, hidden=8, seconds=1.5), marked("identity", "ann")
    )
    assert speakers_without_consent(fitted(taught, tmp_path / "taught.ckpt")) == ["ann"]
    voice = VoiceEncoder(VOICE, 1 / 16, hidden=8, seconds=1.5)
    torch.save(
        {
            "state_dict": {f"voice.{key}": value for key, value in voice.state_dict().items()},
            "learned_from": {WITHOUT_CONSENT: ["ann"]},
        },
        tmp_path / "voice.ckpt",
    )
    module = sdfa(voice=True, voice_checkpoint=str(tmp_path / "voice.ckpt"))
    assert speakers_without_consent(fitted(module, tmp_path / "sdfa.ckpt", "bob")) == ["ann", "bob"]


def test_a_teacher_that_goes_on_with_other_data(tmp_path: Path) -> None:
    first = tmp_path / "first.ckpt"
    fitted(FaceTeacher(vggface()), first, "ann")
    second = fitted(FaceTeacher(vggface()), tmp_path / "second.ckpt", "bob", resume=first)
    assert speakers_without_consent(second) == ["ann", "bob"]


def test_where_everybody_agreed_no_checkpoint_says_anything(face_file: str, tmp_path: Path) -> None:
    stage2 = fitted(composer(feature_network=face_file), tmp_path / "stage2.ckpt")
    assert speakers_without_consent(stage2) == []
    assert "learned_from" not in torch.load(stage2, weights_only=True)
