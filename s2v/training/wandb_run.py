"""Which W&B run a command belongs to: one that takes a checkpoint goes on with the run that wrote it."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_RUN_FOLDER = re.compile(r"(?:offline-)?run-(\d{8}_\d{6})-(.+)")
"""As W&B names a run's folder: the time it began, its id."""

RUN_ID = "wandb_run_id"
"""Where a checkpoint has the id of the run that wrote it."""


def newest_run_id(save_dir: str | Path) -> str | None:
    """The id of the run that last began in `save_dir`; None where there is none."""
    begun = _begun_runs(save_dir)
    return max(begun)[1] if begun else None


def run_id_of_checkpoint(path: str | Path) -> str | None:
    """The id of the run that wrote a checkpoint; None where it names none, as older ones, or can't be read."""
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)  # no weight is read
    except Exception:  # each kind of damage raises another; who loads the weights says it in words
        return None
    found = content.get(RUN_ID) if isinstance(content, dict) else None
    return found if isinstance(found, str) else None


def run_id_to_continue(save_dir: str | Path, checkpoint: str | Path | None) -> str | None:
    """The run that a command which takes `checkpoint` and logs to `save_dir` goes on with; None: a new one.

    It is the one that wrote the checkpoint, where that lies in `save_dir` or the run does: what begins from another
    run's checkpoint, in a folder of its own, is a run of its own. The newest in `save_dir` where the checkpoint does
    not say (None: which file it is, is not known).
    """
    known = run_id_of_checkpoint(checkpoint) if checkpoint is not None else None
    if checkpoint is None or known is None:
        return newest_run_id(save_dir)
    inside = Path(checkpoint).resolve().is_relative_to(Path(save_dir).resolve())
    return known if inside or known in {run_id for _, run_id in _begun_runs(save_dir)} else None


def _begun_runs(save_dir: str | Path) -> list[tuple[str, str]]:
    """When each run in `save_dir` began, and its id."""
    return [
        (match[1], match[2])
        for path in (Path(save_dir) / "wandb").glob("*run-*")
        if path.is_dir() and (match := _RUN_FOLDER.fullmatch(path.name))
    ]


@contextmanager
def continued_run(logger: Any, checkpoint: str | Path | None) -> Iterator[None]:
    """While the block makes the loggers, each WandbLogger of the config has the id of `run_id_to_continue`.

    The config keeps no trace of it: a fit that takes the saved config later and begins anew has a run of its own. An
    id that the config or the environment (WANDB_RUN_ID, as in a sweep) names stays.

    Args:
        logger: the config's `trainer.logger`: one, a list of them, or something that is none.
        checkpoint: the file that the command goes on from; None where Lightning is left to find it.
    """
    changed = []
    for one in wandb_loggers(logger):
        options = getattr(one, "init_args", None)
        if options is None or os.environ.get("WANDB_RUN_ID"):
            continue
        if options.get("id") or options.get("version"):
            continue
        run_id = run_id_to_continue(options.get("save_dir") or ".", checkpoint)
        if run_id is not None:
            changed.append((options, options.get("id")))
            options["id"] = run_id
    try:
        yield
    finally:
        for options, before in changed:
            options["id"] = before


@contextmanager
def ended_run() -> Iterator[None]:
    """The W&B run that the block begins ends with it, as a failed one where an exception leaves the block.

    W&B ends a run with the process, and in one process (`s2v table1`) every later logger would write into the first
    command's run. A run that was open before is its owner's, and stays open.
    """
    before = _open_run()
    failed = 1
    try:
        yield
        failed = 0
    except SystemExit as exit:
        failed = 0 if exit.code in (0, None) else 1
        raise
    finally:
        run = _open_run()
        if run is not None and run is not before:
            run.finish(exit_code=failed)


def _open_run() -> Any:
    """W&B's run of this process; importing wandb takes a second, which a command without it does not need."""
    wandb = sys.modules.get("wandb")
    return getattr(wandb, "run", None)


def wandb_loggers(logger: Any) -> list[Any]:
    """W&B's among a config's `trainer.logger`: one, a list of them, or something that is none."""
    loggers = logger if isinstance(logger, list) else [logger]
    return [one for one in loggers if str(getattr(one, "class_path", "")).endswith("WandbLogger")]
