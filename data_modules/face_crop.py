"""Which square of a video becomes the picture: the whole, its centre, or the face."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from data_modules.clip_refused import ClipRefused
from s2v.errors import InputError, one_line
from s2v.weight_files.onnx_input_shape import with_input_shape

FaceDetector = Callable[[np.ndarray], "tuple[float, float, float, float] | None"]
"""(H, W, 3) uint8 RGB -> (x, y, width, height) of the most prominent face, or None."""

LOOKED_AT = 12
"""Frames of a clip in which the face is looked for."""

_YUNET_SIDE = 320
_YUNET_SCORE = 0.6
_HAAR_SIDE = 240


@dataclass(frozen=True)
class CropBox:
    """A rectangle in pixels; square on the screen (pixels themselves need not be)."""

    left: int
    top: int
    width: int
    height: int


def central_square(width: int, height: int, pixel_aspect: float = 1.0) -> CropBox:
    """The largest square in the middle; `pixel_aspect` = width of a pixel / its height."""
    side = min(width * pixel_aspect, height)
    across, down = max(1, round(side / pixel_aspect)), max(1, round(side))
    across, down = min(across, width), min(down, height)
    return CropBox((width - across) // 2, (height - down) // 2, across, down)


def face_box(
    frames: Sequence[np.ndarray], detect: FaceDetector, margin: float = 0.4, pixel_aspect: float = 1.0
) -> CropBox:
    """One box for a whole clip: the median face with a margin, so that the crop never trembles.

    The side is (1 + margin) times the face's longer side, moved (then shrunk) to stay inside the picture. Where pixels
    are not square (camcorders' 1440 x 1080), the face is looked for, and its box square, as the screen shows it.

    Raises:
        ClipRefused: no face in half of the frames.
    """
    found = [box for box in (detect(_as_shown(frame, pixel_aspect)) for frame in frames) if box is not None]
    if len(found) < max(1, len(frames) // 2):
        raise ClipRefused(f"no face: found in {len(found)} of {len(frames)} frames looked at")
    boxes = np.asarray(found, np.float64)
    centres, face = boxes[:, :2] + boxes[:, 2:] / 2, float(np.median(boxes[:, 2:].max(axis=1)))
    centre_x, centre_y = np.median(centres, axis=0)
    away = np.hypot(*(centres - (centre_x, centre_y)).T)
    if away.min() > face / 2:  # between two people, the larger in turns
        centre_x, centre_y = centres[away.argmin()]
    height, width = frames[0].shape[:2]
    centre_x /= pixel_aspect
    side = min(round(face * (1 + margin)), round(width * pixel_aspect), height)
    across = min(max(1, round(side / pixel_aspect)), width)
    left = int(np.clip(round(centre_x - across / 2), 0, width - across))
    top = int(np.clip(round(centre_y - side / 2), 0, height - side))
    return CropBox(left, top, across, side)


def _as_shown(frame: np.ndarray, pixel_aspect: float) -> np.ndarray:
    """The frame as wide as the screen shows it."""
    if pixel_aspect == 1:
        return frame
    width = max(1, round(frame.shape[1] * pixel_aspect))
    return cv2.resize(frame, (width, frame.shape[0]), interpolation=cv2.INTER_LINEAR)


def resized(frame: np.ndarray, box: CropBox, size: int) -> np.ndarray:
    """(H, W, 3) -> (size, size, 3): the box, averaged over areas when it shrinks, so that nothing aliases."""
    part = frame[box.top : box.top + box.height, box.left : box.left + box.width]
    shrinks = box.width >= size and box.height >= size
    return cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def load_detector(weights: str) -> FaceDetector:
    """YuNet from its ONNX file, or the Haar cascade that comes inside OpenCV where no file is given.

    Raises:
        InputError: the file is missing or is no YuNet.
    """
    return yunet(Path(weights)) if weights else haar_cascade()


def yunet(weights: Path) -> FaceDetector:
    if not weights.is_file():
        raise InputError(
            f"no face detector at {weights}: give the path of YuNet's .onnx file with --detector, "
            "or leave it out for OpenCV's own Haar cascade"
        )
    try:
        fixed = with_input_shape(weights.read_bytes(), (1, 3, _YUNET_SIDE, _YUNET_SIDE))
        network = cv2.FaceDetectorYN.create("onnx", np.frombuffer(fixed, np.uint8), np.zeros(0, np.uint8),
                                            (_YUNET_SIDE, _YUNET_SIDE), _YUNET_SCORE)  # fmt: skip
        network.detect(np.zeros((_YUNET_SIDE, _YUNET_SIDE, 3), np.uint8))
    except (cv2.error, ValueError) as error:
        raise InputError(
            f"{weights} is not a YuNet face detector that OpenCV {cv2.__version__} can open "
            f"({one_line(error, 120)})"
        ) from error

    def detect(frame: np.ndarray) -> "tuple[float, float, float, float] | None":
        small, scale = _shrunk(frame, _YUNET_SIDE)
        canvas = np.zeros((_YUNET_SIDE, _YUNET_SIDE, 3), np.uint8)
        canvas[: small.shape[0], : small.shape[1]] = small[..., ::-1]
        _, faces = network.detect(canvas)
        if faces is None or len(faces) == 0:
            return None
        prominent = max(faces, key=lambda face: face[2] * face[3] * face[14])
        x, y, width, height = (float(side) / scale for side in prominent[:4])
        return x, y, width, height

    return detect


def haar_cascade() -> FaceDetector:
    cascade = cv2.CascadeClassifier(
        str(Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml")
    )

    def detect(frame: np.ndarray) -> "tuple[float, float, float, float] | None":
        small, scale = _shrunk(frame, _HAAR_SIDE)
        gray = cv2.equalizeHist(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
        least = max(24, min(gray.shape) // 8)
        faces = cascade.detectMultiScale(gray, scaleFactor=1.2, minNeighbors=5, minSize=(least, least))
        if len(faces) == 0:
            return None
        x, y, width, height = (float(side) / scale for side in max(faces, key=lambda face: face[2] * face[3]))
        return x, y, width, height

    return detect


def _shrunk(frame: np.ndarray, longest: int) -> "tuple[np.ndarray, float]":
    scale = min(1.0, longest / max(frame.shape[:2]))
    if scale == 1.0:
        return np.ascontiguousarray(frame), 1.0
    return cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), scale
