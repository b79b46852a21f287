"""A resumed fit steps as its config says now: Lightning would silently go on with the checkpoint's settings."""

from typing import Any

import lightning.pytorch as pl
import torch
from torch.optim import Optimizer

from s2v.errors import InputError

_SCHEDULED = ("lr", "momentum")
"""What a scheduler changes as it goes: such a value is changed in proportion, so that its course stays."""


_KEPT = {
    "momentum": ("momentum_buffer", "square_avg"),
    "centered": ("grad_avg", "square_avg"),
    "amsgrad": ("max_exp_avg_sq", "exp_avg_sq"),
}
"""Options of RMSprop and Adam -> what they keep of a parameter, and of which shape, where a checkpoint may lack it."""


_MADE = ("milestones", "_schedule_phases")
"""What MultiStepLR and OneCycleLR make of their settings and never change: no plain values, so kept aside."""


class OptimizersByConfig(pl.Callback):
    """Let a changed learning rate, weight decay, schedule and so on take effect when a fit is resumed.

    PyTorch keeps these settings in the optimizers' and schedulers' states, which a checkpoint brings back. The
    checkpoint also gets the settings as they were when its fit was configured; where the resumed fit is configured
    otherwise, the new ones are put in force. A fit resumed unchanged is left exactly as it was.
    """

    def __init__(self) -> None:
        self._configured: dict[str, Any] = {}
        self._before: dict[str, Any] = {}
        self._made: list[dict[str, Any]] = []

    def state_dict(self) -> dict[str, Any]:
        """The settings that this fit was configured with."""
        return self._configured

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The settings that the checkpoint's fit was configured with."""
        self._before = state_dict

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Optimizers are new here, the checkpoint's states come next.

        Raises:
            InputError: the checkpoint's optimizers are of another kind.
        """
        self._configured = {
            "optimizers": [
                {
                    "kind": type(optimizer).__name__,
                    "groups": [_plain(group) for group in optimizer.param_groups],
                }
                for optimizer in trainer.optimizers
            ],
            "schedulers": [_plain(config.scheduler.state_dict()) for config in trainer.lr_scheduler_configs],
        }
        schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
        self._made = [{name: vars(one)[name] for name in _MADE if name in vars(one)} for one in schedulers]
        if self._before:
            then, now = (
                [optimizer["kind"] for optimizer in settings["optimizers"]]
                for settings in (self._before, self._configured)
            )
            if then != now:
                raise InputError(
                    f"the checkpoint's optimizers are {', '.join(then)}, the config's {', '.join(now)}: resume with "
                    "the same kind, or begin a new fit"
                )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The checkpoint's states are there: put in force what the config says otherwise."""
        if not self._before:
            return
        scheduled = {id(config.scheduler.optimizer) for config in trainer.lr_scheduler_configs}
        for optimizer, then, now in zip(
            trainer.optimizers, self._before["optimizers"], self._configured["optimizers"], strict=True
        ):
            for group, old, new in zip(optimizer.param_groups, then["groups"], now["groups"], strict=True):
                _update(group, old, new, in_proportion=id(optimizer) in scheduled)
            _complete(optimizer)
        for config, old, new in zip(
            trainer.lr_scheduler_configs,
            self._before["schedulers"],
            self._configured["schedulers"],
            strict=False,
        ):
            for name in [name for name in new if not name.startswith("_") and new[name] != old.get(name)]:
                setattr(config.scheduler, name, new[name])
        for config, made in zip(trainer.lr_scheduler_configs, self._made, strict=True):
            vars(config.scheduler).update(made)
        self._before = {}


def _update(group: dict[str, Any], old: dict[str, Any], new: dict[str, Any], in_proportion: bool) -> None:
    # a scheduler leaves this mark; without it now, what the schedule made of a rate goes as well
    freed = (*_SCHEDULED, "betas") if "initial_lr" in old and "initial_lr" not in new else ()
    for name in [name for name in new if new[name] != old.get(name) or name in freed]:
        if in_proportion and name in _SCHEDULED and old.get(name):
            group[name] *= new[name] / old[name]
        else:
            group[name] = new[name]


def _complete(optimizer: Optimizer) -> None:
    """What an option that is switched on now keeps of each parameter, as it is at the first step."""
    for group in optimizer.param_groups:
        for state in (optimizer.state.get(parameter, {}) for parameter in group["params"]):
            for option, (kept, like) in _KEPT.items():
                if group.get(option) and like in state and kept not in state:
                    state[kept] = torch.zeros_like(state[like])


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Numbers, texts and lists of them; parameters and functions stay out."""
    kinds = (int, float, str, type(None))
    return {
        name: list(value) if isinstance(value, list) else value
        for name, value in settings.items()
        if name != "params"
        and all(isinstance(item, kinds) for item in (value if isinstance(value, list | tuple) else [value]))
    }
