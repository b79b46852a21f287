"""Keeps a few test clips as they were generated, for figures that compare systems."""

from math import isfinite
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from data_modules.evenly_spaced import evenly_spaced
from s2v.batch import TalkingFaceBatch
from s2v.errors import InputError
from s2v.evaluation.kept_clip import KeptClip, kept_clip_files
from s2v.files.whole_file import check_can_be_made


class KeptClips(Callback):
    """Writes evenly spaced clips of the test split, the same for every system: `<output_dir>/<clip>.safetensors`.

    Of a loader that does not say how many clips it has, the first ones.

    Args:
        output_dir: where to write.
        num_clips: how many.
    """

    def __init__(self, output_dir: str, num_clips: int = 6) -> None:
        if num_clips < 1:
            raise InputError(f"KeptClips: num_clips must be at least 1, got {num_clips}")
        self.output_dir = Path(output_dir)
        self.num_clips = num_clips
        self._chosen: set[int] = set()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse a folder that can't be written before anything is generated."""
        if stage == "test":
            check_can_be_made(self.output_dir, "KeptClips' output_dir")

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Which clips: evenly spaced, since a sorted split begins with one speaker's. Those kept before are removed."""
        total = sum(trainer.num_test_batches)
        self._chosen = set(evenly_spaced(int(total) if isfinite(total) else self.num_clips, self.num_clips))
        for path in kept_clip_files(self.output_dir):
            path.unlink(missing_ok=True)

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: TalkingFaceBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write the clip, if it is one of the chosen."""
        place = sum(trainer.num_test_batches[:dataloader_idx]) + batch_idx
        if place not in self._chosen or not isinstance(outputs, dict) or "generated" not in outputs:
            return
        data: Any = getattr(trainer, "datamodule", None)
        labels = [
            names[int(index)]
            for names, index in (
                (getattr(data, "speakers", None), batch["speaker"][0]),
                (getattr(data, "emotions", None), batch["emotion"][0]),
            )
            if names and int(index) >= 0
        ]
        clip_id = batch["clip_id"][0]
        title = " ".join(labels) or clip_id
        real = outputs.get("real", batch["frames"][0])
        KeptClip(clip_id, title, real, outputs["generated"], batch["speech"][0]).write(self.output_dir)
