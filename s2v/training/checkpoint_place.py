"""Which checkpoint a command takes and which it will write, looked at before the work."""

import zipfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from s2v.errors import InputError
from s2v.weight_files.weight_file import checked_weight_file


def check_checkpoint_option(path: str) -> None:
    """What can be seen of `--ckpt_path` before anything is built.

    Raises:
        InputError: no such file, or none that `s2v fit` writes.
    """
    registry = path == "registry" and find_spec("litmodels") is not None  # a file otherwise
    if path in ("best", "last", "hpc") or registry or _holds_parts(Path(path)):
        return  # Lightning finds these
    if Path(path).is_dir():
        raise InputError(f"--ckpt_path {path} is a folder: name a file in it, as {Path(path) / 'last.ckpt'}")
    if not zipfile.is_zipfile(checked_weight_file(path)):
        raise InputError(f"--ckpt_path {path}: truncated, or no checkpoint as `s2v fit` writes them")


def _holds_parts(folder: Path) -> bool:
    """Whether it is a checkpoint of FSDP or DeepSpeed, which is a folder."""
    return any((folder / name).exists() for name in ("meta.pt", ".metadata", "latest", "checkpoint"))


def check_checkpoint_folders(trainer: Trainer, subcommand: str, config: Any) -> None:
    """Where a command's callbacks keep checkpoints.

    Args:
        trainer: with its callbacks.
        subcommand: fit, validate, test or predict.
        config: the subcommand's.

    Raises:
        InputError: there is none where one is to be tested, or another run's would be written over.
    """
    folders = [Path(at) for one in trainer.checkpoint_callbacks if (at := getattr(one, "dirpath", None))]
    asked, run = config.get("ckpt_path"), config.get("run_dir")
    if asked == "hpc" and not any(Path(trainer.default_root_dir).glob("hpc_ckpt_*.ckpt")):
        raise InputError(
            f"--ckpt_path hpc: no SLURM job has left a checkpoint (hpc_ckpt_*.ckpt) in {trainer.default_root_dir}; "
            "name a file"
        )
    if (
        asked in ("best", "last")
        and subcommand != "fit"
        and not any(any(at.glob("*.ckpt")) for at in folders)
    ):
        where = " or ".join(dict.fromkeys(map(str, folders))) or "the config's folders"
        raise InputError(f"--ckpt_path {asked}: there is no checkpoint in {where}; name its file")
    if subcommand != "fit" or not run:
        return
    for folder in folders:
        elsewhere = not folder.resolve().is_relative_to(Path(run).resolve())
        # one that goes on may keep its checkpoints outside its folder, but not in another run's
        anothers = not asked or (folder / "config.yaml").exists()
        if elsewhere and anothers and any(folder.glob("*.ckpt")):
            raise InputError(
                f"--run_dir {run} does not move what the config has written out: checkpoints would replace those "
                f"in {folder}; begin from the configs that run was made of, or give the callback another dirpath"
            )


def checkpoint_folder(trainer: Trainer) -> str | None:
    """Where the first of a trainer's callbacks that names a folder keeps checkpoints."""
    return next((at for one in trainer.checkpoint_callbacks if (at := getattr(one, "dirpath", None))), None)


def check_moved_runs(configs: Mapping[str, dict]) -> None:
    """Whether a run's saved config still says where the run lies; its paths are written out, and do not move with it.

    Args:
        configs: path -> content, those of the command line.

    Raises:
        InputError: another run lies where this one did: its checkpoints, curves and report would be replaced.
    """
    for path, content in configs.items():
        here = Path(path).parent
        named = _checkpoint_folders(content) if Path(path).name == "config.yaml" else []
        if (
            not named
            or not any(here.glob("*.ckpt"))
            or here.resolve() in [Path(at).resolve() for at in named]
        ):
            continue
        mend = f"sed -i 's|{named[0]}|{here}|g' {path}"
        if any(Path(named[0]).glob("*.ckpt")):
            raise InputError(
                f"--config {path} is of a run that was in {named[0]}, where another one's checkpoints are: this "
                f"command would write there; name the new place in it: {mend}"
            )
        rank_zero_warn(f"{path} is of a run that was in {named[0]}, and what is written goes there ({mend})")


def _checkpoint_folders(content: dict) -> list[str]:
    """Of a config's callbacks, as it names them."""
    trainer = content.get("trainer")
    callbacks = trainer.get("callbacks") if isinstance(trainer, dict) else None
    found = []
    for callback in callbacks if isinstance(callbacks, list) else []:
        arguments = callback.get("init_args") if isinstance(callback, dict) else None
        if isinstance(arguments, dict) and isinstance(at := arguments.get("dirpath"), str) and "${" not in at:
            found.append(at)
    return found
