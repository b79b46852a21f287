"""Encoders that look ahead: which window each context comes from, in one pass and in a stream."""

from typing import Any

import pytest
import torch

from s2v.errors import InputError
from s2v.models.cpc import CPC
from s2v.models.windowed_speech_encoder import WindowLayout
from s2v.modules.clip_tensors import fingerprint
from s2v.modules.context_cache import for_frames, for_students, heard_windows
from s2v.modules.distill import DistillModule
from s2v.speech.context_stream import context_stream
from s2v.speech.own_encoder import check_hears_in_blocks
from tests.s2v.generation.networks import small_networks, speech_like
from tests.s2v.models.looks_ahead import BothWays


@pytest.mark.parametrize(
    ("latents", "windows"),
    [
        (1, [(0, 1, 0, 1)]),
        (7, [(0, 7, 0, 7)]),
        (8, [(0, 8, 0, 8)]),  # heard once
        (9, [(0, 8, 0, 6), (0, 9, 6, 9)]),  # begins at an even one, and is one longer
        (12, [(0, 8, 0, 6), (4, 12, 6, 12)]),
        (14, [(0, 8, 0, 6), (4, 12, 6, 10), (6, 14, 10, 14)]),
    ],
)
def test_windows_of_eight(latents: int, windows: list[tuple[int, ...]]) -> None:
    assert [tuple(window) for window in WindowLayout(8).windows(latents)] == windows


@pytest.mark.parametrize("latents", [*range(1, 60), 1_003])
def test_each_context_is_taken_once_and_has_heard_both_sides(latents: int) -> None:
    taken = []
    for window in WindowLayout(16).windows(latents):
        for number in range(window.first_taken, window.end_taken):
            assert number - window.start >= min(4, number)
            assert window.end - number > min(4, latents - 1 - number)
        assert window.end <= latents and window.start % 2 == 0
        taken += range(window.first_taken, window.end_taken)
    assert taken == list(range(latents))


@torch.no_grad()
@pytest.mark.parametrize("block", [163, 640, 7_001, 50_000])
@pytest.mark.parametrize("seconds", [0.01, 0.2, 0.4, 0.403, 0.6, 2.003, 0.3999375, 0.5999375, 2.0099375])
def test_streamed_contexts_equal_one_pass(seconds: float, block: int) -> None:
    """0.4 s is a window; the last three lack one sample to their last piece, the first two of them also to a window."""
    torch.manual_seed(0)
    encoder, speech = BothWays().eval(), speech_like(seconds)
    stream = context_stream(encoder)
    streamed = torch.cat([*(stream.push(b) for b in speech.split(block)), stream.finish()], dim=1)
    expected = encoder(speech[None])[1]
    assert streamed.shape == (1, (len(speech) + 1) // 160, 16)
    torch.testing.assert_close(streamed, expected, atol=1e-6, rtol=0)


@torch.no_grad()
def test_a_context_hears_what_comes_within_its_window() -> None:
    """Of windows of 40 latents, 20 apart, context 35 is taken from the second, 20 to 60."""
    torch.manual_seed(0)
    encoder, speech = BothWays().eval(), speech_like(2.0)[None]
    contexts = encoder(speech)[1]
    for changed, hears in ((19, False), (20, True), (59, True), (60, False)):
        other = speech.clone()
        other[:, 160 * changed : 160 * (changed + 1)] *= 3
        assert bool((encoder(other)[1][:, 35] != contexts[:, 35]).any()) == hears, changed


def test_students_read_the_mean_of_its_contexts() -> None:
    """CPC's last context has heard the whole clip; the last one here tells of the last sound."""
    contexts = torch.tensor([[[1.0, 2.0], [3.0, 6.0]]])
    assert BothWays().omega(contexts).tolist() == [[2.0, 4.0]]
    assert CPC(channels=2, hidden=2).omega(contexts).tolist() == [[3.0, 6.0]]
    speech = speech_like(0.3)[None]
    representation, _ = small_networks(encoder=BothWays())
    with torch.no_grad():
        contexts, nu, _ = representation(speech, torch.tensor([[0.1]]))
        mean = representation.cpc(speech)[1].mean(dim=1)
        torch.testing.assert_close(nu, representation.identity_head(mean))


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"readouts": 2}, r"readouts is 2, but BothWays looks ahead.*set model\.init_args\.readouts=1"),
        ({"finetune_cpc": True}, r"BothWays looks ahead.*set model\.init_args\.contrastive_weight=0"),
    ],
)
def test_stage_1_refuses_what_only_causal_encoders_can(settings: dict[str, Any], fault: str) -> None:
    representation, _ = small_networks(encoder=BothWays())
    with pytest.raises(InputError, match=fault):
        DistillModule(representation, **settings)
    assert DistillModule(representation, finetune_cpc=True, contrastive_weight=0).prediction is None


