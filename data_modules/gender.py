"""Speakers' genders, where a table that comes with the corpus says them.

CREMA-D    `VideoDemographics.csv`: ActorID,Age,Sex,Race,Ethnicity; Male or Female
VoxCeleb2  `vox2_meta.csv`: VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set; m or f; commas or tabs, with spaces around them
folder     `speakers.csv`: speaker, gender and whatever else (it may be the table of consent too)
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from data_modules.composed_name import composed
from s2v.errors import InputError

GENDER_WORDS = {"female": "female", "f": "female", "male": "male", "m": "male", "": ""}
"""What tables say, in lower case -> what it means."""


@dataclass(frozen=True)
class GenderTable:
    """A file of a corpus, and the columns to read."""

    name: str
    speaker: str
    gender: str
    beside: bool = False
    """Also looked for beside the folder: that may be VoxCeleb2's dev/ or test/, or CREMA-D's VideoFlash/."""
    other_columns: bool = False
    """Others' files may have this name: one without the gender's column says nothing, and is no fault."""


GENDER_TABLES = {
    "crema_d": GenderTable("VideoDemographics.csv", "ActorID", "Sex", beside=True),
    "voxceleb2": GenderTable("vox2_meta.csv", "VoxCeleb2 ID", "Gender", beside=True),
    "folder": GenderTable("speakers.csv", "speaker", "gender", other_columns=True),
}
"""Layout -> its table; one that is not this package's has a folder's."""


def find_genders(root: Path, layouts: Iterable[str] = tuple(GENDER_TABLES)) -> dict[str, str]:
    """Speaker -> female or male, from the first of these layouts' tables that is there; empty where none is.

    Speakers of whom a table says nothing are left out.

    Raises:
        InputError: see `read_genders`.
    """
    for table in (GENDER_TABLES.get(layout, GENDER_TABLES["folder"]) for layout in layouts):
        for folder in (root, root.parent) if table.beside else (root,):
            if (folder / table.name).is_file():
                return read_genders(folder / table.name, table)
    return {}


def read_genders(path: Path, table: GenderTable) -> dict[str, str]:
    """Speaker, `composed`, -> female or male.

    Raises:
        InputError: the file can't be read, lacks a column or a cell, says something else than a gender, or says two
            of one speaker.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            head = stream.readline()
            separator = "\t" if "\t" in head and "," not in head else ","
            columns = [name.strip().lower() for name in next(csv.reader([head], delimiter=separator), [])]
            rows = [
                (line, [cell.strip() for cell in row])
                for line, row in enumerate(csv.reader(stream, delimiter=separator), start=2)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path}, which says the speakers' gender, can't be read: "
            f"{getattr(error, 'strerror', None) or error}; mend it or take it away"
        ) from error
    if table.other_columns and table.gender.lower() not in columns:
        return {}
    wanted = [name.lower() for name in (table.speaker, table.gender)]
    if missing := [name for name in (table.speaker, table.gender) if name.lower() not in columns]:
        raise InputError(
            f"{path} has no column {' and no column '.join(missing)}, for the speakers' gender: mend it or take it away"
        )
    places = [columns.index(name) for name in wanted]
    genders: dict[str, str] = {}
    for line, row in rows:
        if not any(row):
            continue
        if len(row) <= max(places):
            raise InputError(f"{path}, row {line} is cut short: mend the file or take it away")
        speaker, said = (row[place] for place in places)
        gender = GENDER_WORDS.get(said.lower())
        if gender is None:
            raise InputError(f"{path}, row {line}: male, female or nothing was expected, {said!r} came")
        # clips without a speaker are of many people: a row without a name says nothing of them
        if speaker and gender and genders.setdefault(composed(speaker), gender) != gender:
            raise InputError(f"{path}, row {line}: speaker {speaker!r} has two genders")
    return genders
