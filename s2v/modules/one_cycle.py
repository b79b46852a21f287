"""Warm up and anneal over a whole fit: the schedule of the small trainings the two stages stand on."""

import math
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR

from s2v.errors import InputError
from s2v.modules.number_check import check_at_least_one

MOMENTUM_CYCLE = (0.85, 0.95)
"""PyTorch's: at the peak of the learning rate, and at either end."""


class OneCycle(OneCycleLR):
    """PyTorch's, except that a resumed fit may be longer or shorter than planned: the new length counts.

    Past the end, where PyTorch's ends a fit with an error, the last rate stays: a fit may have more steps than its
    schedule, as one has that is resumed with larger batches, and then fewer steps an epoch.

    A trial of a few steps gets the beginning of the shortest schedule there is: PyTorch divides by
    `pct_start * total_steps - 1`.

    PyTorch's also cycles the momentum, Adam's first beta, from 0.95 to 0.85 and back, whatever it was set to. Here that
    is so for an optimizer that has one in between, as Adam's 0.9 is; any other is kept: somebody meant it.
    """

    def __init__(
        self, optimizer: Optimizer, max_lr: float | list[float], total_steps: int, pct_start: float
    ) -> None:
        shortest = math.ceil(2 / pct_start) if pct_start else 1
        low, high = MOMENTUM_CYCLE
        momenta = [
            group["betas"][0] if "betas" in group else group.get("momentum")
            for group in optimizer.param_groups
        ]
        super().__init__(
            optimizer,
            max_lr,
            max(total_steps, shortest),
            pct_start=pct_start,
            cycle_momentum=all(momentum is not None and low <= momentum <= high for momentum in momenta),
            base_momentum=low,
            max_momentum=high,
        )

    def get_lr(self) -> list[float | Tensor]:
        """The rates of the next step."""
        if self.last_epoch < self.total_steps:
            return super().get_lr()
        if self.last_epoch > self.total_steps:
            rank_zero_warn(
                f"the learning rates' one cycle of {self.total_steps} steps is over and the fit goes on: they stay as "
                "they are"
            )
        return [group["lr"] for group in self.optimizer.param_groups]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the saved step, keep this fit's length."""
        own = {"total_steps": self.total_steps, "_schedule_phases": self._schedule_phases}
        super().load_state_dict(state_dict | own)


class OneCycleAtRate(OneCycle):
    """One cycle that peaks at the learning rate the optimizer came with: one line of YAML for several optimizers.

    Momentum is cycled as `OneCycle` says.

    Args:
        optimizer: whose rates are the peaks.
        total_steps: the fit's length in steps.
        pct_start: share of it for warming up.

    Raises:
        InputError: the length is none, as `trainer.max_steps` is where a fit ends by its epochs.
    """

    def __init__(self, optimizer: Optimizer, total_steps: int, pct_start: float = 0.1) -> None:
        check_at_least_one({"total_steps": total_steps}, "OneCycleAtRate's ")
        rates = [group["lr"] for group in optimizer.param_groups]
        super().__init__(optimizer, rates, total_steps, pct_start)


def with_one_cycle(module: pl.LightningModule, optimizer: Optimizer, lr: float) -> Any:
    """What `configure_optimizers` returns for a one-cycle schedule (Smith 2018) that peaks at `lr`.

    Its length is the fit's number of steps, from max_steps or max_epochs, whichever ends first.

    Raises:
        InputError: the fit has no end.
    """
    steps = module.trainer.estimated_stepping_batches
    if not math.isfinite(steps):
        raise InputError(
            f"{type(module).__name__} anneals its learning rate over the whole fit, which has no end: "
            "set trainer.max_steps or trainer.max_epochs"
        )
    schedule = OneCycle(optimizer, lr, int(steps), pct_start=0.2)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
