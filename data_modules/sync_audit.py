"""How far sound and lips of prepared clips are apart, into the manifest: the data's own faults, found before training.

What was found is kept as a newer record of the clip (`preparation_records`), so that a later run need not look again
and preparing again does not lose it. A clip that was made anew is looked at anew.
"""

import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data_modules.clip_cache import read_clip
from data_modules.clip_manifest import MANIFEST_NAME, ManifestRow, read_manifest, write_manifest
from data_modules.preparation_records import RECORDS_FOLDER, append_record, read_records
from s2v.errors import InputError

AUDIT_FPS = 25
"""SyncNet knows no other rate."""

Score = Callable[[np.ndarray, np.ndarray], tuple[float, float]]
"""Frames (T, 3, H, W) uint8 and speech (N,) int16 to offset (frames) and confidence; InputError where it can't."""


@dataclass(frozen=True)
class AuditSummary:
    audited: int
    """Clips with an offset, from now or from before."""
    flagged: int
    """Clips with a `sync_flag`: beyond the threshold, or without an offset."""


def audit_sync(
    cache: Path,
    score: Score,
    syncnet_sha256: str,
    max_offset: int = 3,
    watch: Callable[[list[ManifestRow]], Iterable[ManifestRow]] = iter,
) -> AuditSummary:
    """Offset and confidence of every ok clip of `cache`'s manifest; clips beyond `max_offset` frames are flagged.

    Args:
        cache: folder that `prepare` has written.
        score: what measures a clip.
        syncnet_sha256: which network that is, and after it how clips are scored where that is not as publicly
            evaluated: offsets that another one found, or in another way, are measured again.
        max_offset: largest offset either way that is not flagged, frames.
        watch: passes the rows on, say to a progress bar.

    Raises:
        InputError: no manifest, or clips of another rate than 25 fps, or the cache cannot be written.
    """
    rows = {row.clip_id: row for row in read_manifest(cache / MANIFEST_NAME)}
    usable = [row for row in rows.values() if row.ok]
    if others := sorted({row.fps for row in usable} - {AUDIT_FPS}):
        raise InputError(
            f"the sync audit needs clips of {AUDIT_FPS} fps, but {cache} has clips of {others[0]:g}"
        )
    records = read_records(cache)
    journal = cache / RECORDS_FOLDER / f"sync-audit-{uuid.uuid4().hex}.jsonl"
    try:
        try:
            for row in watch(usable):
                record = records.get(row.clip_id)
                if record is None:
                    continue
                found = dict(record["row"])
                if record.get("syncnet") != syncnet_sha256:
                    found |= _measured(cache / row.cache_file, score)
                if found["sync_offset"] is not None:
                    found["sync_flag"] = _flag(found["sync_offset"], max_offset)
                if found != record["row"] or record.get("syncnet") != syncnet_sha256:
                    newer = {"row": found, "syncnet": syncnet_sha256, "time": time.time()}
                    append_record(journal, record | newer)
                rows[row.clip_id] = ManifestRow(**found)
        finally:
            # an audit takes hours: what a preparation has written since stays, and who agreed
            newest = read_manifest(cache / MANIFEST_NAME)
            write_manifest(cache / MANIFEST_NAME, [_with_sync(row, rows.get(row.clip_id)) for row in newest])
    except OSError as error:
        raise InputError(f"the sync audit cannot be written to {cache}: {error.strerror}") from error
    audited = [row for row in rows.values() if row.sync_offset is not None]
    return AuditSummary(len(audited), sum(row.sync_flag != "" for row in rows.values()))


def _with_sync(row: ManifestRow, audited: ManifestRow | None) -> ManifestRow:
    """A clip's row with what the audit found of it; as it is where it has become another since."""
    if audited is None or not row.ok or row.sha256 != audited.sha256:
        return row
    return replace(
        row,
        sync_offset=audited.sync_offset,
        sync_confidence=audited.sync_confidence,
        sync_flag=audited.sync_flag,
    )


def _measured(clip: Path, score: Score) -> dict[str, float | str | None]:
    try:
        offset, confidence = score(*read_clip(clip))
    except InputError as error:
        return {"sync_offset": None, "sync_confidence": None, "sync_flag": f"not audited: {error}"}
    return {"sync_offset": offset, "sync_confidence": round(confidence, 4), "sync_flag": ""}


def _flag(offset: float, max_offset: int) -> str:
    if abs(offset) <= max_offset:
        return ""
    return f"speech comes {abs(offset):g} frames {'late' if offset < 0 else 'early'}"
