"""A real Dask scheduler and real worker processes on loopback; conftest.py makes the fixtures known to all tests."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
Processes = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Processes]:
    """Starts `python -m ...` from the repository; what still runs at the test's end is killed."""
    started = []

    def run(*command: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def scheduler_file(start: Processes, tmp_path: Path) -> Path:
    """Where a running scheduler wrote its address."""
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    file = tmp_path / "scheduler.json"
    start("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
          "--scheduler-file", str(file))  # fmt: skip
    wait_until(file.is_file)
    return file


def start_worker(start: Processes, scheduler_file: Path) -> "subprocess.Popen[str]":
    return start("distributed.cli.dask_worker", "--host", "127.0.0.1", "--no-nanny", "--nthreads", "1",
                 "--no-dashboard", "--scheduler-file", str(scheduler_file))  # fmt: skip


def wait_for_workers(scheduler_file: Path, folder: Path, count: int) -> None:
    """Until `count` workers do what they are asked, which leaves files *.mark in `folder`."""
    from data_modules.dask_cluster import dask_cluster

    def all_are_there() -> bool:
        everywhere(_leave_mark, str(folder))
        return len(list(folder.glob("*.mark"))) == count

    with dask_cluster(str(scheduler_file), [folder]) as everywhere:
        wait_until(all_are_there)


def _leave_mark(folder: str) -> None:
    (Path(folder) / f"{os.getpid()}.mark").touch()


def wait_until(holds: Callable[[], bool], seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds:g} s"
        time.sleep(0.01)
