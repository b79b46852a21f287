"""Phones, with acoustic and lip targets, and sentences spelled in them: CREMA-D's twelve and twelve more."""

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["vowel", "nasal", "liquid", "stop", "affricate", "fricative", "silence"]


@dataclass(frozen=True)
class Target:
    """What the vocal tract aims at: an average man's formants in Hz, lips relative to the speaker's."""

    formants: tuple[float, float, float]
    opening: float  # 0 closed .. 1 widest
    width: float  # -1 rounded .. +1 spread


@dataclass(frozen=True)
class Phone:
    """One sound. `targets` holds two entries for a diphthong, reached one after the other.

    Amplitudes are linear, 1 = a vowel's: `voicing` of the glottal source, `frication` of the noise made at
    the constriction (a Gaussian in frequency), `aspiration` of noise sent through the whole tract.
    """

    kind: Kind
    targets: tuple[Target, ...]
    seconds: float
    voicing: float = 0.0
    frication: float = 0.0
    noise_hz: float = 3000.0
    noise_width_hz: float = 1500.0
    aspiration: float = 0.0
    lips_shut: bool = False
    lip_on_teeth: float = 0.0
    teeth: float = 0.0  # 1: teeth together, seen between the lips
    tongue: float = 0.0  # 1: tongue tip up at the teeth


def _vowel(seconds: float, *targets: tuple[float, float, float, float, float]) -> Phone:
    return Phone(
        "vowel",
        tuple(Target((f1, f2, f3), opening, width) for f1, f2, f3, opening, width in targets),
        seconds,
        1.0,
    )


def _other(
    kind: Kind,
    seconds: float,
    formants: tuple[float, float, float],
    opening: float,
    width: float,
    **rest: Any,
) -> Phone:
    return Phone(kind, (Target(formants, opening, width),), seconds, **rest)


# Formants after Peterson & Barney (1952), men; consonant loci after Klatt (1980), rounded.
PHONES: dict[str, Phone] = {
    "IY": _vowel(0.135, (280, 2250, 2950, 0.30, 0.85)),
    "IH": _vowel(0.100, (400, 1950, 2550, 0.38, 0.45)),
    "EH": _vowel(0.120, (550, 1800, 2500, 0.58, 0.35)),
    "AE": _vowel(0.150, (680, 1700, 2430, 0.82, 0.45)),
    "AA": _vowel(0.155, (740, 1120, 2450, 1.00, 0.00)),
    "AO": _vowel(0.150, (580, 880, 2420, 0.76, -0.60)),
    "UH": _vowel(0.105, (450, 1050, 2250, 0.38, -0.55)),
    "UW": _vowel(0.130, (310, 900, 2250, 0.26, -1.00)),
    "AH": _vowel(0.115, (620, 1200, 2400, 0.64, 0.05)),
    "AX": _vowel(0.070, (500, 1450, 2450, 0.40, 0.05)),
    "ER": _vowel(0.130, (480, 1330, 1680, 0.38, -0.35)),
    "EY": _vowel(0.155, (480, 1950, 2550, 0.55, 0.50), (330, 2200, 2800, 0.32, 0.80)),
    "OW": _vowel(0.165, (520, 950, 2400, 0.66, -0.60), (360, 850, 2300, 0.28, -1.00)),
    "AY": _vowel(0.175, (730, 1200, 2450, 0.95, 0.10), (380, 2050, 2650, 0.38, 0.65)),
    "AW": _vowel(0.180, (730, 1250, 2450, 0.95, 0.10), (400, 900, 2300, 0.32, -0.90)),
    "OY": _vowel(0.180, (540, 880, 2400, 0.66, -0.80), (370, 2050, 2600, 0.36, 0.60)),
    "M": _other("nasal", 0.085, (260, 1100, 2200), 0.0, 0.0, voicing=0.5, lips_shut=True),
    "N": _other("nasal", 0.070, (260, 1600, 2600), 0.20, 0.15, voicing=0.5, tongue=0.8, teeth=0.4),
    "NG": _other("nasal", 0.080, (260, 2000, 2700), 0.26, 0.15, voicing=0.5),
    "L": _other("liquid", 0.070, (360, 1100, 2600), 0.32, 0.15, voicing=0.65, tongue=1.0),
    "R": _other("liquid", 0.075, (350, 1150, 1600), 0.26, -0.50, voicing=0.65),
    "W": _other("liquid", 0.080, (310, 720, 2200), 0.14, -1.00, voicing=0.6),
    "HH": _other("fricative", 0.060, (500, 1500, 2500), 0.45, 0.1, aspiration=0.55),
    "F": _other(
        "fricative",
        0.100,
        (280, 1200, 2300),
        0.10,
        0.10,
        frication=0.10,
        noise_hz=5200,
        noise_width_hz=3500,
        lip_on_teeth=1.0,
    ),
    "V": _other(
        "fricative",
        0.070,
        (280, 1200, 2300),
        0.10,
        0.10,
        voicing=0.4,
        frication=0.05,
        noise_hz=5200,
        noise_width_hz=3500,
        lip_on_teeth=1.0,
    ),
    "TH": _other(
        "fricative",
        0.090,
        (300, 1350, 2550),
        0.22,
        0.20,
        frication=0.08,
        noise_hz=6200,
        noise_width_hz=2600,
        tongue=1.0,
        teeth=0.5,
    ),
    "DH": _other(
        "fricative",
        0.055,
        (300, 1350, 2550),
        0.22,
        0.20,
        voicing=0.45,
        frication=0.05,
        noise_hz=6200,
        noise_width_hz=2600,
        tongue=1.0,
        teeth=0.5,
    ),
    "S": _other(
        "fricative",
        0.105,
        (300, 1650, 2600),
        0.15,
        0.50,
        frication=0.42,
        noise_hz=6000,
        noise_width_hz=1100,
        teeth=1.0,
    ),
    "Z": _other(
        "fricative",
        0.080,
        (300, 1650, 2600),
        0.15,
        0.50,
        voicing=0.4,
        frication=0.22,
        noise_hz=6000,
        noise_width_hz=1100,
        teeth=1.0,
    ),
    "JH": _other(
        "affricate",
        0.105,
        (280, 1850, 2500),
        0.20,
        -0.50,
        voicing=0.12,
        frication=0.34,
        noise_hz=3100,
        noise_width_hz=900,
        teeth=1.0,
    ),
    "P": _other(
        "stop",
        0.100,
        (250, 900, 2200),
        0.0,
        0.0,
        frication=0.30,
        noise_hz=900,
        noise_width_hz=700,
        aspiration=0.4,
        lips_shut=True,
    ),
    "B": _other(
        "stop",
        0.085,
        (250, 900, 2200),
        0.0,
        0.0,
        voicing=0.14,
        frication=0.22,
        noise_hz=900,
        noise_width_hz=700,
        lips_shut=True,
    ),
    "T": _other(
        "stop",
        0.085,
        (250, 1750, 2650),
        0.18,
        0.20,
        frication=0.50,
        noise_hz=4600,
        noise_width_hz=1500,
        aspiration=0.3,
        teeth=0.8,
        tongue=0.6,
    ),
    "D": _other(
        "stop",
        0.070,
        (250, 1750, 2650),
        0.18,
        0.20,
        voicing=0.14,
        frication=0.35,
        noise_hz=4200,
        noise_width_hz=1500,
        teeth=0.8,
        tongue=0.6,
    ),
    "K": _other(
        "stop",
        0.090,
        (250, 1900, 2250),
        0.26,
        0.10,
        frication=0.45,
        noise_hz=2000,
        noise_width_hz=600,
        aspiration=0.35,
    ),
    "G": _other(
        "stop",
        0.075,
        (250, 1900, 2250),
        0.26,
        0.10,
        voicing=0.14,
        frication=0.30,
        noise_hz=2000,
        noise_width_hz=600,
    ),
    "SIL": _other("silence", 0.100, (500, 1500, 2500), 0.0, 0.0),
}

