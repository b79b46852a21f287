"""SSIM and PSNR over a data set's clips, during validation; a frame's values are `image_quality`'s.

Apart from it, since importing torchmetrics takes longer than PyTorch's own import, and scoring needs none of it.
"""

from abc import abstractmethod

import torch
from torch import Tensor
from torchmetrics import Metric

from s2v.face_regions import RowRegion
from s2v.metrics.image_quality import frame_psnr, frame_ssim


class _ClipMean(Metric):
    """Mean over clips of a clip's mean over frames; the same number on one process and on many."""

    higher_is_better = True
    full_state_update = False
    total: Tensor
    clips: Tensor

    def __init__(self, region: RowRegion = "full") -> None:
        super().__init__()
        self.region: RowRegion = region
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("clips", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    @abstractmethod
    def frame_values(self, generated: Tensor, real: Tensor) -> Tensor:
        """(T, 3, H, W) uint8 twice -> (T,)."""

    def update(self, generated: Tensor, real: Tensor) -> None:
        """Add one clip, (T, 3, H, W) uint8 twice."""
        self.total += self.frame_values(generated, real).mean()
        self.clips += 1

    def compute(self) -> Tensor:
        """0-d float32; nan before the first clip."""
        return self.total / self.clips


class ClipSSIM(_ClipMean):
    """SSIM: frame -> clip -> data set mean."""

    def frame_values(self, generated: Tensor, real: Tensor) -> Tensor:
        """See `frame_ssim`."""
        return frame_ssim(generated, real, self.region)


class ClipPSNR(_ClipMean):
    """PSNR in dB: frame -> clip -> data set mean."""

    def frame_values(self, generated: Tensor, real: Tensor) -> Tensor:
        """See `frame_psnr`."""
        return frame_psnr(generated, real, self.region)
