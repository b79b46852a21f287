"""One clip: a speaker says a sentence with an emotion; frames, speech and the truth about both."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from data_modules.synthetic.emotion import EMOTIONS, Emotion
from data_modules.synthetic.face import FacePainter
from data_modules.synthetic.pose import Light, Pose
from data_modules.synthetic.score import Score, articulate, lay_out
from data_modules.synthetic.speaker import Speaker
from data_modules.synthetic.voice import speak

BLINK_SECONDS = 0.24


@dataclass(frozen=True)
class Clip:
    frames: np.ndarray  # (T, size, size, 3) uint8 RGB
    speech: np.ndarray  # (N,) int16, 16 kHz
    fps: Fraction
    truth: dict[str, Any]


def _light(rng: np.random.Generator) -> Light:
    red, green, blue = rng.uniform(0.975, 1.025, 3).tolist()
    return Light(rng.uniform(0.975, 1.025), rng.uniform(-1.0, -0.7), (red, green, blue))


def _wander(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """A slow smooth motion within about +-1."""
    total = np.zeros_like(times)
    for rate in (0.35, 0.8, 1.5):
        size, phase = rng.uniform(0.3, 1.0) / (1 + rate), rng.uniform(0, 2 * np.pi)
        total += size * np.sin(2 * np.pi * rate * times + phase)
    return total


def _blinks(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """Eyelids, 0 open to 1 shut: one blink every second or two."""
    lids = np.zeros_like(times)
    at = rng.uniform(0.2, 1.4)
    while at < times[-1]:
        arch = np.cos(np.pi * np.clip((times - at) / BLINK_SECONDS, -0.5, 0.5))
        lids = np.maximum(lids, np.clip(1.6 * arch - 0.2, 0, 1))
        at += rng.uniform(1.1, 2.4)
    return lids


def _poses(score: Score, emotion: Emotion, times: np.ndarray, rng: np.random.Generator) -> list[Pose]:
    x, y, roll, turn = (_wander(rng, times) for _ in range(4))
    stress = score.at(score.accents, times) / 3  # brows go up on accents
    blink = _blinks(rng, times)
    # Eyes jump and rest.
    jumps = np.cumsum(rng.uniform(0.4, 1.3, 1 + int(2.5 * score.seconds)))
    gaze = rng.uniform(-0.4, 0.4, len(jumps) + 1)[np.searchsorted(jumps, times)]
    lips = ("opening", "width", "lip_on_teeth", "teeth", "tongue")
    tracks = {name: score.at(getattr(score, name), times) for name in lips}
    return [
        Pose(
            **{name: float(track[i]) for name, track in tracks.items()},
            blink=float(blink[i]),
            brow=float(0.007 * np.clip(stress[i], 0, 1)),
            x=float(0.008 * x[i]),
            y=float(0.006 * y[i] + emotion.nod / 1000),
            roll=float(1.0 * roll[i] + emotion.tilt),
            turn=float(0.8 * turn[i]),
            gaze=float(gaze[i]),
        )
        for i in range(len(times))
    ]


def make_clip(
    speaker: Speaker,
    emotion: str,
    sentence: str,
    key: tuple[int, ...],
    size: int,
    fps: Fraction,
    seconds: tuple[float, float],
    intensity: float = 1.0,
) -> Clip:
    """Synthesize one clip, a function of its arguments alone; `key` seeds what varies from take to take.

    Frame i shows the face at (i + 0.5) / fps, the middle of the time it is on the screen.
    """
    feeling = EMOTIONS[emotion].scaled(intensity)
    timing, voice, looks = (np.random.default_rng([*key, part]) for part in (1, 2, 3))
    segments, length = lay_out(sentence, feeling.tempo * speaker.voice.tempo, seconds, timing, float(fps))
    score = articulate(segments, length, feeling)
    speech, f0 = speak(score, speaker.voice, feeling, voice)
    count = round(length * fps)
    times = (np.arange(count) + 0.5) / float(fps)
    painter = FacePainter(speaker.face, feeling, _light(looks), size)
    poses = _poses(score, feeling, times, looks)
    frames = np.stack([painter.frame(pose) for pose in poses])
    at = np.clip((times * 16_000).astype(int), 0, len(f0) - 1)
    voiced = score.at(score.voicing, times) > 0.3
    truth = {
        "speaker": speaker.index,
        "sex": speaker.sex,
        "emotion": emotion,
        "sentence": sentence,
        "seconds": round(length, 6),
        "frames": count,
        "fps": [fps.numerator, fps.denominator],
        "speaker_f0": round(speaker.voice.f0, 2),
        "speaker_tract": round(speaker.voice.tract, 4),
        "phones": [[part.phone, round(part.start, 4), round(part.end, 4)] for part in segments],
        "opening": [round(pose.opening, 4) for pose in poses],
        "width": [round(pose.width, 4) for pose in poses],
        "blink": [round(pose.blink, 4) for pose in poses],
        "head": [[round(m, 5) for m in (pose.x, pose.y, pose.roll, pose.turn)] for pose in poses],
        "f0": [round(float(f0[i]), 2) if on else 0.0 for i, on in zip(at, voiced, strict=True)],
    }
    return Clip(frames, speech, fps, truth)
