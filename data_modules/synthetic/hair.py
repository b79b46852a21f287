"""Hair: what hangs behind the head, and the cap in front of it, with locks and shine."""

from dataclasses import dataclass

import cv2
import numpy as np

from data_modules.synthetic.drawing import blend, curve, ellipse, fill, mask, mirrored, shade, soften, stroke
from data_modules.synthetic.speaker import Face


def _flow(size: int, seed: int, slant: float) -> np.ndarray:
    """Streaks along the hair, (size, size) about 0 +- 1: noise drawn out downwards and bent by `slant`."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 1, (1, size // 3)) + 0.5 * rng.normal(0, 1, (size // 3, size // 3))
    streaks = cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 0.9, sigmaY=size / 25)
    streaks = cv2.resize(streaks, (size, size), interpolation=cv2.INTER_LINEAR)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    radial = 0.5 + (x - 0.5) / (0.55 + 0.75 * y) + slant * (y - 0.2) ** 2
    bent = cv2.remap(streaks, radial * size, y * size, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return bent / (bent.std() + 1e-6)


def _colour(face: Face, size: int, slant: float = 0.0) -> np.ndarray:
    """(size, size, 3): the hair's own colour with streaks, and a band of shine near the crown."""
    streaks = _flow(size, 3, slant)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    ring = np.exp(-0.5 * ((np.hypot(x - 0.5, (y - 0.45)) - 0.33) / 0.035) ** 2) * np.exp(
        -0.5 * ((x - 0.38) / 0.16) ** 2
    )
    base = np.asarray(face.hair_colour, np.float32)
    tone = base * (1 + 0.13 * np.clip(streaks, -2, 2))[..., None]
    return tone + (ring * (0.30 + 0.10 * np.clip(streaks, -1, 2)))[..., None] * (shade(base, 1.55) - base)


def hair_behind(image: np.ndarray, face: Face) -> None:
    """What is seen beside and below the head of long hair, and buns."""
    size, c = image.shape[0], face.cheek
    outlines: list[np.ndarray] = []
    if face.hair in ("long", "waves"):
        swell = 0.035 if face.hair == "waves" else 0.0
        outlines.append(curve(mirrored([
            (0.5, 0.02), (0.5 + 0.85 * c, 0.09), (0.5 + c + 0.065, 0.32), (0.5 + c + 0.075 + swell, 0.58),
            (0.5 + c + 0.06, 0.74), (0.5 + c + 0.085 + swell, 0.90), (0.5 + c + 0.04, 1.06), (0.5, 1.1),
        ]), count=160))  # fmt: skip
    elif face.hair == "bob":
        outlines.append(curve(mirrored([
            (0.5, 0.02), (0.5 + 0.85 * c, 0.08), (0.5 + c + 0.07, 0.30), (0.5 + c + 0.105, 0.58),
            (0.5 + c + 0.085, 0.745), (0.5 + c - 0.03, 0.79), (0.5, 0.78),
        ]), count=160))  # fmt: skip
    elif face.hair == "bun":
        outlines.append(ellipse(0.5, 0.045, 0.115, 0.085))
    elif face.hair == "curls":
        rng = np.random.default_rng(8)
        for angle in np.linspace(-0.30, np.pi + 0.30, 17):
            reach = (c + 0.035, 0.36)
            outlines.append(
                ellipse(
                    0.5 + reach[0] * np.cos(angle),
                    0.42 - reach[1] * np.sin(angle),
                    *(rng.uniform(0.058, 0.075, 2)),
                )
            )
    if outlines:
        blend(image, mask(size, *outlines), shade(_colour(face, size), 0.72))


@dataclass(frozen=True)
class Cut:
    """A haircut: how far it stands above the skull and beside it, how low it ends, its streaks' slant."""

    lift: float
    side: float
    drop: float
    slant: float
    hairline: tuple[tuple[float, float], ...]  # right temple to left; x in half faces


CUTS: dict[str, Cut] = {
    "crop": Cut(
        0.05, 0.014, 0.46, 0.0, ((0.93, 0.33), (0.66, 0.215), (0, 0.185), (-0.66, 0.215), (-0.93, 0.33))
    ),
    "quiff": Cut(
        0.085, 0.01, 0.44, 0.5, ((0.93, 0.32), (0.7, 0.19), (0, 0.165), (-0.62, 0.2), (-0.93, 0.33))
    ),
    "curls": Cut(
        0.06, 0.03, 0.46, 0.0, ((0.94, 0.36), (0.64, 0.235), (0, 0.205), (-0.64, 0.235), (-0.94, 0.36))
    ),
    "side_part": Cut(
        0.06, 0.016, 0.47, -0.8, ((0.95, 0.35), (0.8, 0.27), (0.1, 0.245), (-0.5, 0.17), (-0.92, 0.3))
    ),
    "buzz": Cut(0.022, 0.004, 0.42, 0.0, ((0.93, 0.3), (0.64, 0.2), (0, 0.17), (-0.64, 0.2), (-0.93, 0.3))),
    "long": Cut(0.06, 0.045, 0.6, 0.0, ((0.9, 0.5), (0.74, 0.29), (0, 0.145), (-0.74, 0.29), (-0.9, 0.5))),
    "bob": Cut(0.06, 0.05, 0.64, 0.0, ((0.86, 0.52), (0.8, 0.325), (0, 0.315), (-0.8, 0.325), (-0.86, 0.52))),
    "bun": Cut(
        0.045, 0.01, 0.42, 0.0, ((0.95, 0.35), (0.7, 0.215), (0, 0.165), (-0.7, 0.215), (-0.95, 0.35))
    ),
    "waves": Cut(
        0.065, 0.05, 0.58, -0.8, ((0.88, 0.48), (0.72, 0.32), (0.05, 0.235), (-0.48, 0.155), (-0.9, 0.42))
    ),
    "pixie": Cut(
        0.062, 0.022, 0.5, -0.5, ((0.92, 0.42), (0.78, 0.31), (0.05, 0.285), (-0.5, 0.2), (-0.92, 0.38))
    ),
}


