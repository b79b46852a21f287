"""A folder that may not be read is refused; one that is not there holds nothing (real ones: tests/s2v/test_cli.py)."""

import errno
import os
from pathlib import Path

import pytest

from s2v.errors import InputError
from s2v.files.unreadable_folder import refuse_unreadable


def test_a_folder_that_may_not_be_read_is_one_line() -> None:
    with pytest.raises(
        InputError, match=r"^a/locked can't be read \(Permission denied\): check who may read it$"
    ):
        refuse_unreadable(PermissionError(errno.EACCES, "Permission denied", "a/locked"))


def test_a_folder_that_is_not_there_or_a_file_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("none", "file"):
        assert list(os.walk(tmp_path / name, onerror=refuse_unreadable)) == []
