"""Which W&B run a command belongs to: one that takes a checkpoint goes on with its run folder's."""

import os
import re
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


def is_wandb(logger: Any) -> bool:
    """Whether a config's logger is W&B's."""
    return str(getattr(logger, "class_path", "")).endswith("WandbLogger")
