"""Pixel similarity of generated and real frames (paper, eq. 8)."""

from typing import Literal

from torch import Tensor

from s2v.face_regions import MOUTH_LOSS_BOX, RowRegion, cut_box, cut_rows


def frame_similarity_loss(
    fake: Tensor, real: Tensor, region: RowRegion = "lower", reduction: Literal["mean", "sum"] = "mean"
) -> Tensor:
    """L1 distance on a region of the frames (eq. 8, as in SDFA, where this loss comes from).

    Eq. 8 as printed sums over pixels, which makes its weight depend on the resolution; the default is a mean.

    Args:
        fake: (..., 3, H, W) generated frames in [-1, 1].
        real: (..., 3, H, W) real frames in [-1, 1].
        region: rows compared.
        reduction: `mean` over all values, or `sum` over a frame's values and mean over frames (as printed).
    """
    difference = (cut_rows(fake, region) - cut_rows(real, region)).abs()
    return difference.mean() if reduction == "mean" else difference.sum(dim=(-3, -2, -1)).mean()


def mouth_similarity_loss(fake: Tensor, real: Tensor) -> Tensor:
    """Mean L1 distance inside `MOUTH_LOSS_BOX`: eq. 8 drawn close round the lips, a sixth of the picture.

    Over a whole frame what moves with the speech is a few per cent of eq. 8; here it is most of it.

    Args:
        fake: (..., 3, H, W) generated frames in [-1, 1].
        real: (..., 3, H, W) real frames in [-1, 1].
    """
    return (cut_box(fake, MOUTH_LOSS_BOX) - cut_box(real, MOUTH_LOSS_BOX)).abs().mean()
