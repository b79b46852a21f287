"""Eyes, brows and glasses."""

import numpy as np

from data_modules.synthetic.drawing import (
    Tint,
    Window,
    curve,
    ellipse,
    fill,
    shade,
    soften,
    stroke,
    tapered,
)
from data_modules.synthetic.emotion import Emotion
from data_modules.synthetic.portrait import EYE_LINE
from data_modules.synthetic.pose import Light, Pose
from data_modules.synthetic.speaker import Face

LASH_WEIGHT = np.interp(np.linspace(0, 1, 28), [0, 0.25, 0.8, 1], [0.35, 0.8, 1.0, 0.5])
BROW_WEIGHT = np.interp(np.linspace(0, 1, 30), [0, 0.12, 0.5, 1], [0.75, 1.1, 1.0, 0.2])


def _eyeball(window: Window, face: Face, light: Light, x: float, top: np.ndarray) -> Window:
    """White, iris, pupil and glint, with the upper lid's shadow."""
    ball = window.blank(np.array([246, 243, 240]) * light.gain)
    y, r = EYE_LINE - 0.006, 0.0335 * face.eye_size / 0.072
    ball.fill(ellipse(x, y, r, r), shade(face.iris, 0.45))
    ball.fill(ellipse(x, y, 0.84 * r, 0.84 * r), face.iris)
    ball.fill(ellipse(x, y + 0.35 * r, 0.56 * r, 0.42 * r), shade(face.iris, 1.28))
    ball.fill(ellipse(x, y, 0.46 * r, 0.46 * r), (16, 12, 14))
    dark = soften(ball.coverage(tapered(top, np.full(len(top), 0.018)))[..., 0], 0.03)[..., None]
    ball.pixels[:] = (ball.pixels * (1 - 0.55 * dark)).astype(np.uint8)
    ball.fill(ellipse(x + 0.36 * r * light.side, y - 0.36 * r, 0.29 * r, 0.29 * r), (255, 255, 255))
    return ball


def draw_eyes(image: np.ndarray, face: Face, emotion: Emotion, light: Light, skin: Tint, pose: Pose) -> None:
    """Both eyes on the uint8 picture, in place; lids follow the emotion and the blink."""
    half = face.eye_size
    upper = 0.036 * half / 0.068 + emotion.lid_upper / 1000
    upper = upper * (1 - pose.blink) - 0.008 * pose.blink
    lower = (0.023 - emotion.lid_lower / 1000) * (1 - 0.25 * pose.blink)
    upper = max(upper, 0.003 - lower)
    slant = emotion.lid_slant / 1000 * (1 - pose.blink)
    lash = np.minimum(shade(face.hair_colour, 0.45), 70)
    for side in (-1, 1):
        x, y = 0.5 + side * face.eye_gap, EYE_LINE
        out = side * half  # one half width, towards the temple
        inner, outer = (x - out, y + 0.005), (x + out, y - face.eye_tilt + 0.002)
        over = [
            inner,
            (x - 0.45 * out, y - 0.82 * upper + 0.7 * slant),
            (x + 0.05 * out, y - upper),
            (x + 0.55 * out, y - 0.80 * upper - 0.5 * slant),
            outer,
        ]
        under = [outer, (x + 0.45 * out, y + 0.88 * lower), (x - 0.10 * out, y + lower), inner]
        top, bottom = curve(over, False, 28), curve(under, False, 24)
        window = Window(image, (x, y), (half + 0.02, 0.075))
        crease = top + np.array([0.0, -0.013 - 0.006 * pose.blink])
        window.stroke(crease[4:-1], shade(skin, 0.60), 0.006)
        if pose.blink > 0.05:
            window.fill(np.concatenate([crease, top[::-1]]), shade(skin, 0.86))  # the lid itself
        ball = _eyeball(window, face, light, x + 0.016 * pose.gaze, top)
        window.paste(ball, np.concatenate([top, bottom]))
        window.stroke(bottom, shade(skin, 0.55), 0.004)
        window.fill(tapered(top, (0.017 if face.long_lashes else 0.013) * LASH_WEIGHT), lash)
        if face.long_lashes:
            wing = [outer, (outer[0] + side * 0.016, outer[1] - 0.014), (x + 0.72 * out, y - 0.55 * upper)]
            window.fill(np.array(wing), lash)


def draw_brows(image: np.ndarray, face: Face, emotion: Emotion, light: Light, pose: Pose) -> None:
    """Both brows, in place."""
    colour = np.clip(shade(face.hair_colour, 0.72) * light.gain, 0, 255)
    if sum(face.hair_colour) > 420:  # fair or grey: they would vanish
        colour = colour * 0.82
    inner, outer, gather = emotion.brow_inner / 1000, emotion.brow_outer / 1000, emotion.brow_gather / 1000
    for side in (-1, 1):
        x, y = 0.5 + side * face.eye_gap, EYE_LINE - face.brow_height - pose.brow
        knots = [
            (x - side * (0.078 + gather), y + 0.010 - inner),
            (x - side * (0.025 + 0.6 * gather), y - 0.006 - 0.62 * inner - 0.1 * outer),
            (x + side * 0.035, y - 0.013 - 0.15 * inner - 0.6 * outer),
            (x + side * 0.092, y + 0.014 - outer),
        ]
        fill(image, tapered(curve(knots, False, 30), face.brow_thickness * BROW_WEIGHT), colour)


def draw_glasses(image: np.ndarray, face: Face) -> None:
    """Dark rims, or golden ones on dark skin, in place."""
    rim = (46, 40, 44) if sum(face.skin) > 340 else (196, 168, 92)
    y = EYE_LINE
    for side in (-1, 1):
        x = 0.5 + side * face.eye_gap
        upper = [(x - 0.098, y - 0.055), (x, y - 0.068), (x + 0.098, y - 0.055)]
        lower = [(x + 0.088, y + 0.055), (x, y + 0.075), (x - 0.088, y + 0.055)]
        frame = curve(upper + lower, count=60)
        stroke(image, np.concatenate([frame, frame[:1]]), rim, 0.012)
        temple = [(x + side * 0.098, y - 0.03), (0.5 + side * (face.cheek + 0.01), y - 0.02)]
        stroke(image, np.array(temple), rim, 0.012)
    gap = face.eye_gap - 0.097
    bridge = [(0.5 - gap, y - 0.02), (0.5, y - 0.034), (0.5 + gap, y - 0.02)]
    stroke(image, curve(bridge, False, 20), rim, 0.012)
