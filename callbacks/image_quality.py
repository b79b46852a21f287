"""SSIM and PSNR of validation frames, full and mouth half."""

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from s2v.generation.pixels import to_pixels
from s2v.metrics.clip_quality import ClipPSNR, ClipSSIM


class ImageQuality(Callback):
    """Logs val/ssim, val/psnr, val/ssim_mouth and val/psnr_mouth at the end of each validation.

    Reads what `validation_step` returns: {"fake_frames", "real_frames"}, (B, T, 3, H, W) in [-1, 1]. Frames
    are rounded to 8 bits first, as export does. All ranks log the same numbers.
    """

    def __init__(self) -> None:
        self.metrics: dict[str, ClipSSIM | ClipPSNR] = {
            "ssim": ClipSSIM(),
            "psnr": ClipPSNR(),
            "ssim_mouth": ClipSSIM("lower"),
            "psnr_mouth": ClipPSNR("lower"),
        }

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
