"""The still part of a picture: background, clothes, head, nose, hair, beard, shaded softly."""

import numpy as np

from data_modules.synthetic.drawing import (
    blend,
    curve,
    ellipse,
    fill,
    line,
    mask,
    mirrored,
    moved,
    shade,
    soften,
)
from data_modules.synthetic.emotion import Emotion
from data_modules.synthetic.hair import draw_front_hair, hair_behind
from data_modules.synthetic.pose import Light
from data_modules.synthetic.speaker import Face

EYE_LINE = 0.455
MOUTH_LINE = 0.757


def head_outline(face: Face) -> np.ndarray:
    """Skull, cheeks, jaw and chin, (n, 2)."""
    middle = 0.5
    jaw_line = 0.5 * (MOUTH_LINE + face.chin) - 0.04
    return curve(
        mirrored(
            [
                (middle, 0.085),
                (middle + 0.58 * face.cheek, 0.122),
                (middle + 0.92 * face.cheek, 0.235),
                (middle + face.cheek, 0.37),
                (middle + 0.99 * face.cheek, 0.50),
                (middle + 0.5 * (face.cheek + face.jaw) + 0.022, 0.66),
                (middle + face.jaw, jaw_line),
                (middle + 0.48 * face.jaw, face.chin - 0.022),
                (middle, face.chin),
            ]
        ),
        count=140,
    )


def _wall(size: int, face: Face, light: Light) -> np.ndarray:
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    glow = 1.06 - 0.28 * ((x - 0.5 - 0.2 * light.side) ** 2 + (y - 0.35) ** 2)
    return glow[..., None] * np.asarray(face.background, np.float32) * np.asarray(light.wall, np.float32)


def _body(image: np.ndarray, face: Face, skin: np.ndarray, outline: np.ndarray) -> None:
    size = image.shape[0]
    half = 0.60 * face.jaw + 0.045
    chin = face.chin
    neck = mask(
        size,
        np.array(
            [(0.5 - half, 0.70), (0.5 + half, 0.70), (0.5 + half + 0.02, 1.02), (0.5 - half - 0.02, 1.02)]
        ),
    )
    blend(image, neck, shade(skin, 0.86))
    drop = np.clip((np.arange(size) / size - 0.70) / 0.15, 0, 1).astype(np.float32)[:, None]
    blend(
        image, neck * soften(mask(size, moved(outline, 0.012, 0.05)), 0.020) * drop, shade(skin, 0.52), 0.75
    )
    shoulders = [
        (-0.10, 1.15),
        (-0.08, 1.0),
        (0.12, chin + 0.035),
        (0.5 - half - 0.03, chin - 0.005),
        (0.5 - half, chin + 0.006),
    ]
    scoop = [(0.5 - 0.55 * half, chin + 0.055), (0.5, chin + 0.075)]
    left = np.array(shoulders + scoop)
    shirt = np.concatenate([left, ((1, 0) + left * (-1, 1))[::-1]])
    cloth = mask(size, curve(shirt, False, 120))
    blend(image, cloth, face.clothes)
    blend(
        image,
        cloth * soften(mask(size, moved(outline, 0.02, 0.055)), 0.03) * drop,
        shade(face.clothes, 0.55),
        0.55,
    )
    rim = np.concatenate([left[4:], ((1, 0) + left[4:] * (-1, 1))[::-1]])
    blend(image, line(size, moved(curve(rim, False, 60), 0, 0.008), 0.018, 0.001), shade(face.clothes, 0.74))


def _ears(image: np.ndarray, face: Face, skin: np.ndarray) -> None:
    size = image.shape[0]
    for side in (-1, 1):
        x = 0.5 + side * (face.cheek + 0.012)
        blend(image, mask(size, ellipse(x, 0.515, 0.038, 0.075, side * 8)), shade(skin, 0.93))
        blend(
            image,
            soften(mask(size, ellipse(x + side * 0.004, 0.512, 0.018, 0.045, side * 8)), 0.006),
            shade(skin, 0.70),
            0.6,
        )
        if face.earrings:
            blend(image, mask(size, ellipse(x + side * 0.002, 0.605, 0.014, 0.018)), (238, 200, 96))


