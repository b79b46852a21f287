"""Which part of a face crop is meant, and the one place where it is cut out.

Three kinds that share some of their names:

* `RowRegion`, rows of the whole width: what losses, SSIM and PSNR compare and SDFA's sync discriminator sees.
* `LipRegion`, boxes: what a network that matches lips with speech sees. Its "lower" is a square round the mouth, of
  half the width.
* `ContextRegion`, boxes: where contexts enter a frame decoder.

The two boxes close round the mouth differ for no deeper reason than when they were chosen. Both stay: trained SyncNets
know `LIP_REGIONS["mouth"]`, and published results rest on `MOUTH_LOSS_BOX`.
"""

from typing import Literal

from torch import Tensor

from s2v.errors import InputError

RowRegion = Literal["full", "upper", "lower"]
"""All rows, rows [0, H/2), or the mouth half, rows [H/2, H) counted from the top; H/2 is rounded down."""

LipRegion = Literal["full", "lower", "mouth"]
"""A key of `LIP_REGIONS`."""

ContextRegion = Literal["full", "lower", "jaw"]
"""A key of `CONTEXT_REGIONS`."""

Box = tuple[float, float, float, float]
"""Top, bottom, left and right as shares of a face crop's height and width; another order than `FaceBox`'s."""

LIP_REGIONS: dict[str, Box] = {
    "full": (0.0, 1.0, 0.0, 1.0),
    "lower": (0.5, 1.0, 0.25, 0.75),
    "mouth": (0.53, 0.97, 0.28, 0.72),
}
"""The whole face crop; the lower half's middle; a closer square."""

CONTEXT_REGIONS: dict[ContextRegion, Box] = {
    "full": LIP_REGIONS["full"],
    "lower": LIP_REGIONS["lower"],
    "jaw": (0.75, 1.0, 0.25, 0.75),
}
"""Where contexts enter a frame decoder's first map. A place of a map of 4 x 4 reaches a quarter of the picture beyond
itself: from the jaw the mouth, and not the eyes."""

MOUTH_LOSS_BOX: Box = (0.6, 0.95, 0.25, 0.75)
"""Where `mouth_similarity_loss` compares: a sixth of the picture, where an upright face crop has its mouth."""


def row_slice(height: int, region: RowRegion) -> slice:
    """The rows of a picture of `height` pixels that belong to `region`.

    Raises:
        InputError: no such region.
    """
    half = height // 2
    slices = {"full": slice(None), "upper": slice(0, half), "lower": slice(half, None)}
    if region not in slices:
        raise InputError(f"unknown region {region!r}: expected full, upper or lower")
    return slices[region]


def cut_rows(frames: Tensor, region: RowRegion) -> Tensor:
    """The rows of `region`, a view: (..., H, W) -> (..., H', W).

    Raises:
        InputError: no such region.
    """
    return frames[..., row_slice(frames.shape[-2], region), :]


def cut_box(frames: Tensor, box: Box) -> Tensor:
    """What a box holds, to the nearest whole pixel, a view: (..., H, W) -> (..., H', W')."""
    height, width = frames.shape[-2:]
    top, bottom, left, right = box
    return frames[
        ..., round(top * height) : round(bottom * height), round(left * width) : round(right * width)
    ]
