"""`s2v fit --test_after_fit best|last`: the test that ends a fit, in its process and with its loggers.

It is what `s2v test` with the same config and that checkpoint would be: another Trainer, since a fit may compute in
another precision, with the same callbacks and loggers. So the W&B run of a fit, as a sweep's, ends with its test.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities.model_helpers import is_overridden

from s2v.errors import InputError
from s2v.training.step_counters import go_on_logging_at

Which = Literal["best", "last"]


def check_before_fit(trainer: Trainer, model: LightningModule) -> None:
    """Whether the test can be made, as far as that can be known before the fit.

    Raises:
        InputError: it can't, for instance because a judge's file is missing.
    """
    if not is_overridden("test_step", model):
        raise InputError(f"--test_after_fit: {type(model).__name__} has no test")
    if trainer.num_devices * trainer.num_nodes > 1:
        raise InputError(
            "--test_after_fit: a test is made on one device, and this fit has several: leave it out, and give "
            "`s2v test` with trainer.devices=1 afterwards"
        )
    with torch.random.fork_rng(devices=[]):  # the fit is the same with and without a test after it
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            check = getattr(callback, "check_judges", None)
            if check is not None:
                check()


def run_closing_test(
    fitted: Trainer,
    config: Mapping[str, Any],
    model: LightningModule,
    data: LightningDataModule,
    which: Which,
) -> Trainer:
    """Test the best or the last checkpoint of a fit that has ended.

    Args:
        fitted: the fit's trainer.
        config: what it was made with, instantiated; its precision is not what the fit chose for the hardware.
        model: the fit's.
        data: the fit's.
        which: of its checkpoints.
    """
    path = _checkpoint(fitted, which)
    callbacks = list(fitted.callbacks)  # type: ignore[attr-defined]
    root = fitted.default_root_dir  # the run's folder
    trainer = Trainer(**{**config, "callbacks": callbacks, "default_root_dir": root})
    # the loggers' steps go on where the fit ended, they do not begin anew
    go_on_logging_at(trainer, fitted.global_step)
    trainer.test(model, datamodule=data, ckpt_path=path)
    return trainer


def log_test_table(trainer: Trainer) -> None:
    """What a module's own test has logged, as the table test/metrics in W&B; TestReport logs its report itself."""
    rows = [
        [name, float(value)]
        for name, value in sorted(trainer.callback_metrics.items())
        if name.startswith("test/")
    ]
    for logger in trainer.loggers if rows else []:
        if isinstance(logger, WandbLogger):
            logger.log_table("test/metrics", columns=["metric", "value"], data=rows)


def _checkpoint(trainer: Trainer, which: Which) -> str:
    attribute = f"{which}_model_path"
    paths = [
        getattr(callback, attribute)
        for callback in trainer.checkpoint_callbacks
        if isinstance(callback, ModelCheckpoint)
    ]
    found = next((path for path in paths if path and Path(path).is_file()), None)
    if found is None:
        raise InputError(f"--test_after_fit {which}: the fit has ended, but saved no {which} checkpoint")
    here = Path.cwd()  # as it would be typed: reports name it
    return str(Path(found).relative_to(here) if Path(found).is_relative_to(here) else found)
