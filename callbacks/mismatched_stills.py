"""Gives each test clip another speaker's still: the paper's SDFA(mismatch)."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_info

from callbacks.test_report import TestReport
from data_modules.clip_cache import read_clip
from data_modules.clip_manifest import ManifestRow
from s2v.batch import TalkingFaceBatch
from s2v.errors import InputError
from s2v.evaluation.mismatch import mismatched_clips, read_mismatch, write_mismatch


class MismatchedStills(Callback):
    """Replaces each test batch's `still` by the first frame of a clip of another speaker, by a fixed list.

    The list is written where there is none yet, and read where there is one, so that every run takes the same.

    Args:
        list_file: CSV of `clip_id,still_of`.
    """

    def __init__(self, list_file: str) -> None:
        self.list_file = Path(list_file)
        self._files: dict[str, Path] = {}
        self._chosen: dict[str, str] = {}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Before the report's own set-up, which asks the module for the system's name.

        Raises:
            InputError: the module takes no still, or a report comes first, which would be written as SDFA's own.
        """
        if stage != "test":
            return
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        if any(isinstance(callback, TestReport) for callback in callbacks[: callbacks.index(self)]):
            raise InputError(
                "SDFA(mismatch)'s report would replace the report of the fit's own test: give a report's file after "
                "mismatch.yaml, such as --config experiments/test/report.yaml"
            )
        if not getattr(pl_module, "needs_still", False):
            raise InputError(
                f"MismatchedStills is for SDFA, which animates a picture; this {type(pl_module).__name__} takes none"
            )
        pl_module.system_name = "SDFA(mismatch)"  # type: ignore[assignment]

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Read or write the list.

        Raises:
            InputError: the list does not fit the test split, or all of that is one speaker, or a clip has none.
        """
        data: Any = getattr(trainer, "datamodule", None)
        clips: list[ManifestRow] = data.clips("test")
        speakers = {clip.clip_id: clip.speaker for clip in clips}
        self._files = {clip.clip_id: Path(data.cache_dir) / clip.cache_file for clip in clips}
        if self.list_file.is_file():
            self._chosen = read_mismatch(self.list_file, speakers)
        else:
            self._chosen = mismatched_clips(speakers)
            write_mismatch(self.list_file, self._chosen)
        pl_module.stills_file = str(self.list_file)  # type: ignore[assignment]  # for the report
        rank_zero_info(f"each clip is given another speaker's frame, by {self.list_file}")

    def on_test_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: TalkingFaceBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Exchange the stills before `test_step` sees them."""
        frames = [read_clip(self._files[self._chosen[name]], 0, 1)[0] for name in batch["clip_id"]]
        stills = torch.stack([torch.from_numpy(clip[0].copy()) for clip in frames])
        batch["still"] = stills.to(batch["still"].device)
