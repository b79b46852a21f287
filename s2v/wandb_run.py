"""Which W&B run a command belongs to: one that takes a checkpoint goes on with its run folder's."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_RUN_FOLDER = re.compile(r"(?:offline-)?run-(\d{8}_\d{6})-(.+)")
"""As W&B names a run's folder: the time it began, its id."""


def newest_run_id(save_dir: str | Path) -> str | None:
    """The id of the run that last began in `save_dir`; None where there is none."""
    found = [
        match.groups()
        for path in (Path(save_dir) / "wandb").glob("*run-*")
        if path.is_dir() and (match := _RUN_FOLDER.fullmatch(path.name))
    ]
    return max(found)[1] if found else None


@contextmanager
def continued_run(logger: Any) -> Iterator[None]:
    """While the block makes the loggers, each WandbLogger of the config has the id of its `save_dir`'s newest run.

    The config keeps no trace of it: a fit that takes the saved config later and begins anew has a run of its own. An
    id that the config or the environment (WANDB_RUN_ID, as in a sweep) names stays.

    Args:
        logger: the config's `trainer.logger`: one, a list of them, or something that is none.
    """
    changed = []
    for one in logger if isinstance(logger, list) else [logger]:
        options = getattr(one, "init_args", None)
        if not is_wandb(one) or options is None or os.environ.get("WANDB_RUN_ID"):
            continue
        if options.get("id") or options.get("version"):
            continue
        run_id = newest_run_id(options.get("save_dir") or ".")
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


def is_wandb(logger: Any) -> bool:
    """Whether a config's logger is W&B's."""
    return str(getattr(logger, "class_path", "")).endswith("WandbLogger")
