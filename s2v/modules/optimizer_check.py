"""Checks of the optimizers and schedulers that a config makes, before a fit's first step."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau

from s2v.errors import InputError


def check_optimizer(optimizer: torch.optim.Optimizer, rates: str) -> None:
    """Refuse optimizers that can't step from a batch's gradients; warn of a learning rate that is not used.

    Args:
        optimizer: as the config makes it, before it gets the module's rate.
        rates: the module's options that set it, for the warning.

    Raises:
        InputError: it calls for losses again and again, or for sparse gradients.
    """
    kind = type(optimizer)
    if isinstance(optimizer, torch.optim.LBFGS | torch.optim.SparseAdam):
        raise InputError(
            f"{kind.__name__} can't train these networks: set model.init_args.optimizer to one that steps from the "
            "gradients of a batch, such as Adam"
        )
    default = inspect.signature(kind).parameters.get("lr")
    rate = optimizer.param_groups[0]["lr"]
    if default is not None and rate != default.default:
        rank_zero_warn(
            f"the optimizer's lr of {float(rate):g} does nothing: rates are set by model.init_args.{rates}"
        )


def check_schedulers(schedulers: list[Any], rates: Mapping[str, float], epochs: int | None = None) -> None:
    """Refuse schedulers that do not count steps or epochs; warn of one that gives all optimizers the same rate.

    Args:
        schedulers: one an optimizer.
        rates: what the optimizers were given, by name.
        epochs: of the fit, where schedulers step once an epoch.

    Raises:
        InputError: one waits for a loss instead, or has hardly begun when the fit ends.
    """
    if any(isinstance(scheduler, ReduceLROnPlateau) for scheduler in schedulers):
        raise InputError(
            "ReduceLROnPlateau waits for one number to stop falling, which a GAN's losses don't tell: "
            "set model.init_args.scheduler to one that counts steps or epochs"
        )
    first = schedulers[0]
    if epochs is not None and isinstance(first, OneCycleLR) and not 0 < first.total_steps <= epochs:
        raise InputError(
            f"{type(first).__name__}'s one cycle of {first.total_steps} steps would take as many epochs: set "
            "model.init_args.scheduler_interval to step"
        )
    found = {scheduler.get_last_lr()[0] for scheduler in schedulers}
    if len(found) == 1 and len(set(rates.values())) > 1:
        rank_zero_warn(
            f"{type(first).__name__} gives all optimizers one rate, {found.pop():g} to begin with, whatever "
            "generator_lr, identity_lr, frame_lr and sync_lr say: s2v.modules.one_cycle.OneCycleAtRate peaks at each "
            "one's own"
        )
