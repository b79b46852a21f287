"""Pixel similarity of generated and real frames (paper, eq. 8)."""

from typing import Literal

from torch import Tensor

Region = Literal["lower", "upper", "full"]

MOUTH_BOX = (0.6, 0.95, 0.25, 0.75)
"""Top, bottom, left and right of where an upright face crop has its mouth, as fractions of the picture."""


def region_rows(frames: Tensor, region: Region) -> Tensor:
    """Rows of a picture: `lower` is [H/2, H] counted from the top (the mouth half), `upper` the rest.

    Args:
        frames: (..., H, W).

    Returns:
        A view, (..., H/2, W) or the whole.
    """
    half = frames.shape[-2] // 2
    if region == "lower":
        return frames[..., half:, :]
    if region == "upper":
        return frames[..., :half, :]
    if region == "full":
        return frames
    raise ValueError(f"region must be 'lower', 'upper' or 'full', got {region!r}")


def frame_similarity_loss(
    fake: Tensor, real: Tensor, region: Region = "lower", reduction: Literal["mean", "sum"] = "mean"
) -> Tensor:
    """L1 distance on a region of the frames (eq. 8, as in SDFA, where this loss comes from).

    Eq. 8 as printed sums over pixels, which makes its weight depend on the resolution; the default is a mean.

    Args:
        fake: (..., 3, H, W) generated frames in [-1, 1].
        real: (..., 3, H, W) real frames in [-1, 1].
        region: rows compared.
        reduction: `mean` over all values, or `sum` over a frame's values and mean over frames (as printed).
    """
    difference = (region_rows(fake, region) - region_rows(real, region)).abs()
    return difference.mean() if reduction == "mean" else difference.sum(dim=(-3, -2, -1)).mean()


def mouth_similarity_loss(fake: Tensor, real: Tensor) -> Tensor:
    """Mean L1 distance inside `MOUTH_BOX`: eq. 8 drawn close round the lips, a sixth of the picture.

    Over a whole frame what moves with the speech is a few per cent of eq. 8; here it is most of it.

    Args:
        fake: (..., 3, H, W) generated frames in [-1, 1].
        real: (..., 3, H, W) real frames in [-1, 1].
    """
    height, width = real.shape[-2:]
    top, bottom, left, right = MOUTH_BOX
    rows = slice(round(top * height), round(bottom * height))
    columns = slice(round(left * width), round(right * width))
    return (fake[..., rows, columns] - real[..., rows, columns]).abs().mean()
