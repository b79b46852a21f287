"""A report's numbers in its files, and back; rows are written one by one: text of all took 7 KiB of memory a row."""

import csv
import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TextIO

from s2v.evaluation.bootstrap import Estimate
from s2v.evaluation.clip_rows import ClipRow
from s2v.evaluation.markdown_text import printable
from s2v.evaluation.summary import CLIP_METRICS
from s2v.files.spreadsheet_cell import as_cell

COLUMNS = (
    "clip_id",
    "speaker",
    "gender",
    "system",
    "scored",
    "reason",
    "adjusted",
    "emotion_true",
    "emotion_predicted",
    "emotion_reference",
)
"""What a row says beside its metrics."""
NAMED = 3
"""Reasons, and clips of each, that a terminal shows."""


def write_json(
    stream: TextIO, head: dict[str, Any], rows: Sequence[ClipRow], metrics: Collection[str] = CLIP_METRICS
) -> None:
    """Write {**head, "clips": rows}, indented by 1; raises ValueError for a NaN in `head`."""
    start, _, end = json.dumps(head | {"clips": []}, indent=1, allow_nan=False).rpartition("]")
    stream.write(start)
    separator = "\n  "
    for row in rows:
        text = json.dumps(_plain(row, metrics), indent=1, allow_nan=False)
        stream.write(separator + text.replace("\n", "\n  "))
        separator = ",\n  "
    stream.write(("\n ]" if rows else "]") + end + "\n")


def write_csv(stream: TextIO, rows: Sequence[ClipRow], metrics: Collection[str] = CLIP_METRICS) -> None:
    """Write a line a row below a line of names; empty cells where nothing could be measured."""
    writer = csv.DictWriter(stream, [*COLUMNS, *metrics], lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {
            key: "" if value is None else as_cell(value) if isinstance(value, str) else value
            for key, value in _plain(row, metrics).items()
        }
        for row in rows
    )


def finite(value: float) -> float | None:
    """None for what JSON has no number for."""
    return value if math.isfinite(value) else None


def finite_number(value: Any) -> float | None:
    """A number of a file that may hold anything; None for what is none, or not finite."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        return finite(float(value)) if is_number else None
    except OverflowError:  # an integer of more than 308 digits
        return None


def estimate_json(value: Estimate) -> dict[str, float | int | None]:
    """What report.json and Table 1's have of an estimate."""
    numbers = {key: finite(getattr(value, key)) for key in ("mean", "low", "high", "by_speaker")}
    return {**numbers, "n": value.n}


def estimate_cell(value: Estimate | Mapping[str, Any] | None, clips: int, sign: str = "") -> str:
    """0.645 [0.568, 0.676], and on how many clips where these are not all: a table's cell.

    Args:
        value: an estimate, or what `estimate_json` has of one; None where there is none.
        clips: all that there are.
        sign: "+" to write it before positive numbers too.
    """
    if isinstance(value, Estimate):
        value = estimate_json(value)
    if value is None or value["mean"] is None:
        return "-"
    text = f"{value['mean']:{sign}.3f}"
    if value["low"] is not None:
        text += f" [{value['low']:{sign}.3f}, {value['high']:{sign}.3f}]"
    return text if value["n"] == clips else f"{text} ({value['n']} of {clips})"


def _plain(row: ClipRow, metrics: Collection[str]) -> dict[str, Any]:
    values = {metric: finite(row.values.get(metric, math.nan)) for metric in metrics}
    return {name: getattr(row, name) for name in COLUMNS} | values


def reason_lines(rows: Iterable[ClipRow], system: str) -> list[str]:
    """Why a system's clips were not measured, or not in all: the commonest reasons, with some clips of each."""
    counts: Counter[str] = Counter()
    clips: dict[str, list[str]] = {}
    for row in rows:
        for reason in row.reasons if row.system == system else ():
            counts[reason] += 1
            named = clips.setdefault(reason, [])
            if len(named) < NAMED:
                named.append(row.clip_id)
    lines = [
        printable(
            f"  {count} of them: {reason} ({', '.join(clips[reason])}{', ...' if count > NAMED else ''})"
        )
        for reason, count in counts.most_common(NAMED)
    ]
    more = len(counts) - len(lines)
    return lines + ([f"  and {more} more reasons, in the report"] if more else [])
