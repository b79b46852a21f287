import fcntl
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s2v.errors import InputError
from s2v.files.held_folder import held_folder

SPAWN: Any = multiprocessing.get_context("spawn")


def hold(folder: Path, told: Any) -> None:
    """In a process of its own, until it is killed."""
    with held_folder(folder, "busy"):
        told.set()
        time.sleep(60)


@pytest.fixture
def refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2v.files.held_folder._SECONDS_TO_WAIT", 0.3)


def test_nothing_is_left_but_what_was_written(tmp_path: Path) -> None:
    with held_folder(tmp_path / "a" / "b", "busy"):
        assert (tmp_path / "a" / "b" / ".lock").is_file()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a").mkdir()
    with held_folder(tmp_path / "a" / "b", "busy"):
        (tmp_path / "a" / "b" / "last.ckpt").touch()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["last.ckpt"]
    with held_folder(tmp_path / "a" / "b", "busy"):
        pass
    assert (tmp_path / "a" / "b" / "last.ckpt").exists()


def test_a_second_one_is_refused_and_leaves_the_first_ones_lock(
    tmp_path: Path, refused_at_once: None
) -> None:
    with held_folder(tmp_path, "busy"):
        with pytest.raises(InputError, match=f"{tmp_path}: busy"), held_folder(tmp_path, "busy"):
            pass
        assert (tmp_path / ".lock").exists()
    with held_folder(tmp_path, "busy"):
        pass


def test_who_waited_holds_the_file_that_is_there_not_the_one_that_was_taken_away(
    tmp_path: Path, refused_at_once: None
) -> None:
    folder, inside, enough = tmp_path / "run", threading.Event(), threading.Event()

    def wait_for_it() -> None:
        with held_folder(folder, "busy"):
            inside.set()
            enough.wait(60)

    waiting = threading.Thread(target=wait_for_it)
    with held_folder(folder, "busy"):
        waiting.start()
        time.sleep(0.1)
        assert not inside.is_set()
    assert inside.wait(10)
    assert (folder / ".lock").exists()
    with pytest.raises(InputError, match="busy"), held_folder(folder, "busy"):
        pass
    enough.set()
    waiting.join(10)
    assert not folder.exists()


def test_a_killed_ones_folder_can_be_held(tmp_path: Path, refused_at_once: None) -> None:
    told = SPAWN.Event()
    worker = SPAWN.Process(target=hold, args=(tmp_path, told))
    worker.start()
    assert told.wait(60)
    with pytest.raises(InputError, match="busy"), held_folder(tmp_path, "busy"):
        pass
    os.kill(worker.pid, signal.SIGKILL)
    worker.join(10)
    with held_folder(tmp_path, "busy"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_locks_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    flock: Callable[..., None] = unknown
    monkeypatch.setattr(fcntl, "flock", flock)
    with held_folder(tmp_path, "busy"), held_folder(tmp_path, "busy"):
        pass
