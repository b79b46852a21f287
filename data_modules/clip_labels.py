"""What videos show, by a table that lies with them: `clips.csv`, which `s2v clips` writes and `s2v score` reads.

Columns: clip_id (path below the folder, without suffix), and any of speaker, emotion, sentence and gender.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

from data_modules.clip_manifest import ManifestRow
from data_modules.gender import GENDER_WORDS
from s2v.errors import InputError
from s2v.files.spreadsheet_cell import as_cell, from_cell
from s2v.files.whole_file import whole_file

CLIP_TABLE = "clips.csv"
LABELS = ("speaker", "emotion", "sentence", "gender")


def write_clip_labels(folder: Path, rows: Iterable[ManifestRow]) -> None:
    """Writes the folder's table, whole or not at all: what the manifest says of these clips, empty cells too."""
    with (
        whole_file(folder / CLIP_TABLE) as partial,
        partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(["clip_id", *LABELS])
        for row in rows:
            writer.writerow(as_cell(getattr(row, name)) for name in ("clip_id", *LABELS))


def read_clip_labels(folder: Path) -> dict[str, dict[str, str]]:
    """Clip id -> label -> what the folder's table says, of the labels it has a column for; empty without a table.

    Raises:
        InputError: the table can't be read, has no clip_id or no label or one of them twice; or a row has more or fewer
            cells than the first, no clip or one that was there, a word that is no gender, or a speaker's second gender.
    """
    path = folder / CLIP_TABLE
    if not path.is_file():
        return {}
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
            header, *rows = [[from_cell(cell) for cell in row] for row in csv.reader(stream)] or [[]]
    except (OSError, csv.Error) as error:
        raise InputError(
            f"{path}, which says what clips show, can't be read: {getattr(error, 'strerror', None) or error}"
        ) from error
    header = [name.strip() for name in header]
    known = [name for name in LABELS if name in header]
    if "clip_id" not in header or not known or any(header.count(name) > 1 for name in ("clip_id", *known)):
        raise InputError(
            f"{path}: clip_id and some of {', '.join(LABELS)} were expected in its first line, each once: mend it, or "
            "take the file away"
        )
    found: dict[str, dict[str, str]] = {}
    genders: dict[str, str] = {}
    for line, row in enumerate(rows, start=2):
        if not any(row):
            continue
        if len(row) != len(header):
            raise InputError(f"{path}, row {line}: {len(header)} cells were expected, {len(row)} came")
        said = dict(zip(header, row, strict=True))
        clip_id, labels = said["clip_id"], {name: said[name] for name in known}
        if not clip_id:
            raise InputError(f"{path}, row {line}: a clip_id was expected")
        if clip_id in found:
            raise InputError(f"{path}, row {line}: clip {clip_id!r} has a row already")
        if "gender" in labels:
            gender = GENDER_WORDS.get(labels["gender"].strip().lower())
            if gender is None:
                raise InputError(
                    f"{path}, row {line}: male, female or nothing was expected, {labels['gender']!r} came"
                )
            labels["gender"] = gender
            speaker = labels.get("speaker")
            if speaker and gender and genders.setdefault(speaker, gender) != gender:
                raise InputError(f"{path}, row {line}: speaker {speaker!r} has two genders")
        found[clip_id] = labels
    return found
