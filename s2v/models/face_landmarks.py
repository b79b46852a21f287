"""Dlib's 68 face landmarks of every frame of a clip: King 2009's detector, Kazemi & Sullivan 2014's regression trees.

A wheel of dlib and a package with the trained trees come from PyPI (extra `landmarks`) and work without a network.
"""

import threading
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from s2v.errors import InputError, one_line
from s2v.metrics.blinks import POINTS

INSTALLED = "dlib"
"""Says: the trees that `face_recognition_models` brings."""

DETECT_EVERY = 5
"""Frames between two looks for the face: it moves little in 0.2 s, and the detector takes twice the trees' time."""

_DETECTING = threading.Lock()
"""The detector works on pictures that it keeps inside, with the interpreter's lock released; the trees keep nothing."""

_SIDE = 224
"""Shorter side at which the detector looks: it finds faces from 80 pixels on."""


def names_installed(source: str | None) -> bool:
    """Whether `source` asks for the installed package's trees rather than for a file."""
    return source == INSTALLED and not Path(source).is_file()


def trees_file(source: str) -> str:
    """The .dat file of `source`, a path or "dlib".

    Raises:
        InputError: the package that brings it isn't installed.
    """
    if not names_installed(source):
        return source
    # its own functions need pkg_resources, which current setuptools have not
    package = find_spec("face_recognition_models")
    if package is None or package.origin is None:
        raise InputError(
            "landmarks by dlib need its trained trees: pip install face_recognition_models, or give a .dat file"
        )
    return str(Path(package.origin).parent / "models" / "shape_predictor_68_face_landmarks.dat")


class DlibLandmarks:
    """Landmarks of the largest face in each frame.

    Args:
        source: a .dat file of dlib's shape predictor with 68 points, or "dlib" for the installed one.

    Raises:
        InputError: dlib or the file is missing, or the file is something else.
    """

    def __init__(self, source: str) -> None:
        self.path = trees_file(source)
        self._detector, self._trees = _opened(self.path)

    def __call__(self, frames: Tensor) -> Tensor:
        """Frames (T, 3, H, W) uint8 RGB -> (T, 68, 2) float32, x and y in pixels; nan where no face was found.

        A face found in one frame is followed for five; a frame on which the detector finds none has none, nor have
        the four after it.
        """
        scale = _SIDE / min(frames.shape[-2:])
        size = [round(side * scale) for side in frames.shape[-2:]]
        found, box = torch.full((len(frames), POINTS, 2), torch.nan), None
        for number, frame in enumerate(frames):
            picture = functional.interpolate(frame[None].float(), size, mode="bilinear", antialias=True)[0]
            pixels = np.ascontiguousarray(
                picture.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
            )
            if number % DETECT_EVERY == 0:
                with _DETECTING:
                    seen = self._detector(pixels, 0)
                box = max(seen, key=lambda one: one.area(), default=None)
            if box is not None:
                parts = self._trees(pixels, box).parts()
                found[number] = (torch.tensor([[part.x, part.y] for part in parts]) + 0.5) / scale - 0.5
        return found


@lru_cache(maxsize=2)
def _opened(path: str) -> tuple[Any, Any]:
    """The detector and the trees, opened once a process: 100 MB of them take seconds."""
    try:
        import dlib
    except ImportError as error:
        raise InputError("landmarks need dlib: pip install dlib-bin face_recognition_models") from error
    try:
        trees = dlib.shape_predictor(path)
    except RuntimeError as error:
        raise InputError(
            f"expected dlib's 68 landmarks (a .dat file) at {path}, but: {one_line(error, 120)}"
        ) from error
    detector = dlib.get_frontal_face_detector()
    blank = np.zeros((_SIDE, _SIDE, 3), np.uint8)
    points = trees(blank, dlib.rectangle(0, 0, _SIDE - 1, _SIDE - 1)).num_parts
    if points != POINTS:
        raise InputError(f"{path} has {points} landmarks, eyelids need the {POINTS} of 300-W")
    return detector, trees
