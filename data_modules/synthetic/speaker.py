"""Invented people: a face and a voice that vary together.

Speakers are spread by an additive low-discrepancy sequence (Roberts' R_d) rather than drawn independently, so
that six of them are already clearly different; men and women alternate. What goes together in people goes
together here: a long vocal tract with a long face and a broad jaw, a low voice with heavy brows, a breathy,
rough voice with age.
"""

from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

Colour = tuple[int, int, int]
HairStyle = Literal[
    "crop", "quiff", "bald", "curls", "side_part", "buzz", "long", "bob", "bun", "waves", "pixie"
]
Choice = TypeVar("Choice")

SKINS: tuple[Colour, ...] = (
    (250, 214, 186), (232, 184, 146), (205, 150, 108), (168, 112, 74), (122, 78, 54), (243, 200, 172),
)  # fmt: skip
HAIRS: tuple[Colour, ...] = (
    (38, 30, 32),
    (84, 54, 38),
    (126, 82, 48),
    (214, 168, 92),
    (172, 82, 40),
    (66, 40, 34),
)
GREYS: tuple[Colour, ...] = ((150, 150, 156), (196, 194, 192))
IRISES: tuple[Colour, ...] = (
    (94, 58, 34),
    (70, 118, 170),
    (84, 128, 78),
    (58, 40, 30),
    (120, 132, 142),
    (132, 96, 44),
)
MEN_HAIR: tuple[HairStyle, ...] = ("crop", "quiff", "bald", "curls", "side_part", "buzz")
WOMEN_HAIR: tuple[HairStyle, ...] = ("long", "bob", "bun", "curls", "waves", "pixie")


@dataclass(frozen=True)
class Voice:
    """Glottal source and vocal tract."""

    f0: float  # Hz, median of neutral speech
    tract: float  # factor on every formant; 1 = an average man's, above 1 = a shorter tract
    breath: float  # aspiration noise relative to voicing
    tilt_db: float  # dB per octave above 500 Hz
    jitter: float  # relative cycle-to-cycle variation of the period
    tempo: float


@dataclass(frozen=True)
class Face:
    """Lengths are fractions of the picture's height; colours RGB."""

    skin: Colour
    hair_colour: Colour
    hair: HairStyle
    iris: Colour
    lips: Colour
    background: Colour
    clothes: Colour
    cheek: float  # half width of the face at the cheekbones
    jaw: float  # half width at the jaw
    chin: float  # height of the chin's end
    brow_thickness: float
    brow_height: float
    eye_size: float
    eye_gap: float  # from the middle to an eye's centre
    eye_tilt: float
    nose_width: float
    nose_length: float
    mouth_width: float
    lip_fullness: float
    glasses: bool
    beard: float  # 0 none, 0.5 stubble, 1 full
    moustache: bool
    freckles: bool
    earrings: bool
    long_lashes: bool
    age: int


@dataclass(frozen=True)
class Speaker:
    index: int
    sex: Literal["Male", "Female"]
    face: Face
    voice: Voice


def _spread(seed: int, rank: int, dimensions: int) -> np.ndarray:
    """Point `rank` of a low-discrepancy sequence in [0, 1)^dimensions, shifted by the seed."""
    root = 2.0
    for _ in range(40):
        root = (1.0 + root) ** (1.0 / (dimensions + 1))
    shift = np.random.default_rng([seed, 7001]).random(dimensions)
    return (shift + (rank + 1) * root ** -np.arange(1.0, dimensions + 1)) % 1.0


def _between(low: float, high: float, at: float) -> float:
    return float(low + (high - low) * at)


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    wheel = np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    red, green, blue = (value * (1 - saturation * (1 - wheel)) * 255).round().astype(int).tolist()
    return red, green, blue


