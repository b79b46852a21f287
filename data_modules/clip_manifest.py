"""The clip manifest: `manifest.csv` in a cache folder, one row for EVERY clip that was found."""

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path

from s2v.errors import InputError
from s2v.files.spreadsheet_cell import as_cell, from_cell
from s2v.files.whole_file import whole_file

MANIFEST_NAME = "manifest.csv"


@dataclass(frozen=True)
class ManifestRow:
    """One clip: what it is, and whether it can be used (`status` ok) or why not (`reason`)."""

    clip_id: str
    status: str
    """"ok" or "refused"."""
    reason: str = ""
    """Why the clip was refused; empty for ok."""
    source: str = ""
    """Path of the source video relative to the corpus root."""
    cache_file: str = ""
    """Path of the safetensors file relative to the cache folder; empty for refused."""
    duration: float = 0.0
    """Seconds cached: frames / fps."""
    frames: int = 0
    fps: float = 0.0
    source_fps: float = 0.0
    """Average rate of the source: frames / seconds."""
    speaker: str = ""
    emotion: str = ""
    sentence: str = ""
    official_split: str = ""
    """Set the corpus' authors put the clip in (VoxCeleb2: dev, test); empty where they say nothing."""
    sha256: str = ""
    """Hash of the source (the video's bytes, then the separate speech file's, where there is one)."""
    sync_offset: float | None = None
    """Frames by which SyncNet finds sound and lips apart, negative where speech comes late; None: not audited."""
    sync_confidence: float | None = None
    sync_flag: str = ""
    """What the audit found amiss; the clip stays ok. Empty: nothing, or not audited."""
    consent: str = ""
    """yes or no: whether the speaker agreed to a face being made of them; empty: nobody was asked."""
    gender: str = ""
    """female or male, by the corpus' own table (`data_modules.gender`); empty where it does not say."""
    recording: str = ""
    """The video the clip was cut from, the same for all clips of it; empty where the layout does not say."""

    @property
    def ok(self) -> bool:
        return self.status == "ok"


_COLUMNS = [field.name for field in fields(ManifestRow)]
_LATER = ("sync_offset", "sync_confidence", "sync_flag", "consent", "gender", "recording")
"""Columns that older manifests do not have."""


def write_manifest(path: Path, rows: Iterable[ManifestRow]) -> None:
    """Writes rows sorted by clip id, atomically: readers see the old file or the new one, whole.

    Texts come from file names, so those that a spreadsheet would run are written as `as_cell` has them.
    """
    with (
        whole_file(path) as partial,
        partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(_COLUMNS)
        for row in sorted(rows, key=attrgetter("clip_id")):
            values = [getattr(row, name) for name in _COLUMNS]
            writer.writerow([as_cell(value) if isinstance(value, str) else value for value in values])


def read_manifest(path: Path) -> list[ManifestRow]:
    """All rows of a manifest, ok and refused (10,000 take some 0.05 s).

    Raises:
        InputError: the file is missing, or is not a manifest.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            reader = csv.reader(stream)
            header = next(reader, [])
            columns = [name for name in _COLUMNS if name in header or name not in _LATER]
            missing = [name for name in columns if name not in header]
            if missing:
                raise InputError(
                    f"{path} is not a clip manifest: columns {', '.join(missing)} are missing; "
                    "make it again with `s2v prepare`"
                )
            order = [header.index(name) for name in columns]
            numbers: dict[int, Callable[[str], float | None]] = {
                columns.index("duration"): float,
                columns.index("frames"): int,
                columns.index("fps"): float,
                columns.index("source_fps"): float,
            }
            numbers |= {columns.index(name): _measured for name in _LATER[:2] if name in columns}
            rows = []
            for line, record in enumerate(reader, start=2):
                try:
                    values: list = [from_cell(record[column]) for column in order]
                    for position, number in numbers.items():
                        values[position] = number(values[position])
                except (IndexError, ValueError) as error:
                    raise InputError(
                        f"{path}, row {line} cannot be read ({error}); "
                        "make the manifest again with `s2v prepare`"
                    ) from error
                rows.append(ManifestRow(**dict(zip(columns, values, strict=True))))
    except FileNotFoundError as error:
        raise InputError(
            f"no clip manifest at {path}; make it with "
            f"`s2v prepare --root CORPUS --layout LAYOUT --cache {path.parent}`"
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path} is not a clip manifest ({error}); make it again with `s2v prepare`"
        ) from error
    return rows


def _measured(text: str) -> float | None:
    return float(text) if text else None
