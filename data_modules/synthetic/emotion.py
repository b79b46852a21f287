"""The six CREMA-D emotions: how each moves the face and how it sounds."""

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Emotion:
    """Departures from the neutral face and voice. Face lengths are in thousandths of the picture's height."""

    brow_inner: float = 0.0  # > 0: inner brow ends up
    brow_outer: float = 0.0
    brow_gather: float = 0.0  # > 0: brows drawn together
    lid_upper: float = 0.0  # > 0: upper lid up, the eye opens; < 0: droops
    lid_lower: float = 0.0  # > 0: lower lid up, as in a smile
    lid_slant: float = 0.0  # > 0: inner corner of the upper lid down
    corners: float = 0.0  # > 0: mouth corners up
    stretch: float = 0.0  # > 0: mouth wider, in the units of a phone's width
    lip_raise: float = 0.0  # > 0: upper lip up, nose wrinkled
    lip_press: float = 0.0  # 0..1: thin lips
    frown_lines: float = 0.0  # 0..1: creases between the brows
    cheeks: float = 0.0  # 0..1: raised, red cheeks
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)  # of the skin
    tilt: float = 0.0  # degrees of head roll
    nod: float = 0.0  # head down
    pitch: float = 0.0  # semitones
    pitch_range: float = 1.0  # factor on accents and declination
    tremor: float = 0.0  # semitones of 6 Hz shake
    loudness: float = 0.0  # dB
    tempo: float = 1.0
    breath: float = 0.0  # added to the voice's breathiness
    tilt_db: float = 0.0  # dB per octave added above 500 Hz; > 0 is brighter, tenser
    jitter: float = 1.0  # factor

    def scaled(self, intensity: float) -> "Emotion":
        """The same emotion felt less (below 1) or more (above 1)."""
        neutral = Emotion()
        changes: dict[str, Any] = {}
        for field in fields(self):
            calm, felt = getattr(neutral, field.name), getattr(self, field.name)
            if isinstance(felt, tuple):
                changes[field.name] = tuple(c + intensity * (f - c) for c, f in zip(calm, felt, strict=True))
            else:
                changes[field.name] = calm + intensity * (felt - calm)
        return Emotion(**changes)


EMOTIONS: dict[str, Emotion] = {
    "ANG": Emotion(
        brow_inner=-40, brow_outer=14, brow_gather=16, lid_upper=-3, lid_lower=5, lid_slant=12, corners=-18,
        stretch=0.25, lip_press=0.5, frown_lines=1.0, tint=(1.05, 0.91, 0.88), nod=4,
        pitch=2.0, pitch_range=1.6, loudness=9.0, tempo=1.12, breath=-0.05, tilt_db=5.0, jitter=1.6,
    ),
    "DIS": Emotion(
        brow_inner=-22, brow_outer=-14, brow_gather=8, lid_upper=-12, lid_lower=10, corners=-24,
        stretch=-0.25, lip_raise=15, frown_lines=0.6, tint=(0.95, 1.02, 0.86), tilt=3.0,
        pitch=-2.0, pitch_range=1.0, loudness=2.5, tempo=0.88, breath=0.0, tilt_db=1.5, jitter=5.0,
    ),
    "FEA": Emotion(
        brow_inner=38, brow_outer=14, brow_gather=8, lid_upper=19, lid_lower=-5, corners=-9, stretch=0.5,
        frown_lines=0.3, tint=(0.97, 1.0, 1.06), nod=-4, pitch=4.0, pitch_range=0.7, tremor=1.2, loudness=-4.0,
        tempo=1.15, breath=0.20, tilt_db=0.0, jitter=2.0,
    ),
    "HAP": Emotion(
        brow_inner=13, brow_outer=18, lid_upper=-2, lid_lower=13, corners=38, stretch=0.6, cheeks=0.8,
        tint=(1.03, 1.0, 0.97), tilt=-2.0, pitch=3.0, pitch_range=2.6, loudness=5.5, tempo=1.04, breath=0.0,
        tilt_db=2.0,
    ),
    "NEU": Emotion(),
    "SAD": Emotion(
        brow_inner=34, brow_outer=-20, brow_gather=6, lid_upper=-13, lid_slant=-9, corners=-28, stretch=-0.2,
        frown_lines=0.2, tint=(0.94, 0.95, 1.02), tilt=2.0, nod=8, pitch=-2.0, pitch_range=0.4, loudness=-9.5,
        tempo=0.82, breath=0.20, tilt_db=-5.0, jitter=1.3,
    ),
}  # fmt: skip
"""Emotion code of CREMA-D -> what it does."""
