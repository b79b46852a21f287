"""Network output to pixels, in one place, so that what is measured is what is written."""

import torch
from torch import Tensor


def to_pixels(frames: Tensor) -> Tensor:
    """Frames of any shape, float in [-1, 1] (clamped to it) -> uint8 0..255, rounded to the nearest.

    The inverse of `pixels / 127.5 - 1`.
    """
    return ((frames.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
