"""Contexts read at frame times, and the students behind them."""

import pytest
import torch

from s2v.models.cpc import CPC
from s2v.models.speaker_encoder import SpeakerEncoder
from s2v.models.speech_representation import SpeechRepresentation, contexts_at
from s2v.models.students import StudentHead


def test_contexts_are_read_at_the_centre_of_each_frame() -> None:
    """A context that equals its own time must give the frame's centre time back."""
    steps = ((torch.arange(40) + 0.5) / 100).view(1, 40, 1)
    times = (torch.arange(10) + 0.5).unsqueeze(0) / 25
    assert torch.allclose(contexts_at(steps, times)[..., 0], times)
    # 29.97 fps: no fixed stride
    times = (torch.arange(11) + 0.5).unsqueeze(0) / 29.97
    assert torch.allclose(contexts_at(steps, times)[..., 0], times, atol=1e-6)


def test_times_outside_take_the_nearest_context() -> None:
    steps = torch.arange(5.0).view(1, 5, 1)
    assert contexts_at(steps, torch.tensor([[-1.0, 0.0, 9.0]])).flatten().tolist() == [0, 0, 4]


def test_a_span_is_the_mean_of_the_steps_in_it() -> None:
    steps = torch.tensor([3.0, 5.0, 10.0, 6.0, 0.0, 2.0]).view(1, 6, 1)
    centre = torch.tensor([[0.03]])  # between the third step's centre, 0.025 s, and the fourth's
    assert contexts_at(steps, centre, 1).item() == pytest.approx((10 + 6) / 2)
    assert contexts_at(steps, centre, 2).item() == pytest.approx((10 + 6) / 2)
    assert contexts_at(steps, centre, 4).item() == pytest.approx((5 + 10 + 6 + 0) / 4)
    first, last = contexts_at(steps, torch.tensor([[0.005, 0.055]]), 3).flatten().tolist()
    assert (first, last) == pytest.approx(
        ((3 + 3 + 5) / 3, (0 + 2 + 2) / 3)
    )  # outside, the nearest counts again


def test_a_span_is_in_seconds_and_not_negative() -> None:
    def spanning(seconds: float) -> SpeechRepresentation:
        heads = StudentHead(12, 16, 20), StudentHead(12, 16, 8)
        return SpeechRepresentation(CPC(channels=16, hidden=12), *heads, context_span=seconds).eval()

    representation, speech, times = spanning(0.12), torch.randn(1, 3200) * 0.1, torch.tensor([[0.1]])
    contexts = representation.contexts(speech)
    expected = contexts[:, 4:16].mean(1)  # 0.04 to 0.16 s
    torch.testing.assert_close(representation.at_times(contexts, times)[:, 0], expected)
    in_training = representation(speech, times)[0]
    torch.testing.assert_close(in_training, contexts_at(contexts, times))
    with pytest.raises(ValueError, match=r"context_span is a time in seconds, 0 or more, not -0.1"):
        spanning(-0.1)


def test_shapes_and_omega() -> None:
    cpc = CPC(channels=16, hidden=12)
    representation = SpeechRepresentation(cpc, StudentHead(12, 16, 20), StudentHead(12, 16, 8)).eval()
    speech = torch.randn(2, 3200) * 0.1
    c, nu, mu = representation(speech, torch.tensor([[0.02, 0.06], [0.1, 0.14]]))
    assert (c.shape, nu.shape, mu.shape) == ((2, 2, 12), (2, 20), (2, 8))
    omega = cpc(speech)[1][:, -1]
    assert torch.allclose(nu, representation.identity_head(omega))


def test_a_speaker_encoder_tells_the_identity_and_nothing_else() -> None:
    cpc, voice = CPC(channels=16, hidden=12), SpeakerEncoder(hidden=8, out_dim=10, layers=1)
    representation = SpeechRepresentation(cpc, StudentHead(10, 16, 20), StudentHead(12, 16, 8), voice).eval()
    speech = torch.randn(2, 3200) * 0.1
    _, nu, mu = representation(speech, torch.tensor([[0.02], [0.1]]))
    assert torch.allclose(nu, representation.identity_head(voice(speech)))
    assert torch.allclose(mu, representation.emotion_head(cpc(speech)[1][:, -1]))


def test_an_identity_head_of_another_size_is_named() -> None:
    cpc, voice = CPC(channels=16, hidden=12), SpeakerEncoder(hidden=8, out_dim=10, layers=1)
    with pytest.raises(
        ValueError, match=r"reads omega, 12 values: set identity_head.init_args.in_dim=12 instead of 8"
    ):
        SpeechRepresentation(cpc, StudentHead(8, 16, 20), StudentHead(12, 16, 8))
    with pytest.raises(ValueError, match=r"reads the speaker encoder, 10 values"):
        SpeechRepresentation(cpc, StudentHead(12, 16, 20), StudentHead(12, 16, 8), voice)


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_students(layers: int) -> None:
    head = StudentHead(8, 16, 5, layers=layers, dropout=0.1, non_negative=True)
    out = head(torch.randn(7, 8))
    assert out.shape == (7, 5)
    assert out.min() >= 0


def test_logits_may_be_negative_and_units_are_dropped_in_training_alone() -> None:
    torch.manual_seed(0)
    head, omega = StudentHead(8, 16, 5, dropout=0.5), torch.randn(7, 8)
    assert head(omega).min() < 0
    assert not torch.equal(head(omega), head(omega))
    head.eval()
    assert torch.equal(head(omega), head(omega))
