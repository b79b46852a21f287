"""A speech encoder of one's own: streamed as in one pass, or refused before it is trained."""

from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor

from s2v.errors import InputError
from s2v.models.cpc import CPC, RecurrentState
from s2v.models.speech_representation import SpeechRepresentation
from s2v.models.students import StudentHead
from s2v.modules.cpc_pretraining import CPCPretraining
from s2v.speech.context_stream import context_stream
from s2v.speech.own_encoder import check_clips_follow, check_hears_in_blocks
from tests.s2v.generation.networks import speech_like
from tests.s2v.modules.small_faces import SmallFaces, trainer
from tests.s2v.modules.small_modules import composer, distill


class Loudness(CPC):
    """A speech encoder of one's own: the loudness of 25 ms around a latent's centre, and a GRU."""

    def __init__(self) -> None:
        super().__init__(channels=1, hidden=4)
        self.summary = torch.nn.GRU(1, 4, batch_first=True)

    def encode(self, speech: Tensor) -> Tensor:
        count = (speech.shape[1] + 1) // 160
        windows = torch.nn.functional.pad(speech, (120, 280)).unfold(1, 400, 160)[:, :count]
        return windows.square().mean(dim=2, keepdim=True).sqrt()

    def summarise(
        self, latents: Tensor, state: RecurrentState | None = None
    ) -> tuple[Tensor, RecurrentState]:
        return self.summary(latents, state)


@pytest.mark.parametrize("block", [163, 7_001])
def test_an_encoder_of_ones_own_is_streamed_as_in_one_pass(block: int) -> None:
    torch.manual_seed(0)
    encoder, speech = Loudness().eval(), speech_like(2.003)
    stream = context_stream(encoder)
    with torch.no_grad():
        streamed = torch.cat([*(stream.push(b) for b in speech.split(block)), stream.finish()], dim=1)
        torch.testing.assert_close(streamed, encoder(speech[None])[1], atol=1e-5, rtol=0)
    assert streamed.shape == (1, 200, 4) and streamed.std(dim=1).mean() > 0.01


class LooksAhead(Loudness):
    def summarise(
        self, latents: Tensor, state: RecurrentState | None = None
    ) -> tuple[Tensor, RecurrentState]:
        backwards, last = self.summary(latents.flip(1))
        return backwards.flip(1), last


class HearsAhead(Loudness):
    def encode(self, speech: Tensor) -> Tensor:
        return super().encode(torch.nn.functional.pad(speech[:, 320:], (0, 320)))


class Forgets(Loudness):
    def summarise(
        self, latents: Tensor, state: RecurrentState | None = None
    ) -> tuple[Tensor, RecurrentState]:
        return self.summary(latents)


class LeavesOut(Loudness):
    def encode(self, speech: Tensor) -> Tensor:
        return super().encode(speech)[:, 1:]


@pytest.mark.parametrize("encoder", [LooksAhead, HearsAhead, Forgets, LeavesOut])
def test_an_encoder_that_clips_cannot_be_made_from_is_refused(encoder: type[CPC]) -> None:
    torch.manual_seed(0)
    with pytest.raises(
        InputError,
        match=rf"^{encoder.__name__}.* contexts .*docstring of s2v\.models\.\w+\.(CPC|SpeechEncoder)$",
    ):
        check_hears_in_blocks(encoder())


def fitted(module: str) -> pl.LightningModule:
    if module == "CPCPretraining":
        return CPCPretraining(Forgets())
    teachers = dict.fromkeys(
        ("identity_teacher", "emotion_teacher"), "class:tests.s2v.modules.own_faces.Colours"
    )
    made = distill(**teachers) if module == "DistillModule" else composer(weights={"identity": 0.0})
    made.representation.cpc = Forgets()
    made.sizes_fit = True  # they do not, and that would be told first
    return made


@pytest.mark.parametrize("module", ["CPCPretraining", "DistillModule", "ComposerModule"])
def test_every_fit_tries_it_out_before_the_first_step(module: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Forgets's contexts for speech in blocks"):
        trainer(tmp_path).fit(fitted(module), datamodule=SmallFaces())


class Louder(SpeechRepresentation):
    """Its students are its own, as clips can follow."""

    def students(self, omega: Tensor, voice: Tensor | None) -> tuple[Tensor, Tensor]:
        nu, mu = super().students(omega, voice)
        return 2 * nu, mu


class MeanOfContexts(SpeechRepresentation):
    """In training nu and mu are read from all contexts: clips would still read the last."""

    def forward(
        self, speech: Tensor, frame_times: Tensor, student_speech: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        contexts, _, _ = super().forward(speech, frame_times, student_speech)
        return contexts, *self.students(self.contexts(speech).mean(dim=1), None)


class OtherPerson(SpeechRepresentation):
    def person(self, speech: Tensor) -> tuple[Tensor, Tensor]:
        return self.students(self.contexts(speech)[:, 0], None)


@pytest.mark.parametrize(
    ("kind", "fault"), [(Louder, ""), (MeanOfContexts, "forward"), (OtherPerson, "person")]
)
def test_a_representation_that_clips_would_not_follow_is_refused(
    kind: type[SpeechRepresentation], fault: str
) -> None:
    torch.manual_seed(0)
    heads = (StudentHead(in_dim=16, hidden=16, out_dim=size) for size in (12, 8))
    own = kind(CPC(channels=16, hidden=16), *heads)
    for parameter in own.parameters():
        parameter.data *= 3  # an untrained LSTM hardly moves
    if fault:
        with pytest.raises(InputError, match=rf"^{kind.__name__}\.{fault} gives something else"):
            check_clips_follow(own)
    else:
        check_clips_follow(own)


def test_trying_an_encoder_out_changes_nothing() -> None:
    torch.manual_seed(0)
    encoder = Loudness().train()
    before = torch.random.get_rng_state()
    check_hears_in_blocks(encoder)
    assert encoder.training and encoder.summary.training
    assert torch.equal(torch.random.get_rng_state(), before)
