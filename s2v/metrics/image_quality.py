"""Picture quality of a generated clip against the real one: SSIM, PSNR, sharpness, motion.

All take uint8 RGB clips (T, 3, H, W): what a user gets, not the network's floats. Frame values are averaged
to a clip value, clip values to a data set's. SSIM: Wang et al. 2004, Gaussian window of 11 pixels, sigma 1.5,
C1 = (0.01 * 255)^2, C2 = (0.03 * 255)^2, windows that lie wholly inside the picture, so that it equals
scikit-image's `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)` and the
inner pixels of torchmetrics' (whose own mean also counts those it padded by reflection).
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from s2v.errors import InputError
from s2v.face_regions import RowRegion, cut_rows
from s2v.models.pictures_in_parts import in_parts, pictures_at_once

DATA_RANGE = 255.0
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
_C1, _C2 = (0.01 * DATA_RANGE) ** 2, (0.03 * DATA_RANGE) ** 2

PSNR_CEILING = 100.0
"""dB given to identical frames, whose PSNR is infinite: one of them would make a clip's mean infinite."""


_SSIM_FRAMES = 4
"""So few that SSIM's ten or so float64 copies of them stay in a processor's cache at usual sizes."""


def check_pair(generated: Tensor, real: Tensor) -> None:
    """Both must be uint8 clips (T, 3, H, W) of one shape.

    Raises:
        InputError: they are not; the message says what came.
    """
    check_clip(generated, "generated")
    check_clip(real, "real")
    if generated.shape != real.shape:
        raise InputError(f"generated is {_described(generated)}, real is {_described(real)}")


def check_clip(frames: Tensor, name: str) -> None:
    """Frames must be a uint8 clip (T, 3, H, W); `name` says whose they are.

    Raises:
        InputError: they are not; the message says what came.
    """
    if frames.dtype != torch.uint8 or frames.ndim != 4 or frames.shape[1] != 3 or len(frames) == 0:
        raise InputError(
            f"expected {name} frames (T, 3, H, W) uint8, but got {tuple(frames.shape)} {frames.dtype}"
        )


def _described(frames: Tensor) -> str:
    return f"{len(frames)} frames of {frames.shape[-1]} x {frames.shape[-2]}"


def frame_ssim(generated: Tensor, real: Tensor, region: RowRegion = "full") -> Tensor:
    """SSIM of each frame, averaged over colours and pixels: (T, 3, H, W) uint8 twice -> (T,) float32.

    Raises:
        InputError: shapes differ, or the region is smaller than the window.
    """
    check_pair(generated, real)
    generated, real = cut_rows(generated, region), cut_rows(real, region)
    check_ssim_size(real, region)
    return torch.cat([part.mean(dim=(1, 2, 3)).float() for (part,) in ssim_maps([generated], real)])


def check_ssim_size(frames: Tensor, region: RowRegion) -> None:
    """A region's frames (..., H, W) must hold one window.

    Raises:
        InputError: they are smaller.
    """
    if min(frames.shape[-2:]) < SSIM_WINDOW:
        raise InputError(
            f"SSIM needs {SSIM_WINDOW} x {SSIM_WINDOW} pixels, but the region '{region}' of these frames is "
            f"{frames.shape[-1]} x {frames.shape[-2]}"
        )


