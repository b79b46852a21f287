"""SyncNet's confidence, distance and offset of clips generated during validation."""

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torchmetrics import MeanMetric

from s2v.batch import SAMPLES_PER_FRAME
from s2v.errors import InputError
from s2v.evaluation.judges import SyncJudge, load_sync_judge
from s2v.evaluation.speech_samples import as_int16
from s2v.metrics.sync_confidence import MIN_FRAMES, sync_scores


class SyncConfidenceCallback(Callback):
    """Logs val/sync_confidence, val/sync_distance and val/sync_offset.

    Takes the speech of the first validation windows, lets the module speak all of it as export would,
    `pl_module.generate_clip(speech (N,), num_frames) -> (T, 3, H, W) uint8`, and scores the two together.

    Args:
        syncnet: checkpoint of a SyncNetTraining fit, or published SyncNet weights.
        max_clips: windows generated at each validation, over all ranks together.
        every_n_epochs: only each n-th validation of a fit is scored; a bare `validate` always is.
    """

    def __init__(self, syncnet: str, max_clips: int = 16, every_n_epochs: int = 1) -> None:
        if max_clips < 1 or every_n_epochs < 1:
            raise InputError(
                f"max_clips and every_n_epochs must be at least 1, {max_clips} and {every_n_epochs} came"
            )
        self.syncnet = syncnet
        self.max_clips = max_clips
        self.every_n_epochs = every_n_epochs
        self._judge: SyncJudge | None = None
        self._speech: list[Tensor] = []
        self._validations = 0
        self.means = {name: MeanMetric(nan_strategy="error") for name in ("confidence", "distance", "offset")}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Load SyncNet, so that a wrong path stops the run at its start."""
        if stage in ("fit", "validate") and self._judge is None:
            self._judge = load_sync_judge(self.syncnet)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the last validation's speech."""
        self._speech = []

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the speech of this rank's first windows."""
        frames = batch["speech"].shape[1] // SAMPLES_PER_FRAME
        if frames < MIN_FRAMES:
            raise InputError(
                f"SyncNet scores {MIN_FRAMES} frames or more, but the validation windows have {frames}; "
                "raise window_frames or leave the callback out"
            )
        wanted = -(-self.max_clips // trainer.world_size) - len(self._speech)
        if wanted > 0:
            self._speech += batch["speech"][:wanted].cpu().unbind()

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Generate, score, log the means over all ranks' windows."""
        if trainer.sanity_checking or self._judge is None:
            return
        self._validations += 1
        if trainer.state.fn == "fit" and self._validations % self.every_n_epochs != 0:
            return
        if not self._speech and trainer.world_size == 1:
            return
        network = self._judge.network.to(pl_module.device)
        for mean in self.means.values():
            mean.to(pl_module.device).reset()
        generate: Any = pl_module.generate_clip
        with torch.no_grad():
            for speech in self._speech:
                frames = generate(speech.to(pl_module.device), len(speech) // SAMPLES_PER_FRAME)
                scores = sync_scores(network, frames, as_int16(speech))
                for name, mean in self.means.items():
                    mean.update(getattr(scores, name))
        for name, mean in self.means.items():
            pl_module.log(f"val/sync_{name}", mean.compute().float())
