"""SSIM, PSNR, sharpness and LPIPS over a data set's clips, during validation.

Apart from `image_quality`, since importing torchmetrics takes longer than PyTorch's own import, and scoring needs none
of it.
"""

from abc import abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torchmetrics import Metric

from s2v.face_regions import RowRegion
from s2v.metrics.image_quality import frame_psnr, frame_ssim, sharpness

if TYPE_CHECKING:
    from s2v.evaluation.judges import PerceptualJudge


class ClipMean(Metric):
    """Mean of a number of each clip; the same on one process and on many. A clip without one (nan) does not count."""

    full_state_update = False
    total: Tensor
    clips: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("clips", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    @abstractmethod
    def clip_value(self, generated: Tensor, real: Tensor) -> float | Tensor:
        """(T, 3, H, W) uint8 twice -> the clip's number."""

    def update(self, generated: Tensor, real: Tensor) -> None:
        """Add one clip, (T, 3, H, W) uint8 twice."""
        value = torch.as_tensor(self.clip_value(generated, real)).to(self.total)
        self.total += value.nan_to_num(nan=0.0)
        self.clips += ~value.isnan()

    def compute(self) -> Tensor:
        """0-d float32; nan before the first clip."""
        return self.total / self.clips


class _FrameMean(ClipMean):
    """A clip's number is the mean over its frames, of a region."""

    higher_is_better = True

    def __init__(self, region: RowRegion = "full") -> None:
        super().__init__()
        self.region: RowRegion = region

    @abstractmethod
    def frame_values(self, generated: Tensor, real: Tensor) -> Tensor:
        """(T, 3, H, W) uint8 twice -> (T,)."""

    def clip_value(self, generated: Tensor, real: Tensor) -> Tensor:
        """The mean of `frame_values`."""
        return self.frame_values(generated, real).mean()


class ClipSSIM(_FrameMean):
    """SSIM: frame -> clip -> data set mean."""

    def frame_values(self, generated: Tensor, real: Tensor) -> Tensor:
        """See `frame_ssim`."""
        return frame_ssim(generated, real, self.region)


class ClipPSNR(_FrameMean):
    """PSNR in dB: frame -> clip -> data set mean."""

    def frame_values(self, generated: Tensor, real: Tensor) -> Tensor:
        """See `frame_psnr`."""
        return frame_psnr(generated, real, self.region)


class ClipSharpness(ClipMean):
    """Gradient energy over the real clip's: 1 is as sharp, below is blurred."""

    def clip_value(self, generated: Tensor, real: Tensor) -> float:
        """See `sharpness`."""
        return sharpness(generated, real)


class ClipLPIPS(ClipMean):
    """LPIPS: frame -> clip -> data set mean.

    Args:
        judge: its network goes where the metric goes.
    """

    higher_is_better = False

    def __init__(self, judge: "PerceptualJudge") -> None:
        super().__init__()
        self._judge = judge
        self.network = judge.network

    def clip_value(self, generated: Tensor, real: Tensor) -> float:
        """See `PerceptualJudge.distances`."""
        return self._judge.distances([generated], real, [0])[0]
