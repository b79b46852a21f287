"""The resolved configuration beside the checkpoints, and in the loggers' hyperparameters."""

import os
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger, WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_warn

from s2v.errors import InputError
from s2v.files.whole_file import whole_file, why_unwritten
from s2v.training.wandb_run import RUN_ID


class SaveConfigBesideCheckpoints(SaveConfigCallback):
    """Write what a command ran with, interpolations resolved and defaults filled in.

    `config.yaml` for a fit, `config.validate.yaml` and so on for the rest: in the folder of the first
    ModelCheckpoint that names one, else in the trainer's `default_root_dir`. `s2v fit --config` takes it
    as it stands. A run that goes on in the same folder replaces it. Lightning's own callback writes to the
    logger's `log_dir`, which all runs of a WandbLogger share.

    A checkpoint holds it too, so that a resumed fit can say which keys changed; and the id of the fit's W&B run, which
    a command that takes the checkpoint goes on with.
    """

    def __init__(self, parser: LightningArgumentParser, config: Any, **kwargs: Any) -> None:
        super().__init__(parser, config, **{"save_to_log_dir": False} | kwargs)
        self._dumped = ""
        self._fitting = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """A fit's is saved later: ModelCheckpoint warns of a folder with something in it."""
        self._fitting = stage == "fit"
        if not self._fitting:
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

    def state_dict(self) -> dict[str, Any]:
        """The resolved config, as text."""
        return {"config": self._text()}

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """The W&B run's id, for `s2v.training.wandb_run`; nothing where the fit has none."""
        run_ids = [logger.version for logger in trainer.loggers if isinstance(logger, WandbLogger)]
        if run_ids and run_ids[0]:
            checkpoint[RUN_ID] = str(run_ids[0])

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """A fit: a line for each key that the checkpoint's fit had otherwise; the new value is the one in force."""
        if not self._fitting:
            return
        before, now = (_flat(yaml.safe_load(text)) for text in (state_dict["config"], self._text()))
        for key in sorted(before.keys() | now.keys()):
            if key.split(".")[0] != "ckpt_path" and before.get(key) != now.get(key):
                rank_zero_info(f"resuming with {key} = {now.get(key)}; it was {before.get(key)}")

    def _text(self) -> str:
        if not self._dumped:
            config = self.config.clone()
            if self._fitting and config.get("ckpt_path"):
                # whoever takes the run's config, to validate or fit, would take that one too
                config["ckpt_path"] = None
            self._dumped = self.parser.dump(config, skip_none=False)
        return self._dumped

    def save_config(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Called once, on rank zero, before a fit, validation, test or prediction."""
        text = self._text()
        name, suffix = os.path.splitext(self.config_filename)
        kind = "" if stage == "fit" else f".{getattr(stage, 'value', stage)}"
        file = _run_folder(trainer) / f"{name}{kind}{suffix}"
        try:
            with whole_file(file) as partial:
                partial.write_bytes(text.encode())
                if stage == "fit":  # before the file has its name: all of them are there, or none
                    _log_hyperparameters(trainer, yaml.safe_load(text))
        except OSError as error:
            raise InputError(
                f"the config {file} can't be written ({why_unwritten(error)}); make room, or choose another run_dir"
            ) from error


def _log_hyperparameters(trainer: pl.Trainer, config: dict[str, Any]) -> None:
    """To every logger; the file that CSVLogger opens and can't fill is removed."""
    for logger in trainer.loggers:
        try:
            logger.log_hyperparams(config)
        except OSError:
            if isinstance(logger, CSVLogger):
                Path(logger.log_dir, logger.experiment.NAME_HPARAMS_FILE).unlink(missing_ok=True)
            raise


def _run_folder(trainer: pl.Trainer) -> Path:
    folders = [
        c.dirpath for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint) and c.dirpath
    ]
    folders.append(trainer.default_root_dir)
    for folder in folders:
        if "://" in str(folder):  # Lightning could, but not WholeCheckpointIO
            raise InputError(
                f"{folder} is no folder of this machine: name one (run_dir, or trainer.default_root_dir)"
            )
    return Path(folders[0])


def _flat(config: Any, key: str = "") -> dict[str, Any]:
    """{"trainer.callbacks[0].class_path": ...}: nested keys and places in lists as one key."""
    if isinstance(config, dict) and config:
        parts = [(f"{key}.{name}" if key else str(name), value) for name, value in config.items()]
    elif isinstance(config, list) and config:
        parts = [(f"{key}[{place}]", value) for place, value in enumerate(config)]
    else:
        return {key: config}
    return {name: value for part, inner in parts for name, value in _flat(inner, part).items()}
