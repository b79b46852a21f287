"""`s2v fit|validate|test|predict`: LightningCLI with OmegaConf interpolation across several configs."""

import argparse
import logging
import sys
import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal

import torch
from jsonargparse import set_parsing_settings
from lightning.fabric.plugins.environments import SLURMEnvironment
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.trainer.states import TrainerStatus
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_warn
from omegaconf.errors import OmegaConfBaseException

from callbacks.save_config import SaveConfigBesideCheckpoints
from s2v.errors import InputError
from s2v.files.held_folder import held_folder
from s2v.files.home_paths import expand_home
from s2v.files.whole_file import check_can_be_made, check_room
from s2v.own_modules import find_own_modules
from s2v.process.freed_memory import keep_freed_memory
from s2v.process.sigterm import ended_by_sigterm
from s2v.training.checkpoint_place import (
    check_checkpoint_folders,
    check_checkpoint_option,
    check_moved_runs,
    checkpoint_folder,
)
from s2v.training.closing_test import check_before_fit, log_test_table, run_closing_test
from s2v.training.config_callbacks import last_reports, without_bars
from s2v.training.config_errors import explain_interpolation, overruled_options, read_configs
from s2v.training.constructor_fault import explain_constructor
from s2v.training.dead_worker import check_workers_can_start
from s2v.training.early_check import check_early
from s2v.training.lightning_refusal import explain_refusal
from s2v.training.precision import choose_precision, cuda_capabilities
from s2v.training.requeued_job import requeued_checkpoint
from s2v.training.run_fault import explain_run_fault
from s2v.training.step_counters import log_where_it_was_written
from s2v.training.strategy_check import check_strategy
from s2v.training.trainer_check import check_fit_of_module, check_fit_options, warn_of_nothing_measured
from s2v.training.training_parser import TrainingParser, described
from s2v.training.wandb_login import work_offline_unless_logged_in
from s2v.training.wandb_run import continued_run, ended_run, wandb_loggers

ROOM_TO_BEGIN = 2**20
"""Bytes that a fit's config, hyperparameters and first metrics fit in, before any checkpoint."""


