"""Alignment by landmarks: eyes, nose and mouth moved to where a face network saw them in training."""

import threading
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from s2v.errors import InputError, one_line
from s2v.weight_files.onnx_input_shape import with_input_shape

ALIGNED_SIZE = 112

ARCFACE_LANDMARKS = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
"""(x, y) of eyes, nose and mouth corners, those on the picture's left first, in ArcFace's 112 x 112."""

_DETECTOR_SIDE = 320
_LEAST_SCORE = 0.5

_DETECTING = threading.Lock()
"""A process's threads share the detector, which keeps its picture and layers inside while it works."""


@lru_cache(maxsize=4)
def open_landmark_detector(weights: str) -> cv2.FaceDetectorYN:
    """YuNet from its ONNX file, opened once a process: modules keep the path, so that they can be copied."""
    side = _DETECTOR_SIDE
    try:
        network = with_input_shape(Path(weights).read_bytes(), (1, 3, side, side))
        buffer, no_config = np.frombuffer(network, np.uint8), np.zeros(0, np.uint8)
        return cv2.FaceDetectorYN.create("onnx", buffer, no_config, (side, side), _LEAST_SCORE)
    except (OSError, ValueError, cv2.error) as error:
        raise InputError(
            f"expected YuNet's .onnx file (face detector with landmarks) at {weights}, but: {one_line(error, 120)}"
        ) from error


def find_landmarks(picture_rgb_255: Tensor, detector: cv2.FaceDetectorYN) -> Tensor | None:
    """Landmarks (5, 2), x and y in pixels, of the largest face in a picture (3, h, w); None without one."""
    height, width = picture_rgb_255.shape[-2:]
    scale = _DETECTOR_SIDE / max(height, width)
    size = (round(height * scale), round(width * scale))
    small = functional.interpolate(
        picture_rgb_255.detach().float().cpu().unsqueeze(0), size=size, mode="bilinear", antialias=True
    )
    canvas = np.zeros((_DETECTOR_SIDE, _DETECTOR_SIDE, 3), np.uint8)
    canvas[: size[0], : size[1]] = small[0].round().clamp(0, 255).byte().permute(1, 2, 0).numpy()[..., ::-1]
    with _DETECTING:
        _, faces = detector.detect(canvas)
    if faces is None:
        return None
    largest = max(faces, key=lambda face: face[2] * face[3])
    # A pixel's centre is half a pixel from its corner at either size.
    return (torch.from_numpy(largest[4:14].reshape(5, 2)) + 0.5) / scale - 0.5


def align_face(picture_rgb_255: Tensor, landmarks: Tensor) -> Tensor:
    """Picture (3, h, w) turned, scaled and moved to put its landmarks on ArcFace's: (3, 112, 112) float.

    The similarity with the least squared error, in complex numbers: with both sets of landmarks centred,
    turn and scale are sum(conj(z) w) / sum(|z|^2).
    """
    picture = picture_rgb_255.float()
    found = torch.view_as_complex(landmarks.to(picture).contiguous())
    wanted = torch.view_as_complex(torch.tensor(ARCFACE_LANDMARKS).to(picture))
    centred = found - found.mean()
    turn_and_scale = (centred.conj() * (wanted - wanted.mean())).sum() / centred.abs().square().sum()
    shrink = float(turn_and_scale.abs())
    if shrink < 0.75:
        # Sampling a large face at 112 x 112 places would skip pixels: make the picture smaller first.
        size = (round(picture.shape[1] * shrink), round(picture.shape[2] * shrink))
        smaller = functional.interpolate(picture.unsqueeze(0), size=size, mode="bilinear", antialias=True)[0]
        ratio = torch.tensor([size[1] / picture.shape[2], size[0] / picture.shape[1]]).to(picture)
        return align_face(smaller, (landmarks.to(picture) + 0.5) * ratio - 0.5)
    steps = torch.arange(ALIGNED_SIZE, device=picture.device, dtype=picture.dtype)
    places = torch.complex(*torch.meshgrid(steps, steps, indexing="xy"))
    source = torch.view_as_real((places - wanted.mean()) / turn_and_scale + found.mean())
    sides = torch.tensor([picture.shape[2], picture.shape[1]]).to(picture)
    grid = (2 * source + 1) / sides - 1
    return functional.grid_sample(
        picture.unsqueeze(0), grid.unsqueeze(0), mode="bilinear", padding_mode="border", align_corners=False
    )[0]
