"""The mouth: lips, teeth and tongue, for any opening, spreading or rounding and any emotion."""

import numpy as np

from data_modules.synthetic.drawing import Points, Tint, Window, curve, ellipse, moved, shade, tapered
from data_modules.synthetic.emotion import Emotion
from data_modules.synthetic.portrait import MOUTH_LINE
from data_modules.synthetic.pose import Light, Pose
from data_modules.synthetic.speaker import Face

LIP_DROP = 0.098  # lower lip at full opening, of the picture's height
REST_CORNERS = 4.0  # thousandths: a friendly rest
SEAM_WEIGHT = np.sin(np.linspace(0.35, np.pi - 0.35, 36))
SHINE_WEIGHT = np.sin(np.linspace(0.1, np.pi - 0.1, 20))


class MouthShape:
    """Outlines of the lips: tops from left to right, lows from right to left."""

    def __init__(self, face: Face, emotion: Emotion, pose: Pose) -> None:
        opening = pose.opening
        spread = float(np.clip(pose.width + emotion.stretch * (1 - 0.3 * opening), -1.1, 1.3))
        rounded = max(0.0, -spread)
        self.half = face.mouth_width * (1 + (0.20 if spread > 0 else 0.42) * spread)
        middle = MOUTH_LINE - 0.2 * emotion.lip_raise / 1000
        self.lift = (emotion.corners + REST_CORNERS) / 1000 * (1 - 0.35 * rounded)
        self.corner = middle - self.lift + 0.14 * LIP_DROP * opening
        press = emotion.lip_press * (1 - 0.6 * opening)
        full_top = 0.027 * face.lip_fullness * (1 - 0.45 * press) * (1 + 0.25 * rounded)
        self.full_low = 0.033 * face.lip_fullness * (1 - 0.40 * press) * (1 + 0.30 * rounded)
        rise = 0.011 * opening + emotion.lip_raise / 1000 * (0.4 + 0.6 * min(1.0, 3 * opening))
        drop = LIP_DROP * opening * (1 - 0.15 * rounded)
        # Lower lip tucked under the upper teeth.
        drop -= pose.lip_on_teeth * (0.012 + 0.5 * drop)
        self.full_low *= 1 - 0.35 * pose.lip_on_teeth
        rise += 0.010 * pose.lip_on_teeth
        self.top, self.low = middle - rise, middle + max(drop, -0.004)

        def between(edge: float, share: float) -> float:
            return (1 - share) * self.corner + share * edge

        left, right = 0.5 - self.half, 0.5 + self.half
        bow = (0.30 + 0.5 * rounded) * self.half
        inner_low = between(self.low, 0.72)
        outer_top = between(self.top, 0.60) - 0.66 * full_top
        outer_low = between(self.low, 0.70) + 0.80 * self.full_low
        self.inner_top = self._line(
            (left + 0.012, self.corner),
            (0.5 - bow, between(self.top, 0.75)),
            (0.5, self.top + 0.003),
            (0.5 + bow, between(self.top, 0.75)),
            (right - 0.012, self.corner),
        )
        self.inner_low = self._line(
            (right - 0.012, self.corner),
            (0.5 + 0.5 * self.half, inner_low),
            (0.5, self.low),
            (0.5 - 0.5 * self.half, inner_low),
            (left + 0.012, self.corner),
        )
        self.outer_top = self._line(
            (left, self.corner),
            (0.5 - 0.55 * self.half, outer_top),
            (0.5 - 0.20 * self.half, self.top - full_top),
            (0.5, self.top - 0.78 * full_top),
            (0.5 + 0.20 * self.half, self.top - full_top),
            (0.5 + 0.55 * self.half, outer_top),
            (right, self.corner),
        )
        self.outer_low = self._line(
            (right, self.corner),
            (0.5 + 0.55 * self.half, outer_low),
            (0.5, self.low + self.full_low),
            (0.5 - 0.55 * self.half, outer_low),
            (left, self.corner),
        )

    @staticmethod
    def _line(*knots: tuple[float, float]) -> np.ndarray:
        return curve(knots, False, 36)


def _inside(window: Window, shape: MouthShape, light: Light, pose: Pose) -> Window:
    """The dark of the mouth with tongue and teeth."""
    inside = window.blank((58, 16, 22))
    height = shape.low - shape.top
    if height < 0.006:
        return inside
    white = np.clip(np.array([244, 240, 232]) * light.gain, 0, 255)
    tongue = shape.low + 0.006 - 0.55 * pose.tongue * max(0.0, height - 0.02)
    inside.fill(ellipse(0.5, tongue + 0.002, 0.62 * shape.half, 0.024 + 0.25 * height), (196, 92, 96))
    inside.fill(ellipse(0.5, tongue - 0.002, 0.40 * shape.half, 0.012 + 0.15 * height), (214, 116, 116))
    bite = 0.012 + 0.016 * min(1.0, height / 0.05)
    edge = shape.inner_top[2:-2]
    inside.fill(np.concatenate([moved(edge, 0, -0.01), moved(edge, 0, bite)[::-1]]), white)
    together = pose.teeth * max(0.0, 1 - height / 0.075)
    if together > 0.05:
        edge = shape.inner_low[2:-2]
        lower = [moved(edge, 0, 0.01), moved(edge, 0, -0.62 * together * height)[::-1]]
        inside.fill(np.concatenate(lower), shade(white, 0.93))
    for place in (-0.42, -0.14, 0.14, 0.42):  # gaps between teeth, barely there
        x = 0.5 + place * shape.half
        gap = [(x, shape.top - 0.005), (x, shape.top + bite - 0.001)]
        inside.stroke(np.array(gap), shade(white, 0.86), 0.003)
    return inside


def draw_mouth(image: np.ndarray, face: Face, emotion: Emotion, light: Light, skin: Tint, pose: Pose) -> None:
    """The mouth on the uint8 picture, in place."""
    shape = MouthShape(face, emotion, pose)
    lips = np.clip(np.asarray(face.lips) * light.gain, 0, 255)
    window = Window(image, (0.5, MOUTH_LINE + 0.03), (0.20, 0.15))
    window.fill(np.concatenate([shape.inner_top, shape.outer_low]), shade(lips, 1.10))
    window.fill(np.concatenate([shape.outer_top, shape.inner_low]), shade(lips, 0.90))
    side_y, middle_y = shape.low + 0.48 * shape.full_low, shape.low + 0.55 * shape.full_low
    wet: Points = [(0.5 - 0.42 * shape.half, side_y), (0.5, middle_y), (0.5 + 0.42 * shape.half, side_y)]
    window.fill(tapered(curve(wet, False, 20), 0.30 * shape.full_low * SHINE_WEIGHT), shade(lips, 1.32))
    window.paste(_inside(window, shape, light, pose), np.concatenate([shape.inner_top, shape.inner_low]))
    window.fill(tapered(shape.inner_top, 0.0065 * SEAM_WEIGHT), shade(lips, 0.42))
    for side in (-1, 1):
        turn = float(-25 * side * np.sign(shape.lift))
        dimple = ellipse(0.5 + side * (shape.half - 0.004), shape.corner, 0.009, 0.006, turn)
        window.fill(dimple, shade(skin, 0.50))
