"""Options of the Trainer that Lightning takes and a fit then stumbles over, or that its module has an own one for."""

import inspect

from jsonargparse import Namespace
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.model_helpers import is_overridden
from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from s2v.errors import InputError
from s2v.modules.number_check import check_at_least_one, check_not_negative

AT_LEAST_ONE = ("accumulate_grad_batches", "check_val_every_n_epoch")
"""Lightning divides by them."""

NO_END = -1
"""max_steps and max_epochs may be this."""


def check_fit_options(trainer: Namespace) -> None:
    """What can be seen in a fit's config, before anything is built.

    Args:
        trainer: the config's `trainer`.

    Raises:
        InputError: an option that divides, or sets the fit's length, is 0 or negative, or gradients are to be clipped
            to a negative length, which Lightning takes for no clipping.
    """
    check_at_least_one({name: trainer.get(name) for name in AT_LEAST_ONE}, "trainer.")
    check_not_negative({"gradient_clip_val": trainer.get("gradient_clip_val")}, "trainer.")
    if trainer.get("val_check_interval") == 0:
        raise InputError(
            "trainer.val_check_interval must be above 0, got 0: batches from one validation to the next, or a share of "
            "an epoch (trainer.limit_val_batches 0 leaves validations out)"
        )
    for name in ("max_steps", "max_epochs"):
        if trainer.get(name) == 0:
            raise InputError(
                f"trainer.{name} is 0, and nothing would be trained: give 1 or more, or {NO_END} for no end"
            )


def check_fit_of_module(trainer: Trainer, module: LightningModule) -> None:
    """Whether the Trainer's options suit the module.

    Raises:
        InputError: the module clips and accumulates gradients by options of its own, or computes in another type than
            the precision asks for.
    """
    own = type(module)
    check_precision(trainer, module)
    if module.automatic_optimization:
        return
    asked = {
        "gradient_clip_val": (trainer.gradient_clip_val or 0, "clipping"),
        "accumulate_grad_batches": (trainer.accumulate_grad_batches - 1, "accumulate_grad_batches"),
    }
    for name, (more_than_nothing, instead) in asked.items():
        if more_than_nothing:
            has_it = instead in inspect.signature(own.__init__).parameters
            raise InputError(
                f"trainer.{name}: {own.__name__} steps its optimizers itself, and "
                + (f"has model.init_args.{instead} for it" if has_it else "has no such option: leave it out")
            )


def check_precision(trainer: Trainer, module: LightningModule) -> None:
    """Whether the module can compute so.

    Raises:
        InputError: its weights would be of another type than its pictures.
    """
    possible = getattr(module, "true_precisions", None)
    if possible and str(trainer.precision).endswith("-true") and trainer.precision not in possible:
        raise InputError(
            f"trainer.precision {trainer.precision}: {type(module).__name__} can't be trained in it, as its pictures "
            f"are float32: take {', '.join(possible)}, bf16-mixed or 16-mixed"
        )


def warn_of_nothing_measured(trainer: Trainer) -> None:
    """After a test: it logged nothing, and no callback but Lightning's own took what it made."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    own = [callback for callback in callbacks if not type(callback).__module__.startswith("lightning")]
    if trainer.callback_metrics or any(is_overridden("on_test_batch_end", each, Callback) for each in own):
        return
    rank_zero_warn(
        "nothing was measured, no callback of this test reports: add -c experiments/test/report.yaml, "
        "own_judges.yaml, or pixels.yaml, which needs no judge"
    )
