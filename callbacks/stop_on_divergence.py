"""Numbers that go wrong end a fit at once, before a checkpoint holds them."""

import math
import os
import statistics
from collections import deque
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from s2v.errors import InputError

_ENOUGH = 10
_REMEMBERED = 100
"""Batches."""


class TrainingDiverged(InputError):
    """A loss or a weight is no number any more, or a loss exploded: names it, and the checkpoint to go on from."""


class StopOnDivergence(pl.Callback):
    """Stop when a loss is NaN or infinite, or explodes; let no checkpoint be written whose weights are no numbers.

    Judges, after every batch, the terms that `training_step` returns as `losses` {name: 0-d}, and where it returns
    none, what it logged as train/... with "loss" in the name; so the message names the term. Callbacks that save
    come later in a step, so what is on disk is from before. Of a checkpoint saved weights-only Lightning tells no
    callback: its weights are not looked at.

    Args:
        factor: a term explodes when it is above `factor` times its median of the last 100 batches, or above
            `factor` where that median is below 1.
    """

    def __init__(self, factor: float = 1000.0) -> None:
        if factor <= 1:
            raise InputError(f"StopOnDivergence's factor must be above 1, got {factor}")
        self.factor = factor
        self._usual: dict[str, deque[float]] = {}

    def state_dict(self) -> dict[str, Any]:
        """What was usual, so that a resumed fit is judged from its first batch on."""
        return {"usual": {name: list(values) for name, values in self._usual.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self._usual = {
            name: deque(values, maxlen=_REMEMBERED) for name, values in state_dict["usual"].items()
        }

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Judge the batch's losses; in a distributed fit all ranks stop together."""
        terms = _terms(trainer, outputs)
        values = torch.stack([term.detach().float() for term in terms.values()]).tolist() if terms else []
        wrong = self._wrong(dict(zip(terms, values, strict=True)))
        if trainer.world_size > 1:
            if trainer.strategy.reduce_boolean_decision(bool(wrong), all=False):
                self._stop(trainer, wrong or "a loss of another process")
        elif wrong:
            self._stop(trainer, wrong)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """A loss can be finite and its gradient not: then the weights are the first to go wrong."""
        state = checkpoint["state_dict"]
        for name, _ in pl_module.named_parameters():
            if name in state and not bool(state[name].isfinite().all()):
                self._stop(trainer, f"the weights {name} are no numbers any more")

    def _wrong(self, values: dict[str, float]) -> str:
        """The terms at fault with their values; empty where all is well."""
        faults = []
        for name, value in values.items():
            usual = self._usual.setdefault(name, deque(maxlen=_REMEMBERED))
            limit = (
                self.factor * max(statistics.median(map(abs, usual)), 1.0) if len(usual) >= _ENOUGH else None
            )
            if not math.isfinite(value):
                faults.append(f"{name} = {value}")
            elif limit is not None and abs(value) > limit:
                faults.append(f"{name} = {value:.4g}, {self.factor:g} times more than is usual,")
            usual.append(value)
        return ", ".join(faults)

    def _stop(self, trainer: pl.Trainer, fault: str) -> None:
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint):
                callback.save_on_exception = False  # the weights are as bad as the loss
        raise TrainingDiverged(
            f"training diverged at step {trainer.global_step}: {fault.rstrip(',')}; {_way_back(trainer)} with a "
            "lower learning rate or gradient clipping"
        )


def _terms(trainer: pl.Trainer, outputs: Any) -> dict[str, Tensor]:
    if isinstance(outputs, dict) and "losses" in outputs:
        return outputs["losses"]
    logged = {
        name.removeprefix("train/loss/"): value
        for name, value in trainer.callback_metrics.items()
        if name.startswith("train/") and "loss" in name
    }
    loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
    return logged | ({"loss": loss} if isinstance(loss, Tensor) else {})


def _way_back(trainer: pl.Trainer) -> str:
    """What to tell the user to resume from: the newest checkpoint this run has written."""
    saved = [
        path
        for callback in trainer.checkpoint_callbacks
        if isinstance(callback, ModelCheckpoint)
        for path in (callback.last_model_path, callback.best_model_path, callback._last_checkpoint_saved)
        if path and os.path.exists(path)
    ]
    if not saved:
        return "no checkpoint was saved yet: start again"
    return f"go on from the last good checkpoint, --ckpt_path {max(saved, key=os.path.getmtime)},"
