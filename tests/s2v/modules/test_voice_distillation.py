"""The voice encoder's distillation: Speech2Face's terms by hand, the teacher's checks, and that it learns."""

from pathlib import Path
from typing import Any

import pytest
import torch

from s2v.errors import InputError
from s2v.models.voice_encoder import VoiceEncoder
from s2v.modules.voice_distillation import VoiceEncoderModule
from tests.s2v.modules.small_faces import Losses, SmallFaces, trainer
from tests.s2v.modules.small_modules import IDENTITY, write_teachers


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teachers")
    write_teachers(folder)
    return folder


def voice(teacher: Path | str | None, out_dim: int = IDENTITY, **settings: Any) -> VoiceEncoderModule:
    torch.manual_seed(0)
    encoder = VoiceEncoder(out_dim, 1 / 16, hidden=32, seconds=1.5)
    return VoiceEncoderModule(encoder, None if teacher is None else str(teacher), **settings)


def test_the_terms_by_hand(teachers: Path) -> None:
    module = voice(teachers / "identity.ckpt")
    module.setup("fit")
    heard, seen = torch.rand(2, IDENTITY), torch.rand(2, IDENTITY)
    terms = module.losses(heard, seen)
    fc8 = module._fc8
    probabilities = (fc8(seen) / 2).softmax(dim=-1)
    distill = -(probabilities * (fc8(heard) / 2).log_softmax(dim=-1)).sum(dim=-1).mean()
    cosine = torch.cosine_similarity(heard, seen)
    torch.testing.assert_close(terms["distill"], 200 * distill)
    torch.testing.assert_close(terms["normalised"], 0.025 * (2 - 2 * cosine).mean())
    torch.testing.assert_close(terms["difference"], (heard - seen).abs().sum(dim=1).mean())


@pytest.mark.slow
def test_it_learns_and_leaves_the_teacher_out_of_its_checkpoint(teachers: Path, tmp_path: Path) -> None:
    module = voice(teachers / "identity.ckpt")
    logged = Losses("train/loss")
    run = trainer(tmp_path, logged, max_steps=40, max_epochs=-1)
    run.fit(module, datamodule=SmallFaces(pictures=1))
    assert min(logged.values[-5:]) < 0.7 * logged.values[0]
    assert {key.split(".")[0] for key in module.state_dict()} == {"voice"}
    (found,) = run.test(module, datamodule=SmallFaces(), verbose=False)
    assert {"test/loss", "test/identity_cosine", "test/identity_retrieval"} <= found.keys()


def test_its_adam_is_speech2faces_and_decays_by_steps() -> None:
    made = voice(None, lr_decay=0.5, decay_steps=2).configure_optimizers()
    (group,) = made["optimizer"].param_groups
    assert (group["lr"], group["betas"], group["eps"]) == (1e-3, (0.5, 0.999), 1e-4)
    assert made["lr_scheduler"]["interval"] == "step"
    rates = []
    for _ in range(5):
        rates.append(group["lr"])
        made["optimizer"].step()
        made["lr_scheduler"]["scheduler"].step()
    assert rates == pytest.approx([1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4])


@pytest.mark.parametrize(
    ("name", "out_dim", "words"),
    [
        (None, IDENTITY, "has no face teacher"),
        ("emotion.ckpt", IDENTITY, "is a SENet50: give a VGGFace"),
        ("identity.ckpt", 7, f"out_dim={IDENTITY}"),
    ],
)
def test_what_does_not_fit_is_one_line(teachers: Path, name: str | None, out_dim: int, words: str) -> None:
    module = voice(None if name is None else teachers / name, out_dim)
    with pytest.raises(InputError, match=words):
        module.setup("fit")


def test_a_batch_of_one_voice_is_one_line(teachers: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"batch_size is 1, but the voice encoder normalises over the batch"):
        trainer(tmp_path, max_steps=1).fit(
            voice(teachers / "identity.ckpt"), datamodule=SmallFaces(batch_size=1)
        )
