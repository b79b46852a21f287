"""The counts are Lightning's, in a fit that adds up gradients and goes on from a checkpoint."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
from lightning.pytorch.callbacks import ModelCheckpoint

from s2v.training.step_counters import batches_begun, go_on_logging_at, logged_step
from tests.callbacks.small_gan import SmallGAN, loader
from tests.quiet_trainer import trainer


class Counts(pl.Callback):
    """(batches begun, logged step) at each batch."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def on_train_batch_start(self, trainer: Any, *others: Any) -> None:
        self.seen.append((batches_begun(trainer), logged_step(trainer)))


def test_batches_are_counted_over_restarts_whatever_they_step(tmp_path: Path) -> None:
    counts = Counts()
    kept = ModelCheckpoint(tmp_path, every_n_train_steps=1, save_last=True)
    first = trainer(tmp_path, counts, kept, max_steps=3)
    assert batches_begun(first) == logged_step(first) == 0
    first.fit(SmallGAN(batches_a_step=2), train_dataloaders=loader())
    assert [begun for begun, _ in counts.seen] == [1, 2, 3, 4, 5, 6]  # two to a step
    assert first.global_step == 3 and logged_step(first) == 6  # Lightning hears of no accumulation

    trainer(tmp_path, more := Counts(), max_steps=5).fit(
        SmallGAN(batches_a_step=2), train_dataloaders=loader(), ckpt_path=str(tmp_path / "last.ckpt")
    )
    assert [begun for begun, _ in more.seen] == [7, 8, 9, 10]


def test_logging_goes_on_where_it_is_told(tmp_path: Path) -> None:
    made = trainer(tmp_path)
    go_on_logging_at(made, 41)
    assert logged_step(made) == 41


def test_another_lightning_is_noticed(tmp_path: Path) -> None:
    made = trainer(tmp_path)
    del made.fit_loop.epoch_loop._batches_that_stepped
    with pytest.raises(AttributeError):
        go_on_logging_at(made, 41)
