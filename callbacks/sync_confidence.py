"""SyncNet's confidence, distance and offset of clips generated during validation."""

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from callbacks.generated_clip import check_generates_clips, generated_clip
from data_modules.evenly_spaced import evenly_spaced
from data_modules.shared_batches import WindowNumbers
from s2v.batch import SAMPLES_PER_FRAME
from s2v.errors import InputError
from s2v.evaluation.judges import SyncJudge, load_sync_judge
from s2v.evaluation.speech_samples import as_int16
from s2v.metrics.mean_sync_confidence import SyncConfidence
from s2v.metrics.sync_confidence import MIN_FRAMES


class SyncConfidenceCallback(Callback):
    """Logs val/sync_confidence, val/sync_distance and val/sync_offset_abs, the mean offset without its sign.

    Takes the speech of evenly spaced validation windows, the same each time (of the first ones where the loader does
    not say how many there are), lets the module speak all of it as export would (see `GeneratesClips`), and scores
    the two together, as the network asks (`s2v.metrics.sync_confidence.sync_mode`: without zero padding where
    its embeddings have length 1). With several processes each scores those of the chosen windows that it is served,
    or a part of them where a loader serves everything to all.

    Args:
        syncnet: checkpoint of a SyncNetTraining fit, or published SyncNet weights.
        max_clips: windows generated at each validation, by all ranks together.
        every_n_epochs: of a fit, only the validations of every n-th epoch are scored; a bare `validate` always is.
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
        self._windows: list[tuple[Tensor, Tensor]] = []
        self._chosen: dict[int, int] = {}
        """Numbers among all that a validation serves -> the rank that scores what all ranks are served."""
        self._numbers: WindowNumbers | None = None

    def weight_sources(self, stage: str, resuming: bool) -> dict[str, str | None]:
        """What will be read, for `s2v.training.early_check`."""
        return {"the sync judge": self.syncnet if stage in ("fit", "validate") else None}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Load SyncNet, so that a wrong path stops the run at its start, as a module that can't speak does."""
        check_generates_clips(self, pl_module)
        if stage in ("fit", "validate") and self._judge is None:
            self._judge = load_sync_judge(self.syncnet)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the last validation's windows, and choose: a sorted data set begins with one speaker's."""
        self._windows, self._numbers = [], WindowNumbers(trainer)
        total = self._numbers.total
        chosen = evenly_spaced(self.max_clips if total is None else total, self.max_clips)
        self._chosen = {number: place % trainer.world_size for place, number in enumerate(chosen)}

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep speech and still of this rank's share of the chosen windows."""
        frames = batch["speech"].shape[1] // SAMPLES_PER_FRAME
        if frames < MIN_FRAMES:
            raise InputError(
                f"SyncNet scores {MIN_FRAMES} frames or more, but the validation windows have {frames}; "
                "raise window_frames or leave the callback out"
            )
        assert self._numbers is not None
        numbers = self._numbers.of_batch(batch_idx, dataloader_idx, len(batch["speech"]))
        dealt_out = self._numbers.are_dealt_out(dataloader_idx)
        for number, speech, still in zip(numbers, batch["speech"], batch["still"], strict=True):
            scored_by = self._chosen.get(number)
            if scored_by is not None and (dealt_out or scored_by == trainer.global_rank):
                # clones: a view would keep its whole batch
                self._windows.append((speech.cpu().clone(), still.cpu().clone()))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Generate, score, log the means over all ranks' windows."""
        if trainer.sanity_checking or self._judge is None:
            return
        if trainer.state.fn == "fit" and (trainer.current_epoch + 1) % self.every_n_epochs != 0:
            return
        if self._numbers is None or not self._numbers.counted:
            return
        confidence = SyncConfidence(self._judge.network.to(pl_module.device)).to(pl_module.device)
        with torch.no_grad():
            for speech, still in self._windows:
                frames = generated_clip(pl_module, speech, len(speech) // SAMPLES_PER_FRAME, still)
                confidence.update(frames, as_int16(speech))
        means = confidence.compute()  # of all ranks' windows
        for name in ("sync_confidence", "sync_distance", "sync_offset_abs"):
            pl_module.log(f"val/{name}", means[name].float(), sync_dist=True)
