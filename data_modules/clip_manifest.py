"""The clip manifest: `manifest.csv` in a cache folder, one row for EVERY clip that was found."""

import csv
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path

from s2v.errors import InputError

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

    @property
    def ok(self) -> bool:
        return self.status == "ok"


_COLUMNS = [field.name for field in fields(ManifestRow)]


def write_manifest(path: Path, rows: Iterable[ManifestRow]) -> None:
    """Writes rows sorted by clip id, atomically: readers see the old file or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".manifest-", suffix=".csv")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(_COLUMNS)
            writer.writerows(map(attrgetter(*_COLUMNS), sorted(rows, key=attrgetter("clip_id"))))
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_manifest(path: Path) -> list[ManifestRow]:
    """All rows of a manifest, ok and refused (10,000 take some 0.05 s).

    Raises:
        InputError: the file is missing, or is not a manifest.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            reader = csv.reader(stream)
            header = next(reader, [])
            missing = [name for name in _COLUMNS if name not in header]
            if missing:
                raise InputError(
                    f"{path} is not a clip manifest: columns {', '.join(missing)} are missing; "
                    "make it again with `s2v prepare`"
                )
            order = [header.index(name) for name in _COLUMNS]
            numbers = {
                _COLUMNS.index("duration"): float,
                _COLUMNS.index("frames"): int,
                _COLUMNS.index("fps"): float,
                _COLUMNS.index("source_fps"): float,
            }
            rows = []
            for line, record in enumerate(reader, start=2):
                try:
                    values: list = [record[column] for column in order]
                    for position, number in numbers.items():
                        values[position] = number(values[position])
                except (IndexError, ValueError) as error:
                    raise InputError(
                        f"{path}, row {line} cannot be read ({error}); "
                        "make the manifest again with `s2v prepare`"
                    ) from error
                rows.append(ManifestRow(*values))
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
