"""Randomness as a function of (seed, step): a resumed run draws the numbers the uninterrupted one draws."""

import os
import random
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch

from data_modules.shared_batches import shared_batches
from s2v.training.step_counters import batches_begun

TRAINING, EVALUATION = 0, 1


class ReproducibleRandomness(pl.Callback):
    """Seed Python, NumPy and torch from (seed, batches trained so far, rank) before each training batch.

    Lightning checkpoints no generator's state; with this there is none to save. Evaluation batches are seeded
    by their own number, so that two validations of one model agree and training does not notice them: by that among
    all processes' batches, so that it does not matter how many share out a validation.

    Args:
        seed: None takes the run's (`seed_everything`), or 0 without one.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    def _set(self, rank: int, *counters: int) -> None:
        seed = int(os.environ.get("PL_GLOBAL_SEED", 0)) if self.seed is None else self.seed
        sequence = np.random.SeedSequence([seed, rank, *counters])
        for_python, for_numpy, for_torch = sequence.generate_state(3).tolist()
        random.seed(for_python)
        np.random.seed(for_numpy)
        torch.manual_seed(for_torch)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed by the number of batches begun since training's first start, restarts included."""
        self._set(trainer.global_rank, TRAINING, batches_begun(trainer))

    def on_validation_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Seed by the batch's number among those of all processes."""
        shared = shared_batches(trainer, dataloader_idx)
        self._set(0, EVALUATION, dataloader_idx, batch_idx if shared is None else shared.number(batch_idx))

    def on_test_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Seed by the batch's number in its loader."""
        self._set(0, EVALUATION, dataloader_idx, batch_idx)

    on_predict_batch_start = on_test_batch_start
