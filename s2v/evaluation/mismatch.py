"""SDFA(mismatch): whose frame each clip is animated from, a fixed list (paper, section 3 and Table 1)."""

import csv
import hashlib
from collections.abc import Mapping
from pathlib import Path

from s2v.errors import InputError
from s2v.files.spreadsheet_cell import as_cell, csv_text, from_cell
from s2v.files.whole_file import write_whole_file

COLUMNS = ("clip_id", "still_of")


def mismatched_clips(speakers: Mapping[str, str]) -> dict[str, str]:
    """For each clip, one of another speaker: a function of the clips' names alone, not of their order.

    The hash of the clip's name chooses first the other speaker, then one of that speaker's clips: every run and machine
    draws the same, all other speakers are equally likely, and a clip takes one hash, however many there are.

    Args:
        speakers: clip id -> speaker.

    Raises:
        InputError: there is one speaker only, or a clip has none.
    """
    _check_known(speakers)
    clips_of: dict[str, list[str]] = {}
    for clip, speaker in sorted(speakers.items()):
        clips_of.setdefault(speaker, []).append(clip)
    names = sorted(clips_of)
    if len(names) < 2:
        raise InputError(
            "SDFA(mismatch) takes another speaker's frame, but the test split has one speaker only"
        )
    places = {name: place for place, name in enumerate(names)}

    def drawn(clip: str, speaker: str) -> str:
        digest = hashlib.sha256(clip.encode("utf-8", "surrogateescape")).hexdigest()
        rest, place = divmod(int(digest, 16), len(names) - 1)
        others = clips_of[names[place + (place >= places[speaker])]]  # the own speaker is skipped
        return others[rest % len(others)]

    return {clip: drawn(clip, speaker) for clip, speaker in sorted(speakers.items())}


def write_mismatch(path: Path, chosen: Mapping[str, str]) -> None:
    """The list as CSV, `clip_id,still_of`, sorted."""
    text = csv_text([COLUMNS, *(map(as_cell, pair) for pair in sorted(chosen.items()))])
    write_whole_file(path, text.encode("utf-8", "surrogateescape"))


def read_mismatch(path: Path, speakers: Mapping[str, str]) -> dict[str, str]:
    """A list that `write_mismatch` wrote, for the clips at hand.

    Args:
        path: the file.
        speakers: clip id -> speaker, of all clips of the test split.

    Raises:
        InputError: it is no such list, or lacks a clip, or pairs a clip with its own speaker, or a clip has none.
    """
    _check_known(speakers)
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = csv.DictReader(file, restval="")
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise InputError(
                f"{path} is no list of mismatched stills: expected the columns {', '.join(COLUMNS)}"
            )
        chosen = {from_cell(row["clip_id"]): from_cell(row["still_of"]) for row in rows}
    for clip, speaker in speakers.items():
        other = chosen.get(clip)
        if other is None or speakers.get(other, speaker) == speaker:
            raise InputError(
                f"{path} gives clip {clip} the still of {other or 'none'}, which is no clip of another speaker in "
                "this test split: delete the file and a list for this split is written"
            )
    return {clip: chosen[clip] for clip in speakers}


def _check_known(speakers: Mapping[str, str]) -> None:
    """Nobody can say that a clip without a speaker is of ANOTHER speaker than any other clip."""
    unknown = sorted(clip for clip, speaker in speakers.items() if not speaker)
    if unknown:
        raise InputError(
            f"SDFA(mismatch) takes another speaker's frame, but {len(unknown)} of {len(speakers)} clips of the test "
            f"split have no speaker, the first is {unknown[0]!r}: give each person a subfolder and run `s2v prepare` "
            "again, or name the speakers to test on in data.init_args.speakers"
        )