# Sentence code of CREMA-D -> words, each a string of phones.
SENTENCES: dict[str, tuple[str, ...]] = {
    "IEO": ("IH T S", "IH L EH V AX N", "AX K L AA K"),
    "TIE": ("DH AE T", "IH Z", "IH G Z AE K T L IY", "W AH T", "HH AE P AX N D"),
    "IOM": ("AY M", "AA N", "M AY", "W EY", "T UW", "DH AX", "M IY T IH NG"),
    "IWW": ("AY", "W AH N D ER", "W AH T", "DH IH S", "IH Z", "AX B AW T"),
    "TAI": ("DH IY", "EH R P L EY N", "IH Z", "AO L M OW S T", "F UH L"),
    "MTI": ("M EY B IY", "T AX M AA R OW", "IH T", "W IH L", "B IY", "K OW L D"),
    "IWL": ("AY", "W UH D", "L AY K", "AX", "N UW", "AX L AA R M", "K L AA K"),
    "ITH": ("AY", "TH IH NG K", "AY", "HH AE V", "AX", "D AA K T ER Z", "AX P OY N T M AX N T"),
    "DFA": ("D OW N T", "F ER G EH T", "AX", "JH AE K AX T"),
    "ITS": ("AY", "TH IH NG K", "AY V", "S IY N", "DH IH S", "B IH F AO R"),
    "TSI": ("DH AX", "S ER F AX S", "IH Z", "S L IH K"),
    "WSI": ("W IY L", "S T AA P", "IH N", "AX", "K AH P AX L", "AX V", "M IH N AX T S"),
}

MORE_SENTENCES: dict[str, tuple[str, ...]] = {
    "OTW": ("OW P AX N", "DH AX", "W IH N D OW", "W AY D"),
    "SBM": ("S AH M", "B OW T S", "M UW V", "S L OW L IY"),
    "GMB": ("G IH V", "M IY", "B OW TH", "AE P AX L Z"),
    "RFA": ("R EY N", "F EH L", "AO L", "M AO R N IH NG"),
    "OUB": ("AW ER", "AH NG K AX L", "B AY Z", "OW L D", "M AE P S"),
    "TBR": ("DH AX", "B OY", "R AE N", "HH OW M", "HH AE P IY"),
    "MWF": ("M AY", "W AY F", "F AW N D", "F AY V", "B IY D Z"),
    "NEA": ("N OW B AA D IY", "EH V ER", "AE S K T", "M IY"),
    "PLM": ("P L IY Z", "L IY V", "M IY", "AX", "M AE P"),
    "TBA": ("T UW", "B EH R Z", "EY T", "AW ER", "F UW D"),
    "IMW": ("IH T", "M EY", "W ER K", "B AY", "N AW"),
    "WAB": ("W IY", "AO L", "B AO T", "S AH M", "B R EH D"),
}
"""Not CREMA-D's, for a corpus of more sentences than twelve."""
