"""The resolved configuration beside the checkpoints, and in the loggers' hyperparameters."""

import os
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback
from lightning.pytorch.utilities.rank_zero import rank_zero_warn


class SaveConfigBesideCheckpoints(SaveConfigCallback):
    """Write what a command ran with, interpolations resolved and defaults filled in.

    `config.yaml` for a fit, `config.validate.yaml` and so on for the rest: in the folder of the first
    ModelCheckpoint that names one, else in the trainer's `default_root_dir`. `s2v fit --config` takes it
    as it stands. A run that goes on in the same folder replaces it. Lightning's own callback writes to the
    logger's `log_dir`, which all runs of a WandbLogger share.
    """

    def __init__(self, parser: LightningArgumentParser, config: Any, **kwargs: Any) -> None:
        super().__init__(parser, config, **{"save_to_log_dir": False} | kwargs)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """A fit's is saved later: ModelCheckpoint warns of a folder with something in it."""
        if stage != "fit":
            super().setup(trainer, pl_module, stage)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Every callback is set up, ModelCheckpoint knows its folder."""
        folder = _run_folder(trainer)
        if not trainer.ckpt_path and any(folder.glob("*.ckpt")):
            rank_zero_warn(
                f"{folder} has checkpoints of an earlier fit, and this one begins anew: it may replace them "
                "(--ckpt_path goes on from one, another folder keeps them)"
            )
        super().setup(trainer, pl_module, "fit")

    def save_config(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Called once, on rank zero, before a fit, validation, test or prediction."""
        text = self.parser.dump(self.config, skip_none=False)
        name, suffix = os.path.splitext(self.config_filename)
        folder = _run_folder(trainer)
        folder.mkdir(parents=True, exist_ok=True)
        kind = "" if stage == "fit" else f".{getattr(stage, 'value', stage)}"
        path = folder / f"{name}{kind}{suffix}"
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        unfinished.write_text(text)
        os.replace(unfinished, path)
        if stage == "fit":
            for logger in trainer.loggers:
                logger.log_hyperparams(yaml.safe_load(text))


def _run_folder(trainer: pl.Trainer) -> Path:
    folders = [
        c.dirpath for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint) and c.dirpath
    ]
    return Path(folders[0] if folders else trainer.default_root_dir)
