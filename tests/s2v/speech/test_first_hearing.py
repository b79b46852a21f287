from typing import Any

import pytest
import torch
from torch import Tensor

from s2v.errors import InputError
from s2v.models.speech_representation import SpeechRepresentation
from s2v.speech.first_hearing import FirstHearing, RecentLatents, from_sample
from s2v.speech.frame_contexts import FrameContextStream, FrameReader
from s2v.speech.portrait import Window, encode_window, hear_portrait
from tests.s2v.generation.networks import small_networks, speech_like

SAMPLES = 12 * 640
BLOCK = 5_000
FRAME_BYTES = 16 * 4


@pytest.fixture(scope="module")
def representation() -> SpeechRepresentation:
    return small_networks()[0]


class Source:
    """Speech that counts how often it is read."""

    def __init__(self, speech: Tensor) -> None:
        self.speech, self.readings = speech, 0

    def __iter__(self) -> Any:
        self.readings += 1
        return iter(self.speech.split(3_333))


@pytest.mark.parametrize("kept_frames", [0, 1, 40, 10_000])
@pytest.mark.parametrize("samples", [100, 7_680, 5 * 7_680, 60_123])
@torch.no_grad()
def test_portrait_and_contexts_are_those_of_two_readings(
    representation: SpeechRepresentation, samples: int, kept_frames: int
) -> None:
    speech = Source(speech_like(samples / 16_000))
    hearing = FirstHearing(representation, SAMPLES, 25, BLOCK, kept_frames * FRAME_BYTES)
    portrait = hearing.hear(speech)
    contexts = torch.cat(list(hearing.contexts(speech)), dim=1)
    expected = hear_portrait(representation, [speech.speech], SAMPLES, 25)
    once = FrameContextStream(representation, 25).rest([speech.speech], len(speech.speech))
    assert portrait.times == expected.times
    torch.testing.assert_close(portrait.nu, expected.nu, atol=1e-5, rtol=0)
    torch.testing.assert_close(portrait.mu, expected.mu, atol=1e-5, rtol=0)
    torch.testing.assert_close(contexts, torch.cat(list(once), dim=1), atol=1e-5, rtol=0)
    if kept_frames in (0, 10_000):
        assert speech.readings == (1 if kept_frames else 2)


@pytest.mark.parametrize("fps", [25, 30_000 / 1_001])
@torch.no_grad()
def test_speech_is_encoded_once_where_windows_begin_on_latents(
    representation: SpeechRepresentation, monkeypatch: pytest.MonkeyPatch, fps: float
) -> None:
    encoded = 0
    encode = representation.cpc.encode

    def counted(speech: Tensor) -> Tensor:
        nonlocal encoded
        encoded += speech.numel()
        return encode(speech)

    monkeypatch.setattr(representation.cpc, "encode", counted)
    window = round(48 * 16_000 / fps)
    speech = speech_like(20 * 48 / 25)
    FirstHearing(representation, window, fps, 16_000).hear([speech])
    most = 1.1 if fps == 25 else 2.2
    assert 0.9 * most < encoded / len(speech) < most


@torch.no_grad()
def test_a_window_of_the_stream_is_as_heard_alone(representation: SpeechRepresentation) -> None:
    cpc, speech = representation.cpc, speech_like(2.0)
    stream = cpc.encode(speech[None])
    recent = RecentLatents(cpc, 16_000)
    for part in stream.split(30, dim=1):
        recent.push(part)
    # the last two are encoded: begun between latents, and forgotten
    for start in (16_000, 16_160, 16_007, 0):
        window = speech[start : start + 9_600]
        torch.testing.assert_close(
            recent.of_window(Window(start, window)), encode_window(cpc, window), atol=1e-5, rtol=0
        )
    # the edges do matter
    assert not torch.allclose(stream[:, 100:160], encode_window(cpc, speech[16_000:25_600]), atol=1e-3)


def test_what_is_heard_of_a_long_recording_stays_small(representation: SpeechRepresentation) -> None:
    recent, reader = RecentLatents(representation.cpc, 16_000), FrameReader(representation, 25)
    for _ in range(50):
        recent.push(torch.zeros(1, 30, 16))
        reader.push(torch.zeros(1, 30, 16))
        for held in (recent._latents, reader._held):
            assert held is not None and held.shape[1] <= 100
    assert reader.frames_read == 1_500 // 4


def test_speech_from_a_sample_on() -> None:
    speech = torch.arange(10.0).split(3)
    for first in range(12):
        rest = list(from_sample(speech, first))
        assert torch.cat([*rest, torch.zeros(0)]).tolist() == list(range(first, 10)) and all(map(len, rest))


@pytest.mark.parametrize("kept", [0, 1_000])
def test_no_speech_is_an_error(representation: SpeechRepresentation, kept: int) -> None:
    with pytest.raises(InputError, match="no sample"):
        FirstHearing(representation, SAMPLES, 25, BLOCK, kept_bytes=kept).hear([])
