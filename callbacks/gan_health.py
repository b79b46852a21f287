"""Watch an adversarial training, and say in one line what is likely wrong and what to try."""

import math
from collections import deque
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torch import Tensor
from torch.optim import Optimizer

from callbacks.gan_complaints import complaint
from callbacks.gan_signs import diversity, gradient_norm, loss_over_chance, motion, win_rate
from s2v.errors import InputError
from s2v.training.step_counters import batches_begun, logged_step

_COLUMNS = ("step", "sign", "value", "likely cause")
USUAL_OF = 50
"""So many of the newest values of a sign say what is usual."""


class GANHealth(pl.Callback):
    """Log a GAN's vital signs as health/..., warn when one stays bad (in W&B: table health/warnings).

    Reads what `training_step` returns: real_scores and fake_scores {discriminator: tensor}, fake_frames and
    real_frames (B, T, 3, H, W). What is missing is not judged. Gradient norms are
    taken as the optimizers meet them, after clipping, and named by the module's `optimizer_names`. A warning names the
    module's own options, by its `rate_option` and `clipping`, if it has those of an `AdversarialModule`.

    A checkpoint holds the warnings so far and what the next ones hang on: a resumed fit warns as if it had not
    stopped, and its table has them all.

    Args:
        every_n_steps: generator steps between two measurements.
        warn: whether to warn; each warning comes at most once an epoch.
        patience: measurements in a row that a sign must be bad for a warning.
        warmup_steps: generator steps without warnings: untrained networks show every bad sign.
    """

    def __init__(
        self, every_n_steps: int = 50, warn: bool = True, patience: int = 3, warmup_steps: int = 500
    ) -> None:
        if every_n_steps < 1:
            raise InputError(f"GANHealth's every_n_steps must be at least 1, got {every_n_steps}")
        self.every_n_steps = every_n_steps
        self.warn = warn
        self.patience = patience
        self.warmup_steps = warmup_steps
        self._bad_in_a_row: dict[str, int] = {}
        self._warned: dict[str, float] = {}
        """Each warning's newest epoch."""
        self._said: list[list[Any]] = []
        self._norms: dict[str, Tensor] = {}
        self._history: dict[str, deque[float]] = {}
        self._last_step = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The next measurement comes after a step of this run; a kill may have cost W&B the newest table."""
        self._last_step = trainer.global_step
        if self._said:
            self._log_table(trainer)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add what this callback has seen; not by `state_dict`, with which Lightning refuses a second GANHealth."""
        states = checkpoint.setdefault("callbacks", {}).setdefault(self.state_key, [])
        states.append(
            {
                "said": [list(row) for row in self._said],
                "warned": dict(self._warned),
                "bad_in_a_row": dict(self._bad_in_a_row),
                "history": {sign: list(values) for sign, values in self._history.items()},
            }
        )

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Go on from what was seen, whatever the settings are now; a checkpoint may be older than this."""
        states = checkpoint.get("callbacks", {}).get(self.state_key, [])
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        place = [other for other in callbacks if isinstance(other, GANHealth)].index(self)
        if place >= len(states):
            return
        state = states[place]
        self._said = [list(row) for row in state["said"]]
        # an older one does not tell the epochs
        self._warned = dict(state["warned"]) if isinstance(state["warned"], dict) else {}
        self._bad_in_a_row = dict(state["bad_in_a_row"])
        self._history = {sign: deque(values, maxlen=USUAL_OF) for sign, values in state["history"].items()}

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Measure the gradients that this optimizer is about to apply."""
        if (trainer.global_step + 1) % self.every_n_steps:
            return
        norm = gradient_norm(p for group in optimizer.param_groups for p in group["params"])
        if norm is not None:
            self._norms[self._name(trainer, pl_module, optimizer)] = norm

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Every n generator steps measure, log and judge."""
        if not isinstance(outputs, dict):
            return
        step = trainer.global_step
        if step == self._last_step or step % self.every_n_steps:
            return
        self._last_step = step
        signs = self._measure(outputs)
        # straight to the loggers: they are to get every measurement, whatever log_every_n_steps is
        pl_module.log_dict(signs, logger=False)
        for logger in trainer.loggers:
            logger.log_metrics(signs, step=logged_step(trainer))  # beside the losses of the same batch
        if self.warn:
            self._judge(trainer, pl_module, signs, enough_steps=step >= self.warmup_steps)

    @torch.no_grad()
    def _measure(self, outputs: dict[str, Any]) -> dict[str, float]:
        signs: dict[str, Tensor] = {}
        real_scores, fake_scores = outputs.get("real_scores", {}), outputs.get("fake_scores", {})
        for name in [name for name in real_scores if name in fake_scores]:
            signs[f"health/{name}/win_rate"] = win_rate(real_scores[name], fake_scores[name])
            if name == "sync":
                signs["health/sync/loss_over_chance"] = loss_over_chance(real_scores[name], fake_scores[name])
        fake, real = outputs.get("fake_frames"), outputs.get("real_frames")
        if fake is not None and real is not None:
            for name, measure, axis in (("diversity", diversity, 0), ("motion", motion, 1)):
                if fake.shape[axis] > 1 and (of_real := measure(real)) > 0:
                    signs[f"health/{name}"] = measure(fake) / of_real
        signs |= {f"health/gradient_norm/{name}": norm for name, norm in self._norms.items()}
        self._norms = {}
        values = torch.stack([value.float() for value in signs.values()]).tolist() if signs else []
        return dict(zip(signs, values, strict=True))

    def _judge(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, signs: dict[str, float], enough_steps: bool
    ) -> None:
        options: dict[str, Any] = {"clips": getattr(pl_module, "clipping", None) is not None}
        if (rate_option := getattr(pl_module, "rate_option", None)) is not None:
            options["rate_option"] = rate_option
        judged = {sign: complaint(sign, value, self._usual(sign), **options) for sign, value in signs.items()}
        found = {sign: text for sign, text in judged.items() if text}
        self._bad_in_a_row = {text: self._bad_in_a_row.get(text, 0) + 1 for text in found.values()}
        # counted over all restarts, as the data module does: a resumed fit does not begin each of its epochs anew
        epoch = (batches_begun(trainer) - 1) // trainer.num_training_batches
        for sign, text in found.items():
            if enough_steps and self._bad_in_a_row[text] >= self.patience and self._warned.get(text) != epoch:
                self._warned[text] = epoch
                rank_zero_warn(f"{sign} = {signs[sign]:.3g}: {text}")
                self._said.append([trainer.global_step, sign, signs[sign], text])
                self._log_table(trainer)
        for sign, value in signs.items():
            # 16-mixed's scaler skips steps whose gradients are no numbers, and these have no place in a median
            if math.isfinite(value):
                self._history.setdefault(sign, deque(maxlen=USUAL_OF)).append(value)

    def _log_table(self, trainer: pl.Trainer) -> None:
        """All warnings each time: a run's page shows the newest table."""
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                rows = [list(row) for row in self._said]
                logger.log_table("health/warnings", list(_COLUMNS), rows, step=logged_step(trainer))

    def _usual(self, sign: str) -> float | None:
        history = sorted(self._history.get(sign, ()))
        return history[len(history) // 2] if len(history) >= 5 else None

    @staticmethod
    def _name(trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer) -> str:
        index = next((i for i, other in enumerate(trainer.optimizers) if other is optimizer), 0)
        names = getattr(pl_module, "optimizer_names", ())
        return names[index] if index < len(names) else f"optimizer_{index}"
