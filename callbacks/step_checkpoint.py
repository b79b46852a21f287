"""`last.ckpt` every so many steps: what an epoch goes on from when it was interrupted."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint


class StepCheckpoint(ModelCheckpoint):
    """Keep the newest state as `last.ckpt`, but not after an epoch's last batch.

    Lightning takes a fit resumed from there for one whose epoch is over: the validation that a kill cut off would
    never be made up for, nor its metrics, nor `best.ckpt`. The checkpoint of the epoch's end comes right after that
    validation; until then, what is resumed is the state before, and the last batch is done again.

    Args:
        dirpath: folder of the checkpoint.
        every_n_train_steps: steps from one to the next.
    """

    def __init__(self, dirpath: str, every_n_train_steps: int = 1000) -> None:
        super().__init__(
            dirpath,
            every_n_train_steps=every_n_train_steps,
            save_top_k=0,
            save_last=True,
            enable_version_counter=False,
        )

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save, where it is time, unless the epoch's validation is next."""
        if not trainer.is_last_batch:
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
