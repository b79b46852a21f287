"""What a clip's vocal tract does in time: phones with their durations, then smooth articulator tracks."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import convolve1d

from data_modules.synthetic.emotion import Emotion
from data_modules.synthetic.phones import MORE_SENTENCES, PHONES, SENTENCES

CONTROL_RATE = 1000
SILENCE = 0.1


@dataclass(frozen=True)
class Segment:
    """A phone from `start` to `end` (s); a stop's lips or tongue let go at `release`."""

    phone: str
    start: float
    end: float
    release: float
    accent: float


@dataclass(frozen=True)
class Score:
    """Articulator tracks at `CONTROL_RATE`; arrays are (M,); formants (M, 3) in Hz, of an average man."""

    segments: list[Segment]
    seconds: float
    formants: np.ndarray
    voicing: np.ndarray
    aspiration: np.ndarray
    frication: np.ndarray
    noise_hz: np.ndarray
    noise_width_hz: np.ndarray
    nasality: np.ndarray
    accents: np.ndarray  # semitones
    semitones: np.ndarray  # declination and accents, before the emotion's range
    opening: np.ndarray
    width: np.ndarray
    lip_on_teeth: np.ndarray
    teeth: np.ndarray
    tongue: np.ndarray

    def at(self, track: np.ndarray, times: np.ndarray) -> np.ndarray:
        """A track read at `times` (s)."""
        return np.interp(times, (np.arange(len(track)) + 0.5) / CONTROL_RATE, track)


def _sentence_phones(sentence: str) -> list[tuple[str, float]]:
    """(phone, accent) pairs: a word's first full vowel is accented, the sentence's last one most."""
    result: list[tuple[str, float]] = []
    words = SENTENCES[sentence] if sentence in SENTENCES else MORE_SENTENCES[sentence]
    for place, word in enumerate(words):
        fresh = len(word.split()) > 2
        for name in word.split():
            stressed = fresh and PHONES[name].kind == "vowel" and name != "AX"
            result.append((name, (1.4 if place == len(words) - 1 else 1.0) if stressed else 0.0))
            fresh = fresh and not stressed
    return result


def _nominal(sentence: str) -> np.ndarray:
    phones = _sentence_phones(sentence)
    durations = np.array([PHONES[name].seconds * (1.25 if accent else 1.0) for name, accent in phones])
    durations[-2:] *= 1.25  # phrase-final lengthening
    return durations


_MEAN_NOMINAL = float(np.mean([_nominal(code).sum() for code in SENTENCES]))


def lay_out(
    sentence: str, tempo: float, seconds: tuple[float, float], rng: np.random.Generator, fps: float
) -> tuple[list[Segment], float]:
    """Phones in time and the clip's length, a whole number of frames at `fps`.

    Sentences are drawn towards the middle of `seconds`, so that their lengths and the tempo both fit in.
    """
    low, high = seconds
    durations = _nominal(sentence)
    middle = (low + high) / 2 - 2 * SILENCE
    speech = middle * (durations.sum() / _MEAN_NOMINAL) ** 0.4 / tempo
    durations = durations * rng.uniform(0.9, 1.1, len(durations))
    total = float(np.clip(speech * rng.uniform(0.97, 1.03) + 2 * SILENCE, low, high))
    total = round(total * fps) / fps
    durations *= (total - 2 * SILENCE) / durations.sum()
    segments = [Segment("SIL", 0.0, SILENCE, SILENCE, 0.0)]
    for (name, accent), length in zip(_sentence_phones(sentence), durations.tolist(), strict=True):
        start = segments[-1].end
        kind = PHONES[name].kind
        let_go = {"stop": length - min(0.42 * length, 0.045), "affricate": 0.45 * length}.get(kind, length)
        segments.append(Segment(name, start, start + length, start + let_go, accent))
    segments.append(Segment("SIL", segments[-1].end, total, total, 0.0))
    return segments, total


def _smooth(track: np.ndarray, seconds: float) -> np.ndarray:
    kernel = np.hanning(max(3, round(seconds * CONTROL_RATE)) + 2)[1:-1]
    return convolve1d(track, kernel / kernel.sum(), axis=0, mode="nearest")


