"""The speech, measured by means that know nothing of how it was made."""

import numpy as np
import pytest
from scipy.linalg import solve_toeplitz

from data_modules.synthetic.emotion import EMOTIONS
from data_modules.synthetic.phones import PHONES, SENTENCES
from data_modules.synthetic.score import Score, Segment, articulate, lay_out
from data_modules.synthetic.speaker import Speaker, invent_speaker
from data_modules.synthetic.voice import speak

RATE = 16_000
CREMA_D = {"IEO", "TIE", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "DFA", "ITS", "TSI", "WSI"}


def say(speaker: Speaker, emotion: str = "NEU", sentence: str = "TAI") -> tuple[Score, np.ndarray]:
    rng = np.random.default_rng(0)
    feeling = EMOTIONS[emotion]
    segments, seconds = lay_out(sentence, feeling.tempo * speaker.voice.tempo, (1.0, 5.0), rng, 25.0)
    score = articulate(segments, seconds, feeling)
    return score, speak(score, speaker.voice, feeling, rng)[0] / 32768


def measured_pitch(speech: np.ndarray) -> np.ndarray:
    """f0 by normalised autocorrelation over 40 ms windows, the clearly periodic ones."""
    found = []
    for start in range(0, len(speech) - 640, 160):
        piece = speech[start : start + 640] - speech[start : start + 640].mean()
        if np.sqrt(np.mean(piece**2)) < 0.01:
            continue
        correlation = np.array([piece[: 640 - lag] @ piece[lag:] for lag in range(30, 260)])
        energy = np.array(
            [np.linalg.norm(piece[: 640 - lag]) * np.linalg.norm(piece[lag:]) for lag in range(30, 260)]
        )
        correlation /= energy
        peaks = np.flatnonzero(correlation > 0.9 * correlation.max())
        if correlation.max() > 0.85:
            first = peaks[0]  # the shortest good period, climbed to its top
            while first + 1 < len(correlation) and correlation[first + 1] > correlation[first]:
                first += 1
            found.append(RATE / (30 + first))
    return np.array(found)


def held_vowel(name: str, speaker: Speaker) -> np.ndarray:
    """Half a second of one vowel."""
    segments = [
        Segment("SIL", 0, 0.1, 0.1, 0),
        Segment(name, 0.1, 0.9, 0.9, 0),
        Segment("SIL", 0.9, 1.0, 1.0, 0),
    ]
    score = articulate(segments, 1.0, EMOTIONS["NEU"])
    speech, _ = speak(score, speaker.voice, EMOTIONS["NEU"], np.random.default_rng(1))
    return speech[4000:12000] / 32768


def resonances(speech: np.ndarray, order: int) -> np.ndarray:
    """Frequencies of the poles of a linear prediction (autocorrelation method), sharp ones only."""
    piece = np.diff(speech) * np.hamming(len(speech) - 1)
    lags = np.array([piece[: len(piece) - k] @ piece[k:] for k in range(order + 1)])
    predictor = solve_toeplitz(lags[:-1] * np.r_[1.0001, np.ones(order - 1)], lags[1:])
    poles = np.roots(np.r_[1, -predictor])
    poles = poles[(poles.imag > 0) & (np.abs(poles) > 0.80)]
    return np.sort(np.angle(poles) * RATE / (2 * np.pi))


@pytest.mark.parametrize("index", range(6))
def test_the_measured_pitch_is_the_speakers(index: int) -> None:
    speaker = invent_speaker(0, index)
    median = float(np.median(measured_pitch(say(speaker)[1])))
    assert abs(12 * np.log2(median / speaker.voice.f0)) < 3  # semitones; a sentence's tune moves by more


@pytest.mark.parametrize("vowel", ["IY", "EH", "AE", "AA", "UW"])
def test_linear_prediction_finds_the_vowels_formants(vowel: str) -> None:
    man = invent_speaker(0, 0)  # a low voice: its harmonics are dense enough to measure formants
    found = resonances(held_vowel(vowel, man), order=18)
    for wanted in PHONES[vowel].targets[0].formants[:2]:
        wanted *= man.voice.tract
        assert np.abs(found - wanted).min() < max(70, 0.10 * wanted), (vowel, wanted, found)


def test_a_shorter_vocal_tract_has_higher_formants() -> None:
    man, woman = invent_speaker(0, 0), invent_speaker(0, 1)
    assert woman.voice.tract > man.voice.tract
    centroids = []
    for speaker in (man, woman):
        spectrum = np.abs(np.fft.rfft(held_vowel("AE", speaker) * np.hanning(8000)))
        frequency = np.fft.rfftfreq(8000, 1 / RATE)
        band = (frequency > 1200) & (frequency < 2500)  # around the second formant
        centroids.append(float((spectrum * frequency)[band].sum() / spectrum[band].sum()))
    assert centroids[1] > 1.05 * centroids[0]


def test_stops_are_silent_then_burst_and_fricatives_hiss() -> None:
    score, speech = say(invent_speaker(0, 0), sentence="WSI")
    level = {}
    for segment in score.segments:
        if segment.phone in ("T", "S"):
            piece = speech[round((segment.start + 0.015) * RATE) : round((segment.release - 0.015) * RATE)]
            level[segment.phone] = 20 * np.log10(np.sqrt(np.mean(piece**2)) + 1e-9)
            if segment.phone == "S":
                spectrum = np.abs(np.fft.rfft(piece)) ** 2
                frequency = np.fft.rfftfreq(len(piece), 1 / RATE)
                assert spectrum[frequency > 4000].sum() > 5 * spectrum[frequency < 2000].sum()
    assert level["T"] < level["S"] - 15
    assert level["T"] < -45


def test_emotions_are_heard() -> None:
    speaker = invent_speaker(0, 0)
    clips = {emotion: say(speaker, emotion) for emotion in EMOTIONS}
    pitch = {emotion: float(np.median(measured_pitch(clip[1]))) for emotion, clip in clips.items()}
    loudness = {e: 10 * np.log10(np.mean(clip[1] ** 2)) for e, clip in clips.items()}
    length = {emotion: clip[0].seconds for emotion, clip in clips.items()}
    assert pitch["FEA"] > pitch["HAP"] > pitch["NEU"] > pitch["SAD"]
    assert loudness["ANG"] > loudness["HAP"] > loudness["NEU"] > loudness["SAD"] + 3
    assert length["SAD"] > length["NEU"] > length["ANG"]


def test_every_sentence_is_made_of_known_phones() -> None:
    assert set(SENTENCES) == CREMA_D
    assert {name for words in SENTENCES.values() for word in words for name in word.split()} <= set(PHONES)


def test_speech_never_clips() -> None:
    for index in range(4):
        assert np.abs(say(invent_speaker(0, index), "ANG")[1]).max() < 0.99