def _skin(
    image: np.ndarray, face: Face, skin: np.ndarray, head: np.ndarray, emotion: Emotion, light: Light
) -> None:
    size = image.shape[0]
    blend(image, head, skin)
    inside = soften(head, 0.045)
    blend(image, head * np.clip(1 - inside, 0, 1), shade(skin, 0.62), 0.85)  # turning away at the edge
    lit = soften(mask(size, ellipse(0.5 + 0.13 * light.side, 0.32, 0.16, 0.13)), 0.07)
    blend(image, head * lit, shade(skin, 1.30), 0.55)
    dark = soften(mask(size, ellipse(0.5 - 0.27 * light.side, 0.60, 0.10, 0.26)), 0.07)
    blend(image, head * dark, shade(skin, 0.72), 0.40)
    for side in (-1, 1):
        glow = soften(mask(size, ellipse(0.5 + side * 0.165, 0.615, 0.062, 0.045)), 0.028)
        blend(
            image, head * glow, shade(np.asarray(skin) * (1.06, 0.76, 0.74), 1.0), 0.30 + 0.5 * emotion.cheeks
        )
        socket = soften(mask(size, ellipse(0.5 + side * face.eye_gap, EYE_LINE - 0.012, 0.085, 0.052)), 0.022)
        blend(image, head * socket, shade(skin, 0.76), 0.45)
        if face.age > 45:
            bag = curve(
                [
                    (0.5 + side * (face.eye_gap - 0.05), 0.507),
                    (0.5 + side * face.eye_gap, 0.525),
                    (0.5 + side * (face.eye_gap + 0.05), 0.508),
                ],
                False,
                24,
            )
            crease = line(size, bag, 0.008, 0.005)
            blend(image, crease, shade(skin, 0.62), 0.014 * (face.age - 42))
    blend(
        image,
        head * soften(mask(size, ellipse(0.5, face.chin - 0.058, 0.05, 0.026)), 0.02),
        shade(skin, 1.18),
        0.5,
    )
    blend(
        image,
        soften(mask(size, ellipse(0.5, MOUTH_LINE + 0.062, 0.055, 0.010)), 0.010),
        shade(skin, 0.70),
        0.5,
    )
    if face.freckles:
        rng = np.random.default_rng(11)
        spots = np.zeros((size, size), np.uint8)
        for _ in range(42):
            x, y = rng.normal(0, 0.11), rng.normal(0.60, 0.03)
            fill(spots, ellipse(0.5 + x, y, 0.004, 0.004, count=10), 255)
        blend(image, head * soften(spots.astype(np.float32) / 255, 0.002), shade(skin, 0.55), 0.55)


def _nose(image: np.ndarray, face: Face, skin: np.ndarray, emotion: Emotion, light: Light) -> None:
    size = image.shape[0]
    up = emotion.lip_raise / 1000 * 0.6
    tip, wide = EYE_LINE + face.nose_length - up, face.nose_width
    side = -light.side
    bridge = curve(
        [
            (0.5 + side * 0.028, EYE_LINE - 0.03),
            (0.5 + side * 0.022, tip - 0.07),
            (0.5 + side * wide, tip + 0.005),
            (0.5 + side * 0.010, tip - 0.06),
        ]
    )
    blend(image, soften(mask(size, bridge), 0.012), shade(skin, 0.66), 0.55)
    blend(
        image,
        soften(mask(size, ellipse(0.5, tip + 0.022, wide * 1.05, 0.012)), 0.010),
        shade(skin, 0.55),
        0.55,
    )
    ball = soften(mask(size, ellipse(0.5, tip - 0.006, wide * 0.62, 0.030)), 0.012)
    blend(image, ball, shade(np.asarray(skin) * (1.03, 0.93, 0.90), 1.08), 0.65)
    blend(
        image,
        soften(mask(size, ellipse(0.5 + 0.01 * light.side, tip - 0.018, 0.014, 0.012)), 0.006),
        shade(skin, 1.55),
        0.6,
    )
    blend(
        image,
        soften(mask(size, ellipse(0.5 + 0.004 * light.side, EYE_LINE + 0.05, 0.012, 0.065)), 0.010),
        shade(skin, 1.35),
        0.4,
    )
    for flank in (-1, 1):
        blend(
            image,
            soften(
                mask(size, ellipse(0.5 + flank * wide * 0.50, tip + 0.016, wide * 0.27, 0.0085, flank * -14)),
                0.003,
            ),
            shade(skin, 0.36),
            0.85,
        )
        wing = curve(
            [
                (0.5 + flank * wide * 0.98, tip - 0.016),
                (0.5 + flank * wide * 1.12, tip + 0.006),
                (0.5 + flank * wide * 0.86, tip + 0.020),
            ],
            False,
            20,
        )
        crease = line(size, wing, 0.006, 0.003)
        blend(image, crease, shade(skin, 0.52), 0.6)
        # Folds from the nose to the mouth's corners: deep in a smile or in disgust, and with age.
        depth = 0.55 * emotion.cheeks + 0.05 * emotion.lip_raise + max(0.0, (face.age - 45) / 90)
        if depth > 0.05:
            bow = curve(
                [
                    (0.5 + flank * (wide + 0.022), tip - 0.004),
                    (0.5 + flank * (wide + 0.066), tip + 0.050),
                    (0.5 + flank * (face.mouth_width + 0.040), MOUTH_LINE + 0.005),
                ],
                False,
                24,
            )
            crease = line(size, bow, 0.009, 0.006)
            blend(image, crease, shade(skin, 0.55), min(0.9, depth))
        if emotion.frown_lines:
            crease = line(
                size,
                np.array([(0.5 + flank * 0.020, EYE_LINE - 0.105), (0.5 + flank * 0.026, EYE_LINE - 0.050)]),
                0.008,
                0.004,
            )
            blend(image, crease, shade(skin, 0.50), 0.8 * emotion.frown_lines)


