"""Phones in time and what the lips do."""

from itertools import pairwise

import numpy as np
import pytest

from data_modules.synthetic.emotion import EMOTIONS
from data_modules.synthetic.phones import PHONES, SENTENCES
from data_modules.synthetic.score import SILENCE, articulate, lay_out


@pytest.mark.parametrize("sentence", list(SENTENCES))
def test_phones_follow_each_other_without_gaps(sentence: str) -> None:
    segments, seconds = lay_out(sentence, 1.0, (1.8, 2.6), np.random.default_rng(3), 25.0)
    assert segments[0].start == 0 and segments[-1].end == seconds
    assert segments[0].end == SILENCE and segments[-1].start == pytest.approx(seconds - SILENCE)
    assert all(a.end == b.start for a, b in pairwise(segments))
    assert all(s.start < s.release <= s.end for s in segments)
    assert [s.phone for s in segments[1:-1]] == " ".join(SENTENCES[sentence]).split()
    assert 1.8 <= seconds <= 2.6 and seconds * 25 == pytest.approx(round(seconds * 25))


@pytest.mark.parametrize("fps", [25.0, 30000 / 1001])
@pytest.mark.parametrize("sentence", ["MTI", "ITS", "IOM", "WSI", "TIE"])
@pytest.mark.parametrize("tempo", [0.84, 1.2])
def test_every_frame_in_the_middle_of_a_lip_closure_is_closed(
    sentence: str, tempo: float, fps: float
) -> None:
    segments, seconds = lay_out(sentence, tempo, (1.8, 2.6), np.random.default_rng(0), fps)
    score = articulate(segments, seconds, EMOTIONS["ANG"])
    closures = [s for s in segments if PHONES[s.phone].lips_shut]
    assert closures
    for segment in closures:
        middle = np.linspace(
            segment.start + 0.25 * (segment.release - segment.start), segment.release - 0.012, 5
        )
        assert score.at(score.opening, middle).max() < 0.05
        frames = (np.arange(round(seconds * fps)) + 0.5) / fps
        seen = frames[(frames > segment.start) & (frames < segment.release)]
        if len(seen) >= 2:  # a viewer gets to see it
            assert score.at(score.opening, seen).min() < 0.08


def test_vowels_open_the_mouth_by_their_openness() -> None:
    segments, seconds = lay_out("MTI", 1.0, (1.8, 2.6), np.random.default_rng(0), 25.0)
    score = articulate(segments, seconds, EMOTIONS["NEU"])
    peak = {s.phone: float(score.at(score.opening, np.linspace(s.start, s.end, 20)).max()) for s in segments}
    assert peak["AA"] > 0.85 > peak["EY"] > peak["IY"] > 0.2
    assert score.opening[:50].max() < 0.02 and score.opening[-50:].max() < 0.05  # at rest in the silences
    rounded = next(s for s in segments if s.phone == "OW")
    assert score.at(score.width, np.array([rounded.end - 0.03]))[0] < -0.5
    spread = next(s for s in segments if s.phone == "IY")
    assert score.at(score.width, np.array([(spread.start + spread.end) / 2]))[0] > 0.5


def test_tracks_are_smooth() -> None:
    segments, seconds = lay_out("TIE", 1.1, (1.8, 2.6), np.random.default_rng(0), 25.0)
    score = articulate(segments, seconds, EMOTIONS["NEU"])
    assert np.abs(np.diff(score.formants, axis=0)).max() < 60  # Hz in a millisecond
    assert np.abs(np.diff(score.opening)).max() < 0.08


def test_a_fainter_emotion_lies_between_neutral_and_full() -> None:
    half = EMOTIONS["ANG"].scaled(0.5)
    assert half.pitch == pytest.approx(1.0) and half.brow_inner == pytest.approx(-20)
    assert half.tempo == pytest.approx(1.06) and half.tint == pytest.approx((1.025, 0.955, 0.94))
    assert EMOTIONS["ANG"].scaled(1.0) == EMOTIONS["ANG"]
