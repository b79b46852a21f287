"""SSIM, PSNR, sharpness and LPIPS of validation frames."""

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from s2v.evaluation.judges import load_perceptual_judge
from s2v.generation.pixels import to_pixels
from s2v.metrics.clip_quality import ClipLPIPS, ClipMean, ClipPSNR, ClipSharpness, ClipSSIM


class _ClipMeans(Callback):
    """Logs val/NAME of metrics over a validation's clips; all ranks log the same numbers.

    Reads what `validation_step` returns: {"fake_frames", "real_frames"}, (B, T, 3, H, W) in [-1, 1]. Frames
    are rounded to 8 bits first, as export does.
    """

    def __init__(self, metrics: dict[str, ClipMean]) -> None:
        self.metrics = metrics

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start anew: a sanity check or an interrupted validation must leave nothing behind."""
        for metric in self.metrics.values():
            metric.to(pl_module.device).reset()

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Measure each clip of the batch."""
        if not isinstance(outputs, dict) or "fake_frames" not in outputs:
            return
        generated, real = to_pixels(outputs["fake_frames"]), to_pixels(outputs["real_frames"])
        with torch.no_grad():
            for mine, theirs in zip(generated, real, strict=True):
                for metric in self.metrics.values():
                    metric.update(mine, theirs)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the means over all ranks' clips."""
        if any(metric.update_called for metric in self.metrics.values()) or trainer.world_size > 1:
            for name, metric in self.metrics.items():
                # computed here, not handed to log(): Lightning resets only metrics that the module owns
                pl_module.log(f"val/{name}", metric.compute(), prog_bar=name == "ssim", sync_dist=True)


class ImageQuality(_ClipMeans):
    """Logs val/ssim, val/psnr, val/ssim_mouth, val/psnr_mouth (the lower half) and val/sharpness of each validation."""

    def __init__(self) -> None:
        super().__init__(
            {
                "ssim": ClipSSIM(),
                "psnr": ClipPSNR(),
                "ssim_mouth": ClipSSIM("lower"),
                "psnr_mouth": ClipPSNR("lower"),
                "sharpness": ClipSharpness(),
            }
        )


class PerceptualDistance(_ClipMeans):
    """Logs val/lpips (less is better) of each validation.

    SSIM and PSNR prefer a blurred face, or two poses in one, to a sharp face a little beside the real one; LPIPS does
    not.

    Args:
        lpips: file of torchvision's AlexNet weights.
    """

    def __init__(self, lpips: str) -> None:
        super().__init__({})
        self.lpips = lpips

    def weight_sources(self, stage: str, resuming: bool) -> dict[str, str | None]:
        """What will be read, for `s2v.training.early_check`."""
        return {"LPIPS' AlexNet": self.lpips if stage in ("fit", "validate") else None}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Load LPIPS, so that a wrong path stops the run at its start."""
        if stage in ("fit", "validate") and not self.metrics:
            self.metrics["lpips"] = ClipLPIPS(load_perceptual_judge(self.lpips))
