"""One clip's place in a parallel preparation: asked of a child process, given up after its time limit."""

import json
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data_modules.clip_refused import refused_row
from data_modules.layouts import FoundClip
from data_modules.preparation_records import RECORDS_FOLDER, append_record, record_of
from data_modules.preparation_settings import PreparationSettings
from data_modules.timed_worker import TimedWorker, WorkerDied, WorkerTimeout


@dataclass(frozen=True)
class PreparationJob:
    """What a worker needs beside the clip; plain values, so that it travels to other machines."""

    run: str
    """Name of the run: its children are closed together."""
    root: str
    cache_dir: str
    settings: dict[str, Any]
    time_limit: float


_children: dict[str, dict[int, TimedWorker]] = {}
"""Run -> thread -> its child process. (In a joblib worker process, of that process alone.)"""
_closed: set[str] = set()
_lock = threading.Lock()


def prepare_in_child(clip: FoundClip, job: PreparationJob) -> dict[str, Any]:
    """Runs in a joblib worker (a thread here, a process elsewhere), each with a child of its own.

    Returns {record}; {fatal} where the cache cannot be written; {} where the run is being stopped.
    """
    child = _child_of_this_thread(job)
    if child is None:
        return {}
    request = {"clip": asdict(clip), "root": job.root, "cache_dir": job.cache_dir, "settings": job.settings}
    try:
        return child.ask(request, job.time_limit)
    except WorkerTimeout as timeout:
        reason, again = f"no answer from the decoder within {timeout.seconds:.3g} s (--time-limit)", False
    except WorkerDied as death:
        if job.run in _closed:
            return {}
        reason, again = f"decoder failed: its process {death}", True
    row = refused_row(clip, reason)
    cache_dir, key = Path(job.cache_dir), PreparationSettings(**job.settings).key()
    record = record_of(
        asdict(row), clip, Path(job.root), cache_dir, key, again=again, time_limit=job.time_limit
    )
    journal = f"given-up-{job.run}-{threading.get_ident()}-{time.time_ns()}.jsonl"
    try:
        append_record(cache_dir / RECORDS_FOLDER / journal, record)
    except OSError as error:
        return {"fatal": error.strerror or str(error)}
    return {"record": record}


def close_children(run: str) -> None:
    """Ends the run's children and lets no new ones start; requests under way end with nothing."""
    with _lock:
        _closed.add(run)
        children = list(_children.pop(run, {}).values())
    for child in children:  # all at once, so that their times to end are one
        child.terminate()
    for child in children:
        child.close()


def _child_of_this_thread(job: PreparationJob) -> TimedWorker | None:
    with _lock:
        if job.run in _closed:
            return None
        children = _children.setdefault(job.run, {})
        thread = threading.get_ident()
        if thread not in children:
            journals = json.dumps(str(Path(job.cache_dir) / RECORDS_FOLDER))
            children[thread] = TimedWorker("data_modules.preparation_worker", journals)
        return children[thread]
