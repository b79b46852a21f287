"""`last.ckpt`: the newest state, which a fit goes on from however it ended."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from callbacks.moved_checkpoints import follow_moved_folder
from s2v.training.step_counters import go_on_logging_at


class LastCheckpoint(ModelCheckpoint):
    """Write `last.ckpt` at each epoch's end, every so many steps, and at the step in which SIGTERM stops a fit.

    Lightning's own `save_last` writes it only when a best checkpoint is written too. And it would write it after an
    epoch's last batch, before the validation: a fit resumed from there counts the epoch as over, and what a kill cut
    off, the validation with its metrics and `best.ckpt`, is never made up for. Here that batch is done again.

    Loggers get a step's metrics after its checkpoint is written: the checkpoint holds them too, and a resumed fit
    logs them (again), in case a kill came between. Resumed at an epoch's end, Lightning would number the loggers'
    steps one too high: they are set right.

    SIGTERM (a scheduler's, `timeout`'s) costs no finished step of a fit in one process, unless it comes in an epoch's
    last batch, in a validation or among batches whose gradients are added up. Several processes hear of it at different
    steps, and go on from the last regular save, as after SIGKILL or Ctrl-C.

    Args:
        dirpath: folder of the checkpoint.
        every_n_train_steps: steps from one to the next; 0: at epochs' ends only.
        name: the checkpoint's file is `name`.ckpt; another than "last" where last.ckpt stands for a finished fit.
    """

    def __init__(self, dirpath: str, every_n_train_steps: int = 1000, name: str = "last") -> None:
        super().__init__(
            dirpath,
            every_n_train_steps=every_n_train_steps,
            save_top_k=0,
            save_last=True,
            enable_version_counter=False,
        )
        self.CHECKPOINT_NAME_LAST = name
        self._last_row: dict[str, Any] = {}
        self._resumed = False
        self._begun_at = 0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """The loggers' count of steps is the trainer's."""
        self._begun_at = trainer.global_step
        if self._resumed:
            go_on_logging_at(trainer, trainer.global_step)
            self._resumed = False

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save, where it is time, unless the epoch's validation is next or the batch only added to gradients."""
        # a resumed fit would otherwise write the step it began at once more, in the midst of the next one's batches
        if trainer.is_last_batch or trainer.global_step == self._begun_at:
            return
        step, every = trainer.global_step, self._every_n_train_steps
        logs_every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        stopped = trainer.received_sigterm and trainer.world_size == 1
        due = stopped or (every > 0 and step % every == 0)
        if due and logs_every > 0 and step % logs_every == 0:
            metrics = trainer.logged_metrics.items()
            self._last_row = {
                "step": step - 1,
                "metrics": {name: float(value) for name, value in metrics if name.startswith("train/")}
                | {"epoch": trainer.current_epoch},
            }
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if stopped and not self._should_skip_saving_checkpoint(trainer):
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """After Ctrl-C and SIGTERM, say how to go on."""
        super().on_exception(trainer, pl_module, exception)
        if isinstance(exception, (KeyboardInterrupt, SystemExit)) and self._last_global_step_saved:
            path = f"{self.dirpath}/{self.CHECKPOINT_NAME_LAST}.ckpt"
            step = self._last_global_step_saved
            rank_zero_info(f"stopped: {path} has step {step}; --ckpt_path {path} goes on from there")

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say where this fit has no best checkpoint: an earlier fit's may lie in its place."""
        last = f"{self.dirpath}/{self.CHECKPOINT_NAME_LAST}.ckpt"
        for other in trainer.checkpoint_callbacks:
            if not isinstance(other, ModelCheckpoint) or not other.monitor or not other.save_top_k:
                continue
            if other.best_model_path:
                continue
            best = f"{other.dirpath}/{other.filename}{other.FILE_EXTENSION}"
            if Path(best).exists():
                rank_zero_warn(
                    f"{best} is an earlier fit's: this one has not come to measure {other.monitor}; its weights are in "
                    f"{last}"
                )
            else:
                rank_zero_info(
                    f"there is no {best}: the fit has not come to measure {other.monitor}; its weights are in {last}"
                )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save, whether or not the epoch was the best."""
        if not self._should_skip_saving_checkpoint(trainer):
            self._last_row = {}
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log what the checkpoint's own step may not have got to log."""
        if self._last_row:
            for logger in trainer.loggers:
                logger.log_metrics(**self._last_row)
        super().on_train_start(trainer, pl_module)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Called before any callback gets its state."""
        self._resumed = True
        # every_n_train_steps is a part of the key by which Lightning finds a state, and may have been another
        states, kind = checkpoint["callbacks"], f"{type(self).__qualname__}{{"
        for state in [state for key, state in states.items() if str(key).startswith(kind)]:
            states.setdefault(self.state_key, state)
        follow_moved_folder(trainer, checkpoint)

    def state_dict(self) -> dict[str, Any]:
        """ModelCheckpoint's, and the newest step's metrics."""
        return super().state_dict() | {"last_row": self._last_row}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The same, from a checkpoint."""
        self._last_row = state_dict["last_row"]
        super().load_state_dict(state_dict)