def _beard(image: np.ndarray, face: Face, head: np.ndarray) -> None:
    size = image.shape[0]
    rng = np.random.default_rng(5)
    grain = soften(rng.normal(0, 1, (size, size)).astype(np.float32), 0.004)
    colour = np.asarray(face.hair_colour, np.float32) * (0.9 + 0.9 * np.clip(grain, -0.3, 0.3))[..., None]
    lips = ellipse(0.5, MOUTH_LINE + 0.004, 0.93 * face.mouth_width, 0.034)
    bare = ellipse(0.5, MOUTH_LINE - 0.075, 0.80 * face.nose_width, 0.030)
    inner = mask(size, lips, bare)
    for side in (-1, 1):  # bare between moustache and cheek
        inner = np.maximum(
            inner,
            0.75
            * mask(
                size,
                ellipse(0.5 + side * (face.mouth_width + 0.012), MOUTH_LINE - 0.045, 0.030, 0.022, side * 40),
            ),
        )
    cheek_line = curve(
        mirrored(
            [
                (0.5, 0.712),
                (0.5 + 0.10, 0.708),
                (0.5 + 0.19, 0.665),
                (0.5 + face.cheek + 0.03, 0.53),
                (0.5 + face.cheek + 0.08, 0.75),
                (0.5 + 0.2, 1.0),
                (0.5, 1.02),
            ]
        ),
        count=160,
    )
    area = soften(head * mask(size, cheek_line), 0.006) * soften(head, 0.004) * (1 - soften(inner, 0.007))
    if face.beard:
        blend(image, area, colour, 0.90 if face.beard == 1 else 0.38)
    if face.moustache:
        lobe = curve(
            mirrored(
                [
                    (0.5, MOUTH_LINE - 0.066),
                    (0.5 + 0.055, MOUTH_LINE - 0.066),
                    (0.5 + face.mouth_width + 0.008, MOUTH_LINE - 0.020),
                    (0.5 + 0.06, MOUTH_LINE - 0.034),
                    (0.5, MOUTH_LINE - 0.040),
                ]
            )
        )
        blend(image, soften(mask(size, lobe), 0.004), colour, 0.92 if face.beard == 1 else 0.55)


def paint_portrait(face: Face, emotion: Emotion, light: Light, size: int) -> np.ndarray:
    """(size, size, 3) uint8 RGB: everything but eyes, brows, mouth and glasses."""
    skin = np.clip(np.asarray(face.skin, np.float32) * np.asarray(emotion.tint, np.float32), 0, 255)
    outline = head_outline(face)
    head = mask(size, outline)
    image = _wall(size, face, light)
    hair_behind(image, face)
    _body(image, face, skin, outline)
    _ears(image, face, skin)
    _skin(image, face, skin, head, emotion, light)
    if face.beard or face.moustache:
        _beard(image, face, head)
    _nose(image, face, skin, emotion, light)
    draw_front_hair(image, face, outline)
    return np.clip(image * light.gain, 0, 255).astype(np.uint8)