def invent_speaker(seed: int, index: int) -> Speaker:
    """Speaker `index` (from 0) of the corpus made with `seed`; the same whoever else is in it."""
    woman = index % 2 == 1
    rank = index // 2
    # Pitch alone on its own golden-ratio sequence: the strongest cue must be spread best.
    pitch = (np.random.default_rng([seed, 7002, int(woman)]).random() + rank * 0.6180339887) % 1.0
    u = _spread(seed + int(woman), rank, 6)
    first = int(np.random.default_rng([seed, 7003, int(woman)]).integers(6))

    def pick(options: tuple[Choice, ...], stride: int, offset: int = 0) -> Choice:
        return options[(first + offset + rank * stride + rank // len(options)) % len(options)]

    # The vocal tract on a sequence of its own too: an emotion moves a voice's pitch as far as two speakers of one
    # sex lie apart, so that pitch alone does not tell who speaks.
    tract_at = (np.random.default_rng([seed, 7004, int(woman)]).random() + rank * 0.7548776662) % 1.0
    rough = float(u[1])
    voice = Voice(
        f0=float((165 if woman else 80) * (1.7 if woman else 1.85) ** pitch),
        tract=_between(1.06, 1.36, tract_at) if woman else _between(0.80, 1.02, tract_at),
        breath=_between(0.01, 0.14, rough) + (0.03 if woman else 0.0),
        tilt_db=_between(5.0, -5.0, float(u[2])),
        jitter=_between(0.003, 0.018, rough),
        tempo=_between(0.95, 1.05, float(u[3])),
    )
    age = round(_between(20, 68, rough))
    hair: HairStyle = pick(WOMEN_HAIR if woman else MEN_HAIR, 1)
    skin: Colour = pick(SKINS, 5, 2 + 3 * int(woman))
    hair_colour: Colour = pick(HAIRS, 5 if woman else 1, 1 + 2 * int(woman))
    if age > 54:
        hair_colour = GREYS[rank % 2]
    if sum(skin) < 340 and sum(hair_colour) > 260 and age <= 54:
        hair_colour = HAIRS[0]
    red, green, blue = skin
    rose = (0.62, 0.36, 0.40) if woman else (0.80, 0.58, 0.56)
    lips: Colour = (
        round(red * rose[0] + (70 if woman else 10)),
        round(green * rose[1] + 10),
        round(blue * rose[2] + 18),
    )
    hue = (0.11 + 0.6180339887 * index + float(np.random.default_rng([seed, 7004]).random())) % 1.0
    light_voice = tract_at
    bearded = not woman and (hair == "bald" or u[4] > 0.62)
    face = Face(
        skin=skin,
        hair_colour=hair_colour,
        hair=hair,
        iris=pick(IRISES, 1, 4),
        lips=lips,
        background=_hsv(hue, 0.30, 0.86),
        clothes=_hsv((hue + 0.45) % 1.0, 0.55, 0.62),
        cheek=_between(0.315, 0.275, light_voice) if not woman else _between(0.295, 0.262, light_voice),
        jaw=_between(0.262, 0.205, light_voice) if not woman else _between(0.215, 0.18, light_voice),
        chin=_between(0.925, 0.895, tract_at) if not woman else _between(0.91, 0.885, tract_at),
        brow_thickness=_between(0.034, 0.024, pitch) if not woman else _between(0.021, 0.014, pitch),
        brow_height=_between(0.088, 0.100, float(u[5])),
        eye_size=_between(0.066, 0.074, float(u[5])) + (0.006 if woman else 0.0),
        eye_gap=_between(0.128, 0.146, float(u[4])),
        eye_tilt=_between(-0.006, 0.010, float(u[3])),
        nose_width=_between(0.058, 0.040, light_voice) - (0.006 if woman else 0.0),
        nose_length=_between(0.150, 0.172, float(u[2])),
        mouth_width=_between(0.128, 0.112, light_voice) - (0.006 if woman else 0.0),
        lip_fullness=_between(0.75, 1.05, float(u[5]))
        + (0.25 if woman else 0.0)
        + (0.1 if sum(skin) < 340 else 0.0),
        glasses=(rank + first + (2 if woman else 0)) % 4 == 1,
        beard=(1.0 if hair == "bald" or u[4] > 0.8 else 0.5) if bearded else 0.0,
        moustache=bearded and hair != "buzz",
        freckles=sum(skin) > 560 and u[2] > 0.45,
        long_lashes=woman,
        earrings=woman and rank % 2 == 0,
        age=age,
    )
    return Speaker(index, "Female" if woman else "Male", face, voice)