@torch.no_grad()
def test_a_stream_holds_no_more_than_a_window_and_a_half() -> None:
    encoder = BothWays().eval()
    stream = context_stream(encoder)
    for block in speech_like(5.0).split(160):
        stream.push(block)
        assert stream._held is not None and len(stream._held) <= 160 * 60  # type: ignore[attr-defined]


def test_what_can_not_be_heard() -> None:
    for settings in ({"span": 0}, {"hidden": 0}):
        with pytest.raises(ValueError, match=r"span is a time in seconds, at least 0\.04, and hidden a size"):
            BothWays(**settings)  # type: ignore[arg-type]
    stream = context_stream(BothWays())
    with pytest.raises(InputError, match="got no sample of it"):
        stream.finish()
    stream.push(torch.zeros(100))
    with pytest.raises(InputError, match=r"expected 10 ms of speech at least, got 100 samples"):
        stream.finish()


def test_the_mean_is_read_wherever_the_students_are_asked() -> None:
    """In a step of stage 1, in portraits of windows, and in what both stages keep of them."""
    representation, _ = small_networks(encoder=BothWays())
    speech = speech_like(0.96)
    starts, length = range(0, 15 * 640 + 1, 640), 9 * 640
    windows = torch.stack([speech[start : start + length] for start in starts])
    with torch.no_grad():
        omega = representation.cpc(windows)[1].mean(dim=1)
        nu, mu = representation.identity_head(omega), representation.emotion_head(omega)
        for heard in (
            representation.person(windows),
            representation(windows, torch.zeros(len(windows), 1))[1:],
        ):
            torch.testing.assert_close(heard, (nu, mu))
        times = (torch.arange(24) + 0.5) / 25
        kept = heard_windows(representation, speech, 24, 9, for_students, times)
        torch.testing.assert_close(kept["omega"], omega)
        kept = heard_windows(representation, speech, 24, 9, for_frames, times)
        torch.testing.assert_close((kept["nu"], kept["mu"]), (nu, mu))


def test_a_step_of_stage_1_reads_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    representation, _ = small_networks(encoder=BothWays())
    module, speech, asked = DistillModule(representation), speech_like(0.6)[None], []

    def students(omega: torch.Tensor, voice: None) -> None:
        asked.append(omega)
        raise StopIteration

    monkeypatch.setattr(representation, "students", students)
    with pytest.raises(StopIteration):
        module.training_step({"speech": speech}, 0)  # type: ignore[typeddict-item]
    torch.testing.assert_close(asked[0], representation.cpc(speech)[1].mean(dim=1))


def test_caches_of_contexts_know_its_windows() -> None:
    """They have no weights, by which another length would be told."""
    one, other = BothWays(span=0.4), BothWays(span=0.8)
    other.load_state_dict(one.state_dict())
    assert fingerprint({"cpc": one}, []) != fingerprint({"cpc": other}, [])


class OwnWindows(BothWays):
    """Hears all of the speech at once, whatever its length, and less its mean: a stream can't."""

    def hear(self, speech: torch.Tensor) -> torch.Tensor:
        contexts = super().hear(speech)
        return contexts - contexts.mean(dim=1, keepdim=True)

    def contexts_of(self, latents: torch.Tensor) -> torch.Tensor:
        return self.hear(latents.flatten(1))


def test_an_encoder_that_windows_are_too_short_for_is_refused() -> None:
    torch.manual_seed(0)
    check_hears_in_blocks(BothWays(span=2.0))
    with pytest.raises(InputError, match="OwnWindows's contexts for speech in blocks"):
        check_hears_in_blocks(OwnWindows(span=2.0))
