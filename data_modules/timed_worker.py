"""Work in a child process that can be killed: a decoder that hangs costs one clip, never the run.

Requests and answers are JSON lines over the child's stdin and stdout. Plain subprocesses, because they can be
started from any joblib backend (threads, loky, Dask's daemonic workers), and because joblib kills no task.
"""

import contextlib
import json
import math
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from s2v.process.sigterm import STATUS

_START_LIMIT = 120.0
_SLICE = 1.0
"""Seconds of one look at the child. A look counts twice that at most, however long it took by the clock: where this
process was stopped (Ctrl-Z, a suspended job), the child was too, and has not had the time."""
_ORPHAN_GRACE = 10.0
_GRACE = 2.0
"""Seconds in which a child that is told to end may clear away what it was writing."""


class WorkerTimeout(Exception):
    """The child did not answer in time; it has been killed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within {seconds:g} s")
        self.seconds = seconds


class WorkerDied(Exception):
    """The child ended without an answer (crashed, was killed, or had not started in time)."""

    def __init__(self, message: str, by_alarm: bool = False) -> None:
        super().__init__(message)
        self.by_alarm = by_alarm
        """Whether its own alarm ended it, set for after the time limit: both were stopped meanwhile."""


class TimedWorker:
    """One child process running `python -m module *arguments`; started on first use, again after a kill.

    Not for several threads at once.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        self._process: subprocess.Popen[bytes] | None = None
        self._pending = b""
        self._number = 0
        self._killed_at = math.inf

    def ask(self, request: dict[str, Any], time_limit: float) -> dict[str, Any]:
        """Sends a request and returns its answer.

        Raises:
            WorkerTimeout: no answer within `time_limit` seconds and what the child asked for beside (`serve`);
                neither its start-up nor time in which this process was stopped is counted.
            WorkerDied: the child ended, or took too long to start.
        """
        try:
            return self._ask(request, time_limit)
        except WorkerDied as death:
            if not death.by_alarm:
                raise
            return self._ask(request, time_limit)

    def _ask(self, request: dict[str, Any], time_limit: float) -> dict[str, Any]:
        try:
            if self._process is None or self._process.poll() is not None:
                self._start()
            assert self._process is not None and self._process.stdin is not None
            self._number += 1
            asked = {**request, "time_limit": time_limit, "number": self._number}
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = self._reply(self._number, time_limit)["answer"]
            return answer
        except BrokenPipeError as error:
            raise self._died() from error
        except (WorkerTimeout, WorkerDied):
            self.close()
            raise

    def terminate(self) -> None:
        """Tells the child to end within 2 s, after which `close` kills it. Does not wait."""
        process = self._process
        if process is not None:
            self._killed_at = min(self._killed_at, time.monotonic() + _GRACE)
            process.terminate()

    def close(self) -> None:
        """Ends the child, which clears away what it was writing, or kills it where it hangs.

        Safe to call again, and from another thread (whose `ask` then raises).
        """
        self.terminate()
        process, self._process, self._pending = self._process, None, b""
        if process is not None:
            try:
                process.wait(max(0.0, self._killed_at - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()

    def _start(self) -> None:
        self.close()
        self._killed_at = math.inf
        home = str(Path(__file__).resolve().parents[1])
        paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        try:
            self._reply(0, _START_LIMIT)
        except WorkerTimeout as error:  # no fault of the request's
            raise WorkerDied(f"did not start within {_START_LIMIT:g} s") from error

    def _reply(self, number: int, time_limit: float) -> dict[str, Any]:
        """The line with this number; others answer requests that were given up."""
        left = time_limit
        while True:
            line, newline, rest = self._pending.partition(b"\n")
            if newline:
                self._pending = rest
                reply: dict[str, Any] = json.loads(line)
                if reply["number"] != number:
                    continue
                if "longer" not in reply:
                    return reply
                left += reply["longer"]
                time_limit += reply["longer"]
            elif left <= 0:
                raise WorkerTimeout(time_limit)
            else:
                begun, look = time.monotonic(), min(left, _SLICE)
                self._pending += self._piece(look)
                left -= min(time.monotonic() - begun, 2 * look)

    def _piece(self, seconds: float) -> bytes:
        """What the child has written, nothing where it wrote nothing within `seconds`."""
        process = self._process
        if process is None or process.stdout is None:
            raise WorkerDied("stopped")
        try:
            # not select, which takes no descriptor above 1,023, and not epoll, which may sleep on when another thread
            # closes the pipe
            with selectors.PollSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ)
                if not selector.select(seconds):
                    return b""
            piece = os.read(process.stdout.fileno(), 1 << 16)
        except (OSError, ValueError) as error:
            raise WorkerDied("stopped") from error
        if not piece:
            raise self._died()
        return piece

    def _died(self) -> WorkerDied:
        process = self._process
        code = process.wait() if process is not None else 0
        if code < 0:
            by = signal.Signals(-code)
            return WorkerDied(f"was killed by {by.name}", by_alarm=by == getattr(signal, "SIGALRM", None))
        return WorkerDied(f"ended with status {code}")


def serve(answer: Callable[[dict[str, Any], Callable[[float], None]], dict[str, Any]]) -> None:
    """The child's main loop: answers requests until stdin ends.

    `answer` is called with the request and a function by which it may ask for that many seconds beside the time limit.

    Whatever native libraries print goes nowhere near the answers. Should the parent be killed while a decoder
    hangs, an alarm ends this process soon after the time limit, so that none is left behind. SIGTERM ends it where it
    is; what it was writing is cleared away.
    """

    def end(number: int, frame: Any) -> None:
        # the group's SIGTERM and the parent's: the second one must not end the clearing away
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise SystemExit(STATUS)

    signal.signal(signal.SIGTERM, end)
    # a terminal's Ctrl-C, or its end, comes here too; the parent sends SIGTERM then
    for sent_to_all in (signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)):
        signal.signal(sent_to_all, signal.SIG_IGN)
    answers: BinaryIO = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def say(**reply: Any) -> None:
        answers.write(json.dumps(reply).encode() + b"\n")
        answers.flush()

    say(number=0)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        number, limit = request["number"], float(request["time_limit"])
        _end_after(limit + _ORPHAN_GRACE)

        def longer(seconds: float, number: int = number, limit: float = limit) -> None:
            _end_after(limit + seconds + _ORPHAN_GRACE)
            say(number=number, longer=seconds)

        try:
            reply = answer(request, longer)
            _end_after(0)
            say(number=number, answer=reply)
        except BrokenPipeError:
            return


def _end_after(seconds: float) -> None:
    """Sets the alarm; 0: none."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)
