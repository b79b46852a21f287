"""A test's clips measured in other processes while the next one is generated: the rows of one process, sooner."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from joblib.externals.loky import ProcessPoolExecutor

from s2v.errors import InputError
from s2v.evaluation.clip_measurement import ClipMeasurement
from s2v.evaluation.clip_rows import TestClip
from s2v.evaluation.scoring import Scoring
from s2v.evaluation.scoring_job import ScoringJob, load_judges, measure_clip_of

WAITING_PER_WORKER = 2
"""Clips that are held back, measured or not, before the test waits: what bounds its memory."""

IDLE_SECONDS = 300
"""After which a process ends, as joblib's do: what a killed test has left behind, or one whose next clip takes long."""


class ScoringPool:
    """Takes a test's clips one by one, and gives `scoring` their measurements in the same order.

    Args:
        scoring: whose protocol has the same judges as `job`.
        job: whose judges each process loads, before its first clip.
        workers: processes, one thread each.
    """

    def __init__(self, scoring: Scoring, job: ScoringJob, workers: int) -> None:
        self._scoring = scoring
        self._job = job.with_whole_paths()
        self._most = WAITING_PER_WORKER * workers
        # Not the standard library's, which would run a program's own script again in each process; and not joblib's
        # common one, which its Parallel could not use afterwards.
        self._processes: Any = ProcessPoolExecutor(
            max_workers=workers, timeout=IDLE_SECONDS, initializer=load_judges, initargs=(self._job,)
        )
        self._waiting: deque[tuple[str, Future[ClipMeasurement]]] = deque()

    def add(self, clip: TestClip) -> None:
        """Have a clip measured; waits where too many are on their way.

        Raises:
            InputError: a process was killed.
        """
        held = self._scoring.protocol.held
        part = None if held is None else held.for_speaker(clip.speaker)
        wanted = self._scoring.wants_strip(clip)
        with _killed_is_one_line():
            measuring = self._processes.submit(measure_clip_of, clip.on_cpu(), self._job, part, wanted)
        self._waiting.append((clip.emotion, measuring))
        while len(self._waiting) > self._most:
            self._take()

    def finish(self) -> None:
        """Wait for all clips, and end the processes.

        Raises:
            InputError: a process was killed.
        """
        while self._waiting:
            self._take()
        self._processes.shutdown()

    def stop(self) -> None:
        """End the processes, whatever they are at."""
        self._processes.shutdown(wait=True, kill_workers=True)

    def _take(self) -> None:
        emotion, measuring = self._waiting.popleft()
        with _killed_is_one_line():
            found = measuring.result()
        self._scoring.take(found, emotion)


@contextmanager
def _killed_is_one_line() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise InputError(
            "a process that measured clips was killed, for want of memory perhaps: try fewer workers in TestReport"
        ) from error
