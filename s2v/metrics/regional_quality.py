"""SSIM and PSNR of a clip under every setting the protocol names, each pixel looked at once per size.

Regions: the full frame, its upper half, its mouth half. Sizes: as the clip is, and at 128 x 96 (height x width),
where the field's older systems work. PSNR is pooled both ways: the mean over frames of each frame's PSNR, and
the PSNR of the whole clip's mean squared error. They differ (Jensen: the first is never smaller), and papers
rarely say which one they print.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from s2v.face_regions import RowRegion, cut_rows, row_slice
from s2v.metrics.image_quality import (
    DATA_RANGE,
    PSNR_CEILING,
    SSIM_WINDOW,
    check_pair,
    check_ssim_size,
    ssim_maps,
)
from s2v.models.pictures_in_parts import in_parts

SMALL_SIZE = (128, 96)
"""Height and width of the comparison with 128 x 96 systems."""

REGIONS: dict[RowRegion, str] = {"full": "", "upper": "_upper", "lower": "_mouth"}
"""Region -> what it appends to a metric's name."""

SIZES = ("", "_128x96")
"""What the two sizes append."""

METRICS = tuple(
    f"{name}{region}{size}"
    for size in SIZES
    for region in REGIONS.values()
    for name in ("ssim", "psnr", "psnr_clip")
)
"""Names of all 18 values, as `regional_quality` gives them."""


def at_small_size(frames: Tensor) -> Tensor:
    """(T, 3, H, W) uint8 -> (T, 3, 128, 96) uint8, see `at_size`."""
    return at_size(frames, SMALL_SIZE)


def at_size(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """(T, 3, H, W) uint8 -> (T, 3, *size) uint8: bilinear with anti-aliasing, rounded as a video would be."""
    if tuple(frames.shape[-2:]) == size:
        return frames
    parts = [
        functional.interpolate(part.float(), size, mode="bilinear", antialias=True)
        for part in in_parts(frames)
    ]
    return torch.cat([part.round().clamp(0, 255).to(torch.uint8) for part in parts])


def regional_quality(generated: Tensor, real: Tensor) -> dict[str, float]:
    """The 18 values of `METRICS` for one clip, (T, 3, H, W) uint8 twice.

    Raises:
        InputError: shapes differ, or half a frame is smaller than SSIM's window.
    """
    check_pair(generated, real)
    (values,) = regional_qualities([generated], real)
    return values


def small_quality(generated: Tensor, real: Tensor) -> dict[str, float]:
    """Those of the 18 that are at 128 x 96, of one clip's frames (T, 3, H, W) uint8, which may differ in H and W."""
    (values,) = _of_one_size([at_small_size(generated)], at_small_size(real), [0])
    return {f"{name}{SIZES[1]}": value for name, value in values.items()}


def regional_qualities(
    systems: Sequence[Tensor], real: Tensor, first: Sequence[int] | None = None
) -> list[dict[str, float]]:
    """`regional_quality` of several systems on one clip: what they share is computed once.

    Args:
        systems: (T, 3, H, W) uint8 each, or (1, 3, H, W), a frame held for all T.
        real: (T, 3, H, W) uint8.
        first: for each system, the frame from which on it is compared; None: all from 0.

    Raises:
        InputError: half a frame is smaller than SSIM's window.
    """
    starts = [0] * len(systems) if first is None else list(first)
    found = _of_one_size(systems, real, starts)
    small = _of_one_size([at_small_size(frames) for frames in systems], at_small_size(real), starts)
    return [
        values | {f"{name}{SIZES[1]}": value for name, value in shrunk.items()}
        for values, shrunk in zip(found, small, strict=True)
    ]


def perfect_quality(real: Tensor) -> dict[str, float]:
    """The 18 values of (T, 3, H, W) uint8 against itself: SSIM is 1 by its definition, and no error at all.

    Raises:
        InputError: half a frame is smaller than SSIM's window.
    """
    check_ssim_size(cut_rows(real, "upper"), "upper")
    return {name: 1.0 if name.startswith("ssim") else PSNR_CEILING for name in METRICS}


def _of_one_size(systems: Sequence[Tensor], real: Tensor, first: Sequence[int]) -> list[dict[str, float]]:
    check_ssim_size(cut_rows(real, "upper"), "upper")
    middle = real.shape[-2] // 2
    # rows of the SSIM map whose window lies inside the region
    windows: dict[RowRegion, slice] = {
        "full": slice(None),
        "upper": slice(0, middle - SSIM_WINDOW + 1),
        "lower": slice(middle, None),
    }
    similar: list[dict[RowRegion, list[Tensor]]] = [{region: [] for region in REGIONS} for _ in systems]
    for parts in ssim_maps(systems, real):
        for part, kept in zip(parts, similar, strict=True):
            for region, chosen in windows.items():
                kept[region].append(part[:, :, chosen].mean(dim=(1, 2, 3)))
    found = []
    for frames, kept, start in zip(systems, similar, first, strict=True):
        error = squared_error(frames, real)[start:]
        values = {}
        for region, suffix in REGIONS.items():
            inside = error[:, row_slice(real.shape[-2], region)].mean(dim=1)
            values[f"ssim{suffix}"] = float(torch.cat(kept[region])[start:].mean())
            values[f"psnr{suffix}"] = float(psnr_of(inside).mean())
            values[f"psnr_clip{suffix}"] = float(psnr_of(inside.mean()))
        found.append(values)
    return found


def squared_error(generated: Tensor, real: Tensor) -> Tensor:
    """Mean over colours and columns of each row's squared error: (T, 3, H, W) uint8 twice -> (T, H) float64.

    `generated` may be one frame, held.
    """
    precision = torch.float32 if real.device.type == "mps" else torch.float64
    rows = []
    for mine, theirs in zip(in_parts(generated.expand_as(real)), in_parts(real), strict=True):
        # int16 holds every difference exactly
        difference = mine.to(torch.int16) - theirs.to(torch.int16)
        rows.append(difference.to(precision).square().mean(dim=(1, 3)))
    return torch.cat(rows)


def psnr_of(mean_squared_error: Tensor) -> Tensor:
    """10 log10(255^2 / MSE) in dB, element by element; at most `PSNR_CEILING`, which no error at all gets."""
    return (10 * torch.log10(DATA_RANGE**2 / mean_squared_error)).clamp(max=PSNR_CEILING)
