"""How often eyes blink, by a network of face landmarks."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from s2v.batch import FPS
from s2v.errors import InputError
from s2v.file_hash import sha256_of_file
from s2v.metrics.blinks import blink_rate, eye_aspect_ratio

LEAST_FRAMES = FPS
"""A second: fewer frames with a face say nothing of how often somebody blinks."""

LEAST_SHARE = 0.5
"""Of a clip's frames; where more are without a face, those that have one are a choice of the detector's."""


@dataclass
class BlinkJudge:
    """Landmarks that show eyelids; `source`, `sha256` and `origin` are those of `FaceJudge`.

    Args:
        landmarks: frames (T, 3, H, W) uint8 RGB -> (T, 68, 2), nan where no face was found.
    """

    landmarks: Callable[[Tensor], Tensor]
    source: str
    sha256: str
    origin: str

    def rate(self, frames: Tensor) -> float:
        """Blinks a second in a clip (T, 3, H, W) uint8 RGB.

        Raises:
            InputError: the clip, or what of it shows a face, is too short.
        """
        if len(frames) < LEAST_FRAMES:
            raise InputError(f"blinks can't be counted in {len(frames)} frames: {LEAST_FRAMES} are needed")
        ratios = eye_aspect_ratio(self.landmarks(frames))
        seen = int((~ratios.isnan()).sum())
        if seen < max(LEAST_FRAMES, LEAST_SHARE * len(frames)):
            raise InputError(f"blinks can't be counted: a face was found in {seen} of {len(frames)} frames")
        return blink_rate(ratios)

    def still_rate(self, frame: Tensor) -> float:
        """Of a frame (1, 3, H, W) that is held: 0.

        Raises:
            InputError: it shows no face.
        """
        if eye_aspect_ratio(self.landmarks(frame)).isnan().any():
            raise InputError("blinks can't be counted: no face was found in the held frame")
        return 0.0


def load_blink_judge(source: str) -> BlinkJudge:
    """Dlib's 68 landmarks from a .dat file, or "dlib" for the installed package's.

    Raises:
        InputError: no such file or package, or something else in it.
    """
    from s2v.models.face_landmarks import INSTALLED, DlibLandmarks, trees_file

    path = trees_file(source)
    if not Path(path).is_file():
        raise InputError(
            f"landmarks: no file at {path}; give dlib's shape_predictor_68_face_landmarks.dat, or {INSTALLED!r} for "
            "that of the extra `landmarks`"
        )
    return BlinkJudge(DlibLandmarks(path), source, sha256_of_file(path), "dlib's 68 landmarks (300-W)")
