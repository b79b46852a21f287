"""A mark in a folder that is being filled: what ends before the folder is full, however it ends, leaves it there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from s2v.errors import InputError

_MARK = "unfinished"


@contextmanager
def being_filled(folder: Path) -> Iterator[None]:
    """The folder, made where it is missing, has the mark until the block ends regularly.

    Raises:
        InputError: it can't be written.
    """
    mark = folder / _MARK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mark.write_text("what fills this folder has not come to its end: run it again\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror or error}") from error
    yield
    mark.unlink(missing_ok=True)


def is_unfinished(folder: Path) -> bool:
    """Whether something began to fill the folder and did not come to its end, or is still at it."""
    return (folder / _MARK).is_file()
