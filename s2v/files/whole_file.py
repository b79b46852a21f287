"""Files and folders that are whole or not there: written under another name beside their own, then renamed."""

import contextlib
import errno
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from s2v.errors import InputError, one_line

PARTIAL = ".partial"
"""How the name of everything unfinished ends; it begins with a dot."""

DISK_IS_FULL = "the disk is full"


def partial_beside(path: Path, lone_writer: bool = False) -> Path:
    """A temporary name in the folder of `path`, which is made; no other process on any machine takes it.

    Args:
        path: what the temporary name is for.
        lone_writer: no other process writes `path`, so that the temporary name can always be the same and what a
            kill leaves is overwritten by the next writer.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name if lone_writer else uuid.uuid4().hex}{PARTIAL}")


@contextlib.contextmanager
def whole_file(path: Path, durable: bool = False, lone_writer: bool = False) -> Iterator[Path]:
    """The temporary path to write to, which becomes `path` when the block ends.

    If an exception ends the block, nothing temporary is left and what was there before still is.

    Args:
        path: the file, or the folder that is new or empty; the folder it lies in is made.
        durable: the file is on the disk before it is renamed, so that a power cut leaves the old one or the new one.
        lone_writer: see `partial_beside`.
    """
    partial = partial_beside(path, lone_writer)
    try:
        yield partial
        if durable:
            with partial.open("rb+") as stream:
                os.fsync(stream.fileno())
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            shutil.rmtree(partial) if partial.is_dir() else partial.unlink(missing_ok=True)
        raise


def why_unwritten(error: BaseException) -> str:
    """What kept something from being written, in words: the system's reason, also where PyTorch hides it.

    PyTorch's writer ends the file after a failed write, and the RuntimeError that this raises is about its own state.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__context__
    if cause is None:
        return one_line(error, 120)
    if cause.errno in (errno.ENOSPC, errno.EDQUOT):
        return DISK_IS_FULL
    into = f": {cause.filename2}" if cause.filename2 else ""
    return f"{cause.strerror}{into}" if cause.strerror else str(cause)


def check_can_be_made(folder: Path, option: str) -> None:
    """Before the work whose results go there: whether `folder` can be made or written; nothing is left.

    Raises:
        InputError: something on the way is a file, or may not be written.
    """
    there = _nearest_there(folder)
    if not there.is_dir():
        raise InputError(f"{option} {folder}: expected a folder, but {there} is a file")
    place = "" if there == folder.absolute() else f": the folder {there}"
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{option} {folder}{place} can't be written")
    try:  # root may write anywhere, and yet not in /proc
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InputError(f"{option} {folder}{place} can't be written ({why_unwritten(error)})") from error


def check_room(folder: Path, least: int, option: str) -> None:
    """Before the work whose results go there: whether the disk of `folder` has `least` bytes left.

    Raises:
        InputError: it has not.
    """
    left = shutil.disk_usage(_nearest_there(folder)).free
    if left < least:
        raise InputError(
            f"{option} {folder}: its disk has {left >> 10} KB left, {least >> 10} KB are needed to begin; make room, "
            "or choose another folder"
        )


def _nearest_there(folder: Path) -> Path:
    """`folder`, or what there is on the way to it."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(place))


def write_whole_file(path: Path, content: bytes) -> None:
    """Replace `path` in one step: a reader sees the old file or the new one."""
    with whole_file(path) as partial:
        partial.write_bytes(content)


def remove_partial_files(folder: Path, older_than: float = 900.0) -> None:
    """Removes what killed writers left in a folder; files younger than `older_than` seconds may be in use."""
    for partial in folder.glob(f".*{PARTIAL}"):
        with contextlib.suppress(OSError):
            if time.time() - partial.stat().st_mtime > older_than:
                partial.unlink()
