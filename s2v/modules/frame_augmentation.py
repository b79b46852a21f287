"""DiffAugment (Zhao et al. 2020): random changes to what a discriminator sees, real or made, for small corpora."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from s2v.errors import InputError


@dataclass(frozen=True)
class FrameAugmentation:
    """Differentiable augmentation (DiffAugment, Zhao et al. 2020) of real and made frames alike.

    The generator's gradient goes through it, so that what it makes is not changed itself. The defaults are that
    paper's; 0 leaves a change out.

    Attributes:
        brightness: added to all values of a frame, up to so much either way, on [-1, 1].
        saturation: factor on the difference from the pixel's grey, 1 give or take so much.
        contrast: factor on the difference from the frame's mean, likewise.
        translation: shift in each direction, up to this share of the side; grey comes in.
        cutout: sides of a grey rectangle anywhere, as a share of the frame's; its centre lies in the frame.
    """

    brightness: float = 0.5
    saturation: float = 1.0
    contrast: float = 0.5
    translation: float = 0.125
    cutout: float = 0.5

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value <= 1:
                raise InputError(f"frame_augmentation.{name} must be from 0 to 1, got {value}")

    def __call__(self, frames: Tensor) -> Tensor:
        """Frames (N, 3, H, W) in [-1, 1], each changed by itself, as PyTorch's random state says; not clipped."""
        if self.brightness:
            frames = frames + self.brightness * _uniform(frames)
        if self.saturation:
            grey = frames.mean(1, keepdim=True)
            frames = grey + (frames - grey) * (1 + self.saturation * _uniform(frames))
        if self.contrast:
            mean = frames.mean((1, 2, 3), keepdim=True)
            frames = mean + (frames - mean) * (1 + self.contrast * _uniform(frames))
        if self.translation:
            frames = _translated(frames, self.translation)
        if self.cutout:
            frames = frames * _outside_rectangle(frames, self.cutout)
        return frames


def _uniform(frames: Tensor) -> Tensor:
    """(N, 1, 1, 1) from -1 to 1."""
    return 2 * torch.rand(len(frames), 1, 1, 1, dtype=frames.dtype, device=frames.device) - 1


def _translated(frames: Tensor, share: float) -> Tensor:
    number, _, height, width = frames.shape
    rows, columns = (_shifted_places(number, side, share, frames.device) for side in (height, width))
    padded = F.pad(frames, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    picked = torch.arange(number, device=frames.device)[:, None, None]
    return padded[picked, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _shifted_places(number: int, side: int, share: float, device: torch.device) -> Tensor:
    """(N, side): for each frame, which of the side + 2 places of the padded one comes where."""
    most = round(share * side)
    shifts = torch.randint(-most, most + 1, (number, 1), device=device)
    return (torch.arange(side, device=device) + shifts).clamp(-1, side) + 1


def _outside_rectangle(frames: Tensor, share: float) -> Tensor:
    """(N, 1, H, W): 0 in a rectangle of the frame, 1 elsewhere."""
    number, _, height, width = frames.shape
    rows, columns = (_stretch(number, side, share, frames.device) for side in (height, width))
    return (~(rows[:, None, :, None] & columns[:, None, None, :])).to(frames.dtype)


def _stretch(number: int, side: int, share: float, device: torch.device) -> Tensor:
    """(N, side): for each frame, where the cut stretch lies; its centre is inside, its ends need not be."""
    length = round(share * side)
    centres = torch.randint(0, side + (length + 1) % 2, (number, 1), device=device)
    offsets = torch.arange(side, device=device) - centres + length // 2
    return (offsets >= 0) & (offsets < length)