class TrainingCLI(LightningCLI):
    """LightningCLI for one subcommand.

    What differs from Lightning's: the config and the command line are the whole truth about the model, a
    checkpoint's hyperparameters change nothing; W&B never asks for a key; errors are one line.
    """

    def __init__(self, args: list[str]) -> None:
        self._asked = args[0]
        set_parsing_settings(omegaconf_absolute_to_relative_paths=True)
        settings = {"parser_mode": "omegaconf+"}
        super().__init__(
            LightningModule,
            LightningDataModule,
            save_config_callback=SaveConfigBesideCheckpoints,
            seed_everything_default=0,
            parser_kwargs={"prog": "s2v", **settings, self._asked: settings | described(self._asked)},
            parser_class=TrainingParser,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            args=args,
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """Only the one that was asked for: a parser takes seconds to make."""
        return {self._asked: LightningCLI.subcommands()[self._asked]}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """`run_dir`: what the configs call this run's own folder, so that one key moves all it writes.

        `test_after_fit` is a fit's; the others read it past in the config that a fit has saved.
        """
        parser.add_argument(
            "--run_dir",
            type=str | None,
            help="folder of this run's checkpoints, metrics and samples, for configs that refer to ${run_dir}",
        )
        parser.add_argument(
            "--test_after_fit",
            type=Literal["best", "last"] | None,
            help="test this checkpoint once the fit has ended, in the same W&B run; the report needs a TestReport "
            "in the configs, such as experiments/test/report.yaml's"
            if self._asked == "fit"
            else argparse.SUPPRESS,
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse, with one line for what is wrong."""
        configs = read_configs(args)
        for option, config in overruled_options(args, configs).items():
            rank_zero_warn(f"{option} has no effect, {config} overrules it: put options after all --config")
        check_moved_runs(configs)
        try:
            self.config = expand_home(parser.parse_args(args))
        except OmegaConfBaseException as error:
            key = str(error.full_key or "").removeprefix(f"{self._asked}.")
            reason = str(error.msg or error).splitlines()[0].replace("'..", "'")
            raise InputError(explain_interpolation(key, reason)) from None
        # a shell variable that is not set would mean the current folder
        for name in ("run_dir", "ckpt_path"):
            if self.config[self._asked].get(name) == "":
                raise InputError(f"--{name} is empty: give a path, or leave it out")

    def _parse_ckpt_path(self) -> None:
        """Leave the config as it is: Lightning lets a checkpoint's hyperparameters overrule it."""
        path = self.config[self._asked].get("ckpt_path")
        if path is None:
            if requeued := self._requeued_checkpoint():
                rank_zero_info(f"SLURM: goes on from {requeued}, of a requeued job (delete it to begin anew)")
            elif self._asked != "fit":
                self._check_nothing_trained_is_meant()
        else:
            check_checkpoint_option(path)

    def _check_nothing_trained_is_meant(self) -> None:
        """Untrained networks' numbers would take the place of the trained ones' in a run's folder."""
        folder = Path(self.config[self._asked].get("run_dir") or "")
        names = [name for name in ("best.ckpt", "last.ckpt") if (folder / name).is_file()]
        if folder != Path() and names:
            raise InputError(
                f"no --ckpt_path, and {folder} is the folder of a fit: give --ckpt_path {folder / names[0]}, or "
                "another --run_dir for networks as the config initialises them"
            )

    def _requeued_checkpoint(self) -> Path | None:
        """What a SLURM job left in the run's folder when it was requeued; Lightning takes it by itself."""
        folder = self.config[self._asked].get("run_dir")
        return requeued_checkpoint(Path(folder)) if folder and SLURMEnvironment.detect() else None

    def _resuming(self) -> bool:
        """Whether a checkpoint brings the weights."""
        return bool(self.config[self._asked].get("ckpt_path") or self._requeued_checkpoint())

    def before_instantiate_classes(self) -> None:
        """Decide about W&B before its logger is made, and which of a saved config's callbacks a test takes."""
        config = self.config[self._asked]
        if self._asked == "fit":
            check_fit_options(config["trainer"])
        if config.get("run_dir"):
            check_can_be_made(Path(config["run_dir"]), "--run_dir")
            if self._asked == "fit":
                check_room(Path(config["run_dir"]), ROOM_TO_BEGIN, "--run_dir")
        if self._asked != "fit":
            config["trainer.callbacks"] = last_reports(config.get("trainer.callbacks"))
        if config.get("trainer.enable_progress_bar") is False:
            config["trainer.callbacks"] = without_bars(config.get("trainer.callbacks"))
        if self._asked == "predict" and config.get("return_predictions") is None:
            # callbacks get the clips; to keep them all takes a split's memory
            config["return_predictions"] = False
        if wandb_loggers(config.get("trainer.logger")) and work_offline_unless_logged_in():
            rank_zero_info(
                "not logged in to W&B: the run is kept offline (WANDB_MODE=offline; `wandb login`)"
            )

    def instantiate_classes(self) -> None:
        """A command that takes a checkpoint goes on with the W&B run that wrote it.

        Raises:
            InputError: a constructor refuses what the config gives it.
        """
        config = self.config[self._asked]
        taken = config.get("ckpt_path") or self._requeued_checkpoint()
        file = taken if taken and Path(taken).is_file() else None  # best, last: Lightning finds them, later
        with continued_run(config.get("trainer.logger") if taken else None, file):
            try:
                super().instantiate_classes()
            except Exception as error:
                if line := explain_constructor(error, config):
                    raise InputError(line) from error
                raise

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """A fit whose config leaves `trainer.precision` open gets what suits the hardware.

        The saved config leaves it open too: the same run may be tested or gone on with on another machine.

        The Trainer's own folder is the run's, not the corpus' as in the config: a SLURM job that is requeued leaves
        its checkpoint there, and Lightning would load it into whatever else is fitted on that corpus.
        """
        config = self.config[self._asked]
        if config.get("run_dir"):
            kwargs["default_root_dir"] = config["run_dir"]
        if self._asked == "fit" and config.get("trainer.precision") is None:
            precision, reason = choose_precision(str(config.get("trainer.accelerator")), cuda_capabilities())
            rank_zero_info(f"precision: {precision} ({reason}; --trainer.precision overrules)")
            kwargs["precision"] = precision
        return super().instantiate_trainer(**kwargs)

    def before_fit(self) -> None:
        """A hook of LightningCLI's: what a test after the fit lacks is said before the fit."""
        keep_freed_memory()  # on a CPU a step takes the same tensors as the one before
        if self.config["fit"].get("test_after_fit") is not None:
            check_before_fit(self.trainer, self.model)

    def after_fit(self) -> None:
        """Likewise: the test, where one is asked for."""
        which = self.config["fit"].get("test_after_fit")
        if which is not None:
            made_with = dict(self.config_init["fit"]["trainer"])
            log_test_table(run_closing_test(self.trainer, made_with, self.model, self.datamodule, which))

    def before_validate(self) -> None:
        """Likewise: which weights are used; and a curve gets no second point at step 0."""
        path = self.config[self._asked].get("ckpt_path")
        if path and Path(path).is_file():
            log_where_it_was_written(self.trainer, Path(path))
        # what has no weights, such as a still frame, needs no checkpoint
        if not self._resuming() and any(True for _ in self.model.parameters()):
            rank_zero_warn("no --ckpt_path: the networks are as the config initialises them")

    before_test = before_predict = before_validate

    def after_test(self) -> None:
        """Likewise; and what would end without a word."""
        log_test_table(self.trainer)
        warn_of_nothing_measured(self.trainer)

    def _held_folder(self, subcommand: str) -> AbstractContextManager[None]:
        """Two fits into one folder would write into one another's checkpoints; the first process holds it for all."""
        folder = self.config[subcommand].get("run_dir") or checkpoint_folder(self.trainer)
        if subcommand != "fit" or not folder or not self.trainer.is_global_zero:
            return nullcontext()
        return held_folder(
            Path(folder), "another `s2v fit` runs there: wait for it, or give this one another --run_dir"
        )

    def _run_subcommand(self, subcommand: str) -> None:
        own = type(self.model)
        if (
            subcommand == "predict"
            and own.predict_step is LightningModule.predict_step
            and own.__module__.startswith("s2v.")
        ):
            raise InputError(f"{own.__name__} makes no clips: predict takes ComposerModule and SDFAModule")
        check_checkpoint_folders(self.trainer, subcommand, self.config[subcommand])
        if subcommand == "fit":
            check_strategy(self.trainer.strategy, self.model)
            check_fit_of_module(self.trainer, self.model)
            if self._resuming():
                # it first ends the epoch that its checkpoint was written in, which is validated already
                unfounded = r"`ModelCheckpoint\(monitor=.* could not find the monitored key"
                warnings.filterwarnings("ignore", unfounded)
        check_workers_can_start(getattr(self.datamodule, "num_workers", 0))
        parts = (self.model, self.datamodule, *self.trainer.callbacks)  # type: ignore[attr-defined]
        check_early(parts, subcommand, self._resuming())
        try:
            with self._held_folder(subcommand), ended_by_sigterm(self.trainer):
                super()._run_subcommand(subcommand)
        except SystemExit as exit:
            # Lightning turns Ctrl-C into an exit of its own
            if self.trainer.state.status == TrainerStatus.INTERRUPTED and exit.code == 1:
                raise KeyboardInterrupt from None
            raise
        except Exception as error:
            config = self.config[subcommand]
            folder = config.get("run_dir") or self.trainer.default_root_dir
            if line := explain_run_fault(error, subcommand, config.get("ckpt_path"), folder):
                raise InputError(line) from error
            raise


def _leave_out_what_does_not_apply() -> None:
    """Lightning's advice that is wrong here, or advertising."""
    for message in (
        "Using ModelCheckpoint with manual optimization",  # the state after the step is the one wanted
        r"Found \d+ module\(s\) in eval mode",  # teachers, and stage 1 in stage 2
        "Checkpoint directory .* exists and is not empty",  # loggers write there; callbacks/save_config.py looks
        "You're resuming from a checkpoint that ended before the epoch ended",  # the sampler resumes
        r"`isinstance\(treespec, LeafSpec\)` is deprecated",
        r"Detected call of `lr_scheduler.step\(\)` before",  # of a discriminator whose loss has no weight
    ):
        warnings.filterwarnings("ignore", message)
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    logger.addFilter(lambda record: "Tip:" not in record.getMessage())


def run(args: list[str]) -> int:
    """Run one of LightningCLI's subcommands, `args[0]`; returns the exit status.

    Raises:
        InputError: wrong option, config or checkpoint.
        KeyboardInterrupt: after Lightning's orderly end.
    """
    _leave_out_what_does_not_apply()
    find_own_modules()
    torch.set_float32_matmul_precision("high")
    try:
        with ended_run():
            TrainingCLI(args)
    except SystemExit as exit:
        if exit.code not in (0, None):
            raise
    except Exception as error:
        if line := explain_refusal(error):
            raise InputError(line) from error
        raise
    sys.stdout.flush()
    return 0
