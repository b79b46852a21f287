"""Frames of a face: the portrait, its moving parts, and the head's motion as a smooth warp."""

import cv2
import numpy as np

from data_modules.synthetic.drawing import mask, soften
from data_modules.synthetic.emotion import Emotion
from data_modules.synthetic.eyes import draw_brows, draw_eyes, draw_glasses
from data_modules.synthetic.mouth import draw_mouth
from data_modules.synthetic.portrait import MOUTH_LINE, head_outline, paint_portrait
from data_modules.synthetic.pose import Light, Pose
from data_modules.synthetic.speaker import Face

SUPERSAMPLING = 2  # OpenCV's polygons are anti-aliased already
JAW_DROP = 0.050  # of the picture's height, chin at full opening


class FacePainter:
    """Draws frames of one speaker with one emotion in one light.

    Args:
        size: pixels of the square frames; they are drawn larger and averaged down.
    """

    def __init__(self, face: Face, emotion: Emotion, light: Light, size: int) -> None:
        self.face, self.emotion, self.light, self.size = face, emotion, light, size
        self.canvas = size * SUPERSAMPLING
        self.portrait = paint_portrait(face, emotion, light, self.canvas)
        self.skin = np.clip(np.asarray(face.skin) * np.asarray(emotion.tint) * light.gain, 0, 255)
        self._rest: tuple[tuple[float, float], np.ndarray] | None = None
        self._along = self._motion_fields()
        rows, columns = np.mgrid[0 : self.canvas, 0 : self.canvas].astype(np.float32)
        self._grid = np.stack([columns, rows], axis=-1)

    def frame(self, pose: Pose) -> np.ndarray:
        """(size, size, 3) uint8 RGB."""
        image = self._gazing(pose).copy()
        draw_brows(image, self.face, self.emotion, self.light, pose)
        draw_mouth(image, self.face, self.emotion, self.light, self.skin, pose)
        if self.face.glasses:
            draw_glasses(image, self.face)
        return cv2.resize(self._move(image, pose), (self.size, self.size), interpolation=cv2.INTER_AREA)

    def _gazing(self, pose: Pose) -> np.ndarray:
        """The portrait with its eyes; kept from frame to frame while the eyes rest."""
        if self._rest is None or self._rest[0] != (pose.gaze, pose.blink):
            image = self.portrait.copy()
            draw_eyes(image, self.face, self.emotion, self.light, self.skin, pose)
            self._rest = ((pose.gaze, pose.blink), image)
        return self._rest[1]

    def _motion_fields(self) -> np.ndarray:
        """Shifts in canvas pixels for one unit of each motion, (2, 3, h, w) at a quarter of the canvas.

        Along x by (x, roll, turn), along y by (y, roll, opening). They are smooth, so that wall, hair and
        shoulders stretch unseen; a turn moves the nose more than the rim of the face.
        """
        n = self.canvas // 4
        y, x = (np.mgrid[0:n, 0:n].astype(np.float32) + 0.5) / n
        widened = (head_outline(self.face) - 0.5) * (1.22, 1.1) + 0.5
        head = soften(mask(n, np.clip(widened, 0.01, 0.99)), 0.05)
        depth = np.exp(-0.5 * (((x - 0.5) / 0.17) ** 2 + ((y - 0.58) / 0.20) ** 2))
        lip = MOUTH_LINE + 0.015
        ramp = np.clip((y - lip) / (self.face.chin - lip), 0, 1)
        fade = np.clip((1.0 - y) / (1.0 - self.face.chin), 0, 1)
        across = np.exp(-0.5 * ((x - 0.5) / (0.95 * self.face.jaw)) ** 4)
        jaw = soften((ramp * ramp * (3 - 2 * ramp) * fade * across).astype(np.float32), 0.012)
        degree = np.pi / 180
        along_x = np.stack([head, -degree * head * (y - 0.9), 0.016 * depth])
        along_y = np.stack([head, degree * head * (x - 0.5), JAW_DROP * jaw])
        return (self.canvas * np.stack([along_x, along_y])).astype(np.float32)

    def _move(self, image: np.ndarray, pose: Pose) -> np.ndarray:
        motions = np.array([[pose.x, pose.roll, pose.turn], [pose.y, pose.roll, pose.opening]], np.float32)
        shift = np.einsum("am,amhw->hwa", motions, self._along)
        shift = cv2.resize(shift, (self.canvas, self.canvas), interpolation=cv2.INTER_LINEAR)
        source = self._grid - shift
        x, y = np.ascontiguousarray(source[..., 0]), np.ascontiguousarray(source[..., 1])
        return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
