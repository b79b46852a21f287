"""A child that hangs or crashes costs its request, and the next one is answered."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from data_modules.timed_worker import TimedWorker, WorkerDied, WorkerTimeout


@pytest.fixture
def worker() -> Iterator[TimedWorker]:
    worker = TimedWorker("tests.data_modules.slow_worker")
    yield worker
    worker.close()


def gone(pid: int, within: float = 5.0) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_answers_in_order_from_one_process(worker: TimedWorker) -> None:
    replies = [worker.ask({"echo": text}, 20) for text in ("a", "ü\n漢", "x" * 100_000)]
    assert [reply["echo"] for reply in replies] == ["a", "ü\n漢", "x" * 100_000]
    assert len({reply["pid"] for reply in replies}) == 1


def test_prints_do_not_disturb_answers(worker: TimedWorker) -> None:
    assert worker.ask({"print": '{"pid": 0}', "echo": 1}, 20)["echo"] == 1
    assert worker.ask({"echo": 2}, 20)["echo"] == 2


def test_a_hang_is_killed_and_work_goes_on(worker: TimedWorker) -> None:
    pid = worker.ask({}, 20)["pid"]
    start = time.monotonic()
    with pytest.raises(WorkerTimeout, match=r"0\.3 s"):
        worker.ask({"sleep": 60}, 0.3)
    assert time.monotonic() - start < 5
    assert gone(pid)
    assert worker.ask({"echo": 3}, 20)["echo"] == 3


def test_a_crash_is_told(worker: TimedWorker) -> None:
    with pytest.raises(WorkerDied, match="SIGSEGV"):
        worker.ask({"die": True}, 20)
    with pytest.raises(WorkerDied, match="status 3"):
        worker.ask({"leave": True}, 20)
    assert worker.ask({"echo": 4}, 20)["echo"] == 4


def test_closing_ends_a_request_in_another_thread(worker: TimedWorker) -> None:
    worker.ask({}, 20)
    died = threading.Event()

    def ask() -> None:
        with pytest.raises(WorkerDied):
            worker.ask({"sleep": 60}, 60)
        died.set()

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.3)
    worker.close()
    thread.join(10)
    assert died.is_set()


def test_the_child_of_a_killed_parent_ends() -> None:
    script = (
        "from data_modules.timed_worker import TimedWorker\n"
        "worker = TimedWorker('tests.data_modules.slow_worker')\n"
        "print(worker.ask({}, 20)['pid'], flush=True)\n"
        "worker.ask({'sleep': 1}, 60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert gone(pid)
