"""A loader worker that died or can't be started, in one line; torch's own says that details are lost."""

import multiprocessing
import os
import shutil
from pathlib import Path

from s2v.errors import InputError

NO_SHARED_MEMORY = 28
"""The exit status of a worker that could not hand over its batch (ENOSPC's number)."""

_SHARED = Path("/dev/shm")


def check_workers_can_start(num_workers: int) -> None:
    """Before loggers and loaders begin: a worker's queues have semaphores, which lie in shared memory.

    Raises:
        InputError: workers are asked for, and there are no semaphores: shared memory is read-only, for instance.
    """
    if num_workers == 0:
        return
    try:
        multiprocessing.Lock()
    except OSError as error:
        raise InputError(
            f"loader workers need shared memory, and {_SHARED} can't be written ({error.strerror or error}): mount it "
            "writable, or set data.init_args.num_workers 0"
        ) from error


def explain_dead_worker(error: RuntimeError) -> str | None:
    """Why, and what to do; None where the error is another."""
    causes = [str(cause) for cause in (error, error.__cause__, error.__context__) if cause is not None]
    told = [cause.splitlines()[0] for cause in causes if cause.startswith("DataLoader worker (pid")]
    if not told:
        return None
    if any(f"exit code {NO_SHARED_MEMORY}" in one or "Bus error" in one for one in told):
        room = f", {shutil.disk_usage(_SHARED).total >> 20} MB in all" if _SHARED.is_dir() else ""
        return (
            f"a loader worker found no room for a batch in shared memory ({_SHARED}{room}): give it more (docker run "
            "--shm-size 8g), or take fewer data.init_args.num_workers; 0 need none"
        )
    # torch may have lost the exit status
    return (
        f"{told[-1].partition('. ')[0]}; if memory or {_SHARED} is full, take fewer "
        "data.init_args.num_workers"
    )


def end_worker(error: BaseException, batch: object) -> None:
    """In a worker, where a batch can't be handed over: torch would let the fit wait for it without end.

    For `multiprocessing.queues.Queue._on_queue_feeder_error`, which only prints.
    """
    lacks_room = "shared memory" in str(error) or "No space left" in str(error)
    if not lacks_room:
        os.write(2, f"a loader worker can't hand over its batch: {error}\n".encode(errors="replace"))
    os._exit(NO_SHARED_MEMORY if lacks_room else 1)
