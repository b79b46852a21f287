"""A file under its name is whole; nothing else is left, unless by a kill, and that is removed later."""

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from callbacks.save_config import SaveConfigBesideCheckpoints
from data_modules.clip_manifest import write_manifest
from data_modules.splits import write_split
from data_modules.synthetic.encode import write_text
from s2v.errors import InputError
from s2v.evaluation.mismatch import write_mismatch
from s2v.files.whole_file import (
    PARTIAL,
    check_can_be_made,
    check_room,
    partial_beside,
    remove_partial_files,
    whole_file,
    why_unwritten,
    write_whole_file,
)
from tests.conftest import REPOSITORY
from tests.quiet_trainer import trainer


def write_config(folder: Path) -> None:
    callback = SaveConfigBesideCheckpoints(None, None)  # type: ignore[arg-type]
    callback._dumped = "seed: 1\n"
    callback.save_config(trainer(folder), None, "validate")  # type: ignore[arg-type]


WRITERS: dict[str, Callable[[Path], object]] = {
    "file.txt": lambda folder: write_whole_file(folder / "file.txt", b"new"),
    "manifest.csv": lambda folder: write_manifest(folder / "manifest.csv", []),
    "train.txt": lambda folder: write_split(folder, {"train": ["a"]}),
    "mismatch.csv": lambda folder: write_mismatch(folder / "mismatch.csv", {"a": "b"}),
    "truth.csv": lambda folder: write_text(folder / "truth.csv", "a,b\n"),
    "config.validate.yaml": write_config,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_failure_leaves_the_old_file_and_nothing_else(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_text("old")

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        WRITERS[name](tmp_path)
    assert (tmp_path / name).read_text() == "old"
    assert os.listdir(tmp_path) == [name]
    monkeypatch.undo()
    WRITERS[name](tmp_path)
    assert (tmp_path / name).read_text() != "old"
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("durable", [False, True])
def test_the_name_is_given_at_the_end_of_the_block(
    durable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, on_disk = tmp_path / "new" / "newer" / "file", []
    monkeypatch.setattr(os, "fsync", lambda _: on_disk.append(not path.exists()))
    with whole_file(path, durable=durable) as partial:
        partial.write_bytes(b"content")
        assert partial.parent == path.parent and not path.exists()
    assert path.read_bytes() == b"content"
    assert on_disk == [True] * durable  # before the name is given
    assert os.listdir(path.parent) == ["file"]


def test_a_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    for fails in (True, False):
        try:
            with whole_file(tmp_path / "folder") as partial:
                partial.mkdir()
                (partial / "file").touch()
                if fails:
                    raise RuntimeError("in the middle")
        except RuntimeError:
            assert os.listdir(tmp_path) == []
    assert os.listdir(tmp_path) == ["folder"] and os.listdir(tmp_path / "folder") == ["file"]


def test_temporary_names_differ_but_for_a_lone_writer(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert partial_beside(path) != partial_beside(path)
    assert partial_beside(path, lone_writer=True) == partial_beside(path, lone_writer=True)


def test_only_old_partial_files_are_removed(tmp_path: Path) -> None:
    """One that was written to within a quarter of an hour may be another process's."""
    for name, minutes in ((".old.partial", 16), (".in_use.partial", 14), (".old", 16), ("old.partial", 16)):
        (tmp_path / name).touch()
        then = time.time() - 60 * minutes
        os.utime(tmp_path / name, (then, then))
    remove_partial_files(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".in_use.partial", ".old", "old.partial"]
    remove_partial_files(tmp_path, older_than=60)
    assert sorted(os.listdir(tmp_path)) == [".old", "old.partial"]
    remove_partial_files(tmp_path / "missing")


def test_what_a_kill_leaves_is_found_by_what_removes_it(tmp_path: Path) -> None:
    script = (
        "import os, sys, pathlib\nfrom s2v.files.whole_file import whole_file\n"
        "with whole_file(pathlib.Path(sys.argv[1])) as partial:\n    partial.touch()\n    os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "file")], cwd=REPOSITORY, check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".") and left.name.endswith(PARTIAL)
    os.utime(left, (0, 0))
    remove_partial_files(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check_can_be_made(tmp_path / "new" / "newer", "--output")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(
            InputError, match=f"--output {folder}: expected a folder, but {tmp_path}/file is a file"
        ):
            check_can_be_made(folder, "--output")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(InputError, match=f"expected a folder, but {tmp_path}/link is"):
        check_can_be_made(tmp_path / "link" / "below", "--output")


def test_a_folder_of_the_system_can_hold_nothing() -> None:
    """Root may write there by its permissions, and can't."""
    if not Path("/proc").is_dir():
        pytest.skip("this system has no /proc")
    with pytest.raises(InputError, match="--output /proc/x: the folder /proc can't be written"):
        check_can_be_made(Path("/proc/x"), "--output")
    with pytest.raises(InputError, match=r"^--output /proc can't be written"):
        check_can_be_made(Path("/proc"), "--output")


def test_too_little_room_is_told_before_the_work(tmp_path: Path) -> None:
    check_room(tmp_path / "new", 1, "--run_dir")
    with pytest.raises(
        InputError, match=r"new: its disk has \d+ KB left, .*make room, or choose another folder"
    ):
        check_room(tmp_path / "new", 2**80, "--run_dir")


def test_why_something_was_not_written(tmp_path: Path) -> None:
    assert why_unwritten(OSError(errno.ENOSPC, "No space left on device", "file")) == "the disk is full"
    assert why_unwritten(OSError(errno.EDQUOT, "Disk quota exceeded", "file")) == "the disk is full"
    assert why_unwritten(RuntimeError("no\nfile")) == "no file"
    hidden = RuntimeError("unexpected pos 64 vs 0")
    hidden.__context__ = OSError(errno.ENOSPC, "No space left on device")
    assert why_unwritten(hidden) == "the disk is full"
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(OSError) as raised:
        os.replace(tmp_path / "file", tmp_path / "folder")
    assert why_unwritten(raised.value) == f"Is a directory: {tmp_path / 'folder'}"