def ssim_maps(systems: Sequence[Tensor], real: Tensor) -> Iterator[list[Tensor]]:
    """SSIM of several systems under every window that lies wholly inside, some frames at a time.

    What concerns the real frames alone is computed once for all systems, and that of a held frame, a system of one
    frame, once for all frames.

    Args:
        systems: (T, 3, H, W) uint8 each, or (1, 3, H, W) held for all frames.
        real: (T, 3, H, W) uint8.

    Yields:
        For each system (t, 3, H - 10, W - 10) float64, whose row i is the window over rows i .. i + 10.
    """
    precision = torch.float32 if real.device.type == "mps" else torch.float64
    held = [_moments(frames.to(precision)) if len(frames) == 1 else None for frames in systems]
    for start in range(0, len(real), _SSIM_FRAMES):
        chosen = slice(start, start + _SSIM_FRAMES)
        y = real[chosen].to(precision)
        mean_y, variance_y = _moments(y)
        maps = []
        for frames, still in zip(systems, held, strict=True):
            x = (frames if len(frames) == 1 else frames[chosen]).to(precision)
            mean_x, variance_x = still or _moments(x)
            product, squares = mean_x * mean_y, mean_x.square() + mean_y.square()
            covariance = under_windows(x * y).sub_(product)
            structure = covariance.mul_(2).add_(_C2).div_(variance_x + variance_y + _C2)
            maps.append(product.mul_(2).add_(_C1).div_(squares.add_(_C1)).mul_(structure))
        yield maps


def _moments(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance under every window."""
    mean = under_windows(pixels)
    return mean, under_windows(pixels * pixels).sub_(mean * mean)


def under_windows(pixels: Tensor) -> Tensor:
    """(..., H, W) -> (..., H - 10, W - 10): means weighted by SSIM's Gaussian.

    It is a product of a row and a column of 11 weights: sums of shifted copies, in float64 faster than a convolution
    in float32, which is 2e-5 off in flat areas.
    """
    for axis in (-2, -1):
        length = pixels.shape[axis] - SSIM_WINDOW + 1
        total = pixels.narrow(axis, 0, length) * _WINDOW[0]
        for shift in range(1, SSIM_WINDOW):
            total.add_(pixels.narrow(axis, shift, length), alpha=_WINDOW[shift])
        pixels = total
    return pixels


def _gaussian() -> list[float]:
    weights = [
        math.exp(-((step - SSIM_WINDOW // 2) ** 2) / (2 * SSIM_SIGMA**2)) for step in range(SSIM_WINDOW)
    ]
    return [weight / sum(weights) for weight in weights]


_WINDOW = _gaussian()


def frame_psnr(generated: Tensor, real: Tensor, region: RowRegion = "full") -> Tensor:
    """PSNR of each frame in dB over all its colours and pixels: (T, 3, H, W) uint8 twice -> (T,) float32.

    Identical frames get `PSNR_CEILING`.

    Raises:
        InputError: shapes differ.
    """
    check_pair(generated, real)
    generated, real = cut_rows(generated, region), cut_rows(real, region)
    values = [
        10 * torch.log10(DATA_RANGE**2 / (mine.float() - theirs.float()).square().mean(dim=(1, 2, 3)))
        for mine, theirs in zip(in_parts(generated), in_parts(real), strict=True)
    ]
    return torch.cat(values).clamp(max=PSNR_CEILING)


def sharpness(generated: Tensor, real: Tensor) -> float:
    """Gradient energy (sum of squared neighbour differences) of the generated clip over the real one's.

    Below 1 is blurred, above 1 noisy; nan where the real clip is one flat colour.
    """
    check_pair(generated, real)
    return _ratio(_gradient_energy(generated), _gradient_energy(real))


def motion(generated: Tensor, real: Tensor) -> float:
    """Mean absolute frame-to-frame difference, generated over real; 0 is a still picture.

    nan where the real clip does not move, or has a single frame.
    """
    check_pair(generated, real)
    return _ratio(_mean_change(generated), _mean_change(real))


def _ratio(generated: float, real: float) -> float:
    return generated / real if real > 0 else float("nan")


def _gradient_energy(frames: Tensor) -> float:
    energy = 0.0
    for part in in_parts(frames):
        pixels = part.float()
        energy += sum(pixels.diff(dim=axis).square().sum().item() for axis in (-1, -2))
    return energy


def _mean_change(frames: Tensor) -> float:
    change = 0.0
    step = pictures_at_once(frames.device)
    for start in range(0, len(frames) - 1, step):
        pixels = frames[start : start + step + 1].float()
        change += pixels.diff(dim=0).abs().sum().item()
    return change / max(frames[1:].numel(), 1)
