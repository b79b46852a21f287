"""Landmarks of faces, by which a test counts blinks and compares mouths."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from s2v.errors import InputError
from s2v.files.file_hash import sha256_of_file


@dataclass
class LandmarkJudge:
    """`source`, `sha256` and `origin` are those of `FaceJudge`.

    Args:
        landmarks: frames (T, 3, H, W) uint8 RGB -> (T, 68, 2), x and y in pixels, nan where no face was found.
    """

    landmarks: Callable[[Tensor], Tensor]
    source: str
    sha256: str
    origin: str


def load_landmark_judge(source: str) -> LandmarkJudge:
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
    return LandmarkJudge(DlibLandmarks(path), source, sha256_of_file(path), "dlib's 68 landmarks (300-W)")
