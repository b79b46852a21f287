"""A child that hangs or crashes costs its request, and the next one is answered."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_modules import timed_worker
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


def test_a_child_may_ask_for_more_time(worker: TimedWorker) -> None:
    worker.ask({}, 20)
    assert worker.ask({"longer": 20, "sleep": 1.0, "echo": 5}, 0.3)["echo"] == 5
    with pytest.raises(WorkerTimeout, match=r"within 0\.7 s") as caught:
        worker.ask({"longer": 0.4, "sleep": 60}, 0.3)
    assert caught.value.seconds == pytest.approx(0.7)


def test_time_in_which_all_are_stopped_is_not_counted() -> None:
    script = (
        "from data_modules.timed_worker import TimedWorker\n"
        "worker = TimedWorker('tests.data_modules.slow_worker')\n"
        "print(worker.ask({}, 20)['pid'], flush=True)\n"
        "print(worker.ask({'steps': 20, 'echo': 'in time'}, 4)['echo'], flush=True)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert parent.stdout is not None
    parent.stdout.readline()
    time.sleep(0.5)
    os.killpg(parent.pid, signal.SIGSTOP)
    time.sleep(5)
    os.killpg(parent.pid, signal.SIGCONT)
    assert parent.stdout.readline() == "in time\n"
    parent.stdout.close()
    assert parent.wait(20) == 0


@pytest.mark.parametrize(("times", "tries"), [(1, 2), (9, 2)])
def test_a_child_that_slept_through_its_alarm_is_asked_once_more(
    times: int, tries: int, worker: TimedWorker, tmp_path: Path
) -> None:
    (count := tmp_path / "count").write_text("")
    request = {"alarm": str(count), "times": times, "echo": 6}
    if times < tries:
        assert worker.ask(request, 20)["echo"] == 6
    else:
        with pytest.raises(WorkerDied, match="SIGALRM"):
            worker.ask(request, 20)
    assert len(count.read_text()) == tries


def test_a_crash_is_told(worker: TimedWorker) -> None:
    with pytest.raises(WorkerDied, match="SIGSEGV"):
        worker.ask({"die": True}, 20)
    with pytest.raises(WorkerDied, match="status 3"):
        worker.ask({"leave": True}, 20)
    assert worker.ask({"echo": 4}, 20)["echo"] == 4


def test_a_child_that_starts_too_late_is_killed_and_the_next_answer_is_the_next_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = TimedWorker("tests.data_modules.slow_worker", "2")
    monkeypatch.setattr(timed_worker, "_START_LIMIT", 0.2)
    with pytest.raises(WorkerDied, match=r"did not start within 0\.2 s"):
        worker.ask({"echo": 1}, 20)
    monkeypatch.undo()
    try:
        assert [worker.ask({"echo": number}, 20)["echo"] for number in (2, 3)] == [2, 3]
    finally:
        worker.close()


def test_an_answer_nobody_waited_for_is_no_other_requests(worker: TimedWorker) -> None:
    worker.ask({}, 20)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, stop)
    try:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(KeyboardInterrupt):
            worker.ask({"sleep": 1, "echo": "late"}, 20)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert worker.ask({"echo": "next"}, 20)["echo"] == "next"


def test_more_than_a_thousand_open_files(worker: TimedWorker) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1_200:
        pytest.skip(f"a process may open {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1_200), hard))
    opened = [os.dup(0)]
    try:
        while opened[-1] < 1_030:
            opened.append(os.dup(0))
        assert worker.ask({"echo": 1}, 20)["echo"] == 1
    finally:
        for handle in opened:
            os.close(handle)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


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


@pytest.mark.parametrize("earlier", [[], [signal.SIGINT], [signal.SIGTERM]], ids=["alone", "ctrl-c", "group"])
def test_closing_leaves_nothing_half_written(
    worker: TimedWorker, earlier: list[signal.Signals], tmp_path: Path
) -> None:
    """Also where a terminal's Ctrl-C or a group's SIGTERM has come to the child before."""
    pid = worker.ask({}, 20)["pid"]
    asked: list[type[BaseException]] = []

    def ask() -> None:
        with pytest.raises(WorkerDied) as death:
            worker.ask({"write": str(tmp_path / "clip")}, 60)
        asked.append(death.type)

    thread = threading.Thread(target=ask)
    thread.start()
    end = time.monotonic() + 10
    while not list(tmp_path.iterdir()) and time.monotonic() < end:
        time.sleep(0.01)
    assert list(tmp_path.iterdir())
    for number in earlier:
        os.kill(pid, number)
    worker.close()
    thread.join(10)
    assert asked and gone(pid) and not list(tmp_path.iterdir())


def test_closing_kills_what_hangs(worker: TimedWorker) -> None:
    pid = worker.ask({"hang": True}, 20)["pid"]
    start = time.monotonic()
    worker.close()
    assert gone(pid) and 1.5 < time.monotonic() - start < 10


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