def articulate(segments: list[Segment], seconds: float, emotion: Emotion) -> Score:
    """Steps of phone targets, smoothed at the speed of each articulator (coarticulation)."""
    count = round(seconds * CONTROL_RATE) + 1
    times = (np.arange(count) + 0.5) / CONTROL_RATE
    sounds = ("voicing", "aspiration", "frication", "nasality")
    lips = ("opening", "width", "lip_on_teeth", "teeth", "tongue")
    tracks = {name: np.zeros(count) for name in sounds + lips}
    shut = np.zeros(count)
    formants = np.zeros((count, 3))
    noise_hz, noise_width = np.full(count, 3000.0), np.full(count, 1500.0)
    accents = np.zeros(count)

    for place, segment in enumerate(segments):
        phone = PHONES[segment.phone]
        here = slice(np.searchsorted(times, segment.start), np.searchsorted(times, segment.end))
        held = slice(here.start, np.searchsorted(times, segment.release))
        after = slice(held.stop, here.stop)
        # /h/ has no place of its own, and silence prepares the next sound or rests after the last.
        source = PHONES[segments[place + 1].phone] if segment.phone == "HH" else phone
        if segment.phone == "SIL":
            source = PHONES[segments[1].phone if place == 0 else segments[-2].phone]
        cuts = np.linspace(here.start, here.stop, len(source.targets) + 1).round().astype(int)
        for target, start, stop in zip(source.targets, cuts[:-1], cuts[1:], strict=True):
            formants[start:stop] = target.formants
            if segment.phone != "SIL":
                tracks["opening"][start:stop] = target.opening
                tracks["width"][start:stop] = target.width
        for name in ("lip_on_teeth", "teeth", "tongue"):
            tracks[name][here] = getattr(phone, name)
        noise_hz[here], noise_width[here] = phone.noise_hz, phone.noise_width_hz
        tracks["nasality"][here] = phone.kind == "nasal"
        shut[held] = phone.lips_shut
        if phone.kind == "stop":
            tracks["voicing"][held] = phone.voicing
            burst = slice(after.start, min(after.stop, after.start + round(0.012 * CONTROL_RATE)))
            tracks["frication"][burst] = phone.frication
            tracks["aspiration"][burst.start : after.stop] = phone.aspiration
            if phone.voicing:
                tracks["voicing"][burst.stop : after.stop] = 0.8
            follower = PHONES[segments[place + 1].phone]
            if follower.kind in ("vowel", "liquid"):  # the mouth is on its way at the release
                formants[after] = follower.targets[0].formants
                tracks["opening"][after] = 0.7 * follower.targets[0].opening
        else:
            tracks["voicing"][here] = phone.voicing
            tracks["aspiration"][here] = phone.aspiration
            tracks["frication"][after if phone.kind == "affricate" else here] = phone.frication
        if segment.accent:
            middle = (segment.start + segment.end) / 2
            accents += 2.2 * segment.accent * np.exp(-0.5 * ((times - middle) / 0.07) ** 2)

    opening = _smooth(tracks["opening"], 0.100)
    # Lips press together for the whole closure; the smoothing above alone would leave a gap in a short /b/.
    opening = np.clip(opening * (1 - np.clip(1.5 * _smooth(shut, 0.035), 0, 1)), 0, 1)
    # Louder speech moves the jaw more.
    opening *= float(np.clip(1 + 0.03 * emotion.loudness, 0.8, 1.15))
    return Score(
        segments=segments,
        seconds=seconds,
        formants=_smooth(formants, 0.095),
        voicing=_smooth(tracks["voicing"], 0.030),
        aspiration=_smooth(tracks["aspiration"], 0.014),
        frication=_smooth(tracks["frication"], 0.010),
        noise_hz=noise_hz,
        noise_width_hz=noise_width,
        nasality=_smooth(tracks["nasality"], 0.025),
        accents=accents,
        semitones=accents + 2.0 - 4.5 * times / seconds,
        opening=opening,
        width=_smooth(tracks["width"], 0.110),
        lip_on_teeth=_smooth(tracks["lip_on_teeth"], 0.060),
        teeth=_smooth(tracks["teeth"], 0.060),
        tongue=_smooth(tracks["tongue"], 0.070),
    )
