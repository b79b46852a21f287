"""What preparations have finished, clip by clip, in a form that a kill at any moment leaves whole.

Each worker appends one JSON line per finished clip to a journal of its own in `records/`, so writers need no
lock; a line cut short by a kill is left out when read. The newest line about a clip counts.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

from data_modules.layouts import FoundClip

RECORDS_FOLDER = "records"
Record = dict[str, Any]
Sources = list[list[int] | None]


def record_of(
    row: dict[str, Any],
    clip: FoundClip,
    root: Path,
    cache_dir: Path,
    settings: str,
    *,
    again: bool = False,
    time_limit: float = 0.0,
    sources: Sources | None = None,
) -> Record:
    """A finished clip: its row, and what must stay the same for the row to stay true.

    again: a next run tries the clip anew (the fault may not have been the clip's); time_limit: the seconds a
    clip that was given up had, so that a longer limit tries again; sources: as they were before they were read, so
    that one that was replaced meanwhile is read again.
    """
    cached = _stamp(cache_dir / row["cache_file"]) if row["cache_file"] else None
    return {
        "row": row,
        "sources": sources_of(clip, root) if sources is None else sources,
        "cached": cached,
        "settings": settings,
        "again": again,
        "time_limit": time_limit,
        "time": time.time(),
    }


def still_true(
    record: Record, clip: FoundClip, root: Path, cache_dir: Path, settings: str, time_limit: float
) -> bool:
    """Whether a clip can be skipped: same files, labels and settings, the cache file as it was written."""
    row = record["row"]
    if record["settings"] != settings or record["again"] or 0 < record["time_limit"] < time_limit:
        return False
    labels = (clip.video, clip.speaker, clip.emotion, clip.sentence, clip.official_split)
    if labels != (row["source"], row["speaker"], row["emotion"], row["sentence"], row["official_split"]):
        return False
    if record["sources"] != sources_of(clip, root):
        return False
    return is_as_written(record, cache_dir)


def is_as_written(record: Record, cache_dir: Path) -> bool:
    """Whether a clip's cache file, if it has one, has the size and the time of last change that it was left with."""
    file = record["row"]["cache_file"]
    return not file or record["cached"] == _stamp(cache_dir / file)


def thrown_away(record: Record | None, cache_dir: Path, settings: str) -> bool:
    """Whether there is a usable clip that was made with other settings than these.

    By its cache file's size alone: a cache that was copied has another time of last change.
    """
    if record is None or record["row"]["status"] != "ok" or record["settings"] == settings:
        return False
    now = _stamp(cache_dir / record["row"]["cache_file"])
    return now is not None and record["cached"] is not None and now[0] == record["cached"][0]


def append_record(journal: Path, record: Record) -> None:
    journal.parent.mkdir(parents=True, exist_ok=True)
    with open(journal, "ab") as stream:
        stream.write(json.dumps(record).encode() + b"\n")


def read_records(cache_dir: Path) -> dict[str, Record]:
    """The newest record of every clip, by clip id; one that is to be tried again stands behind all others.

    It says nothing against what another run, or an earlier one, has finished: its worker may have been killed.
    """
    newest: dict[str, Record] = {}
    for journal in sorted((cache_dir / RECORDS_FOLDER).glob("*.jsonl")):
        with open(journal, "rb") as stream:
            for line in stream:
                try:
                    record = json.loads(line)
                    clip_id, rank = record["row"]["clip_id"], _rank(record)
                except (ValueError, KeyError, TypeError):
                    continue
                if clip_id not in newest or _rank(newest[clip_id]) <= rank:
                    newest[clip_id] = record
    return newest


def _rank(record: Record) -> tuple[bool, float]:
    return not record["again"], record["time"]


def sources_of(clip: FoundClip, root: Path) -> Sources:
    """Size and time of last change of a clip's files."""
    return [_stamp(root / clip.video), _stamp(root / clip.speech) if clip.speech else None]


def _stamp(path: Path) -> list[int] | None:
    """Size and time of last change."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]
