"""A folder that one command at a time writes to."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from s2v.errors import InputError

_SECONDS_TO_WAIT = 10.0
"""Loader workers of a fit that was killed hold its folder until they miss it, every 5 s."""


@contextmanager
def held_folder(folder: Path, refusal: str) -> Iterator[None]:
    """Hold a folder, made where it is missing, by a lock on a file `.lock` in it, which a kill gives back.

    Where the disk knows no locks nothing is held.

    Args:
        folder: to be held.
        refusal: what else runs there, and what to do.

    Raises:
        InputError: another process holds it, or it can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise InputError(f"{folder} can't be written: {error.strerror or error}") from error
    try:
        _lock(handle, f"{folder}: {refusal}", time.monotonic() + _SECONDS_TO_WAIT)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, refusal: str, until: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= until:
                raise InputError(refusal) from error
            time.sleep(0.2)
        except OSError:  # no locks on this disk
            return
