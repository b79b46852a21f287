"""A folder that one command at a time writes to."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from s2v.errors import InputError

_SECONDS_TO_WAIT = 10.0
"""Loader workers of a fit that was killed hold its folder until they miss it, every 5 s."""


@contextmanager
def held_folder(folder: Path, refusal: str) -> Iterator[None]:
    """Hold a folder, made where it is missing, by a lock on a file `.lock` in it, which a kill gives back.

    Afterwards the file is gone, and so are folders made for it if nothing came into them. Where the disk knows no
    locks nothing is held.

    Args:
        folder: to be held.
        refusal: what else runs there, and what to do.

    Raises:
        InputError: another process holds it, or it can't be written.
    """
    file = folder / ".lock"
    until = time.monotonic() + _SECONDS_TO_WAIT
    while True:
        made = [place for place in (folder, *folder.parents) if not place.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError as error:  # who held it has just taken the folder away
            if time.monotonic() >= until:
                raise InputError(f"{folder} can't be made: {error.strerror}") from error
            time.sleep(0.05)
            continue
        except OSError as error:
            raise InputError(f"{folder} can't be written: {error.strerror or error}") from error
        try:
            _lock(handle, f"{folder}: {refusal}", until)
            if _is_still(file, handle):
                break
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # who held it has taken the file away: lock the one that is there now
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        os.close(handle)
        with suppress(OSError):  # something is in it
            for place in made:
                place.rmdir()


def _is_still(file: Path, handle: int) -> bool:
    """Whether an open file is the one that lies at `file`."""
    try:
        return os.path.samestat(file.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


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