def _cap(face: Face, cut: Cut) -> np.ndarray:
    """(180, 2): over the head from left to right, then back along the hairline."""
    c, lift, side, drop = face.cheek, cut.lift, cut.side, cut.drop
    right = [
        (0.5 + 0.58 * c + 0.6 * side, 0.122 - 0.92 * lift),
        (0.5 + 0.92 * c + side, 0.235 - 0.55 * lift),
        (0.5 + c + side, 0.37),
        (0.5 + c + side, drop - 0.03),
        (0.5 + c + 0.3 * side, drop),
    ]
    outer = [*((1 - x, y) for x, y in right[::-1]), (0.5, 0.085 - lift), *right]
    if face.hair == "quiff":
        outer[4:7] = [(0.5 - 0.62 * c, 0.075), (0.5 - 0.02, 0.008), (0.5 + 0.66 * c, 0.045)]
    line = [(0.5 + x * c, y) for x, y in cut.hairline]
    inner = [(0.5 + c - 0.004, drop - 0.01), *line, (0.5 - c + 0.004, drop - 0.01)]
    return np.concatenate([curve(outer, False, 90), curve(inner, False, 90)])


def draw_front_hair(image: np.ndarray, face: Face, head: np.ndarray) -> None:
    """The cap over the skull, its shadow on the forehead, and single locks along the hairline."""
    size = image.shape[0]
    if face.hair == "bald":
        shine = soften(mask(size, ellipse(0.42, 0.17, 0.085, 0.040, -18)), 0.022)
        blend(image, shine, (255, 250, 240), 0.50)
        return
    cut = CUTS[face.hair]
    outline, slant = _cap(face, cut), cut.slant
    cap = mask(size, outline)
    shadow = soften(np.roll(cap, round(0.018 * size), axis=0), 0.014) * mask(size, head) * (1 - cap)
    blend(image, shadow, (70, 40, 40), 0.40)
    colour = _colour(face, size, slant)
    if face.hair == "buzz":
        blend(image, soften(cap, 0.005), colour, 0.85)
        return
    if face.hair == "curls":
        rng = np.random.default_rng(9)
        edge = outline[92:178:6]
        cap = np.maximum(
            cap, mask(size, *(ellipse(x, y, *rng.uniform(0.020, 0.034, 2)) for x, y in edge[2:-2]))
        )
        rings = np.zeros((size, size), np.uint8)
        for _ in range(150):
            x, y = rng.uniform(0.12, 0.88), rng.uniform(0.0, 0.5)
            start = rng.uniform(0, 6)
            turn = np.linspace(start, start + 4, 14)
            stroke(rings, np.stack([x + 0.020 * np.cos(turn), y + 0.018 * np.sin(turn)], 1), 255, 0.006)
        colour = colour + soften(rings.astype(np.float32), 0.003)[..., None] / 255 * (
            shade(face.hair_colour, 1.28) - colour
        )
    depth = soften(cap, 0.022)
    blend(image, cap, colour)
    blend(image, cap * np.clip(1.15 - depth, 0, 1), shade(face.hair_colour, 0.55), 0.75)
    if face.hair in ("bob", "long", "waves", "side_part", "pixie", "crop", "quiff"):
        locks = np.zeros((size, size), np.uint8)
        hairline = outline[90:180]
        rng = np.random.default_rng(4)
        for place in range(16, 74, 4):
            x, y = hairline[place]
            if abs(x - 0.5) > 0.72 * face.cheek:
                continue
            half, length = rng.uniform(0.016, 0.030), rng.uniform(0.006, 0.022)
            sway = 0.6 * half * float(np.sign(slant + 0.3)) + 0.25 * (x - 0.5) * length / 0.02
            knots = [
                (x - half, y - 0.03),
                (x - 0.5 * half + 0.6 * sway, y - 0.004),
                (x + sway, y + length),
                (x + 0.6 * half + 0.3 * sway, y - 0.006),
                (x + half, y - 0.03),
            ]
            fill(locks, curve(knots, count=24), 255)
        blend(image, locks.astype(np.float32) / 255, colour)
