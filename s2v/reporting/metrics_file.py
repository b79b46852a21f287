"""A run's metrics over its steps, from CSVLogger's files."""

import csv
import math
import re
from pathlib import Path

from s2v.errors import InputError

Series = list[tuple[int, float]]
"""(step, value), steps rising."""

MOST_BYTES = 256 * 2**20


def find_metrics_files(folder: Path) -> list[Path]:
    """One a version below csv/ or lightning_logs/, in the order of versions, or else metrics.csv in `folder` itself."""
    own = folder / "metrics.csv"
    found = [
        path for place in ("csv", "lightning_logs") for path in folder.glob(f"{place}/version_*/metrics.csv")
    ]
    return sorted(found, key=_version) or ([own] if own.is_file() else [])


def read_metrics(files: list[Path]) -> dict[str, Series]:
    """Metric -> its values, over all versions of a run.

    A version that trained from a step on which an earlier one had passed went on from a checkpoint before it: what the
    earlier one says of later steps is not of this run, and of that step it is replaced metric by metric. One that
    began anew replaces all. `s2v validate` trains nothing, and what it finds replaces nothing. Of `s2v test` the newest
    results count.

    Raises:
        InputError: no such table.
    """
    merged: dict[str, Series] = {}
    for path in files:
        found = _read_version(path)
        begun = _last_step_before(found)
        if begun is not None:
            kept = {
                metric: [point for point in series if point[0] <= begun] for metric, series in merged.items()
            }
            merged = {metric: series for metric, series in kept.items() if series}
        for metric, series in found.items():
            if metric.startswith("test/"):
                merged[metric] = series
                continue
            if begun is None and metric in merged and series[-1][0] <= merged[metric][-1][0]:
                continue
            earlier = [point for point in merged.get(metric, []) if point[0] < series[0][0]]
            merged[metric] = earlier + series
    return merged


def last_entry(files: list[Path], metric: str) -> str:
    """What the newest row with `metric` says of it, nan and inf too, as it is written; empty where none has it."""
    for path in reversed(files):
        with open(path, encoding="utf-8", errors="replace", newline="") as file:
            said = [text for row in csv.DictReader(file) if (text := row.get(metric))]
        if said:
            return said[-1]
    return ""


def _last_step_before(found: dict[str, Series]) -> int | None:
    """Up to which step earlier versions count beside one that trained; None: it trained nothing.

    A fit that goes on from a checkpoint first logs that checkpoint's step again, or a later one: earlier versions count
    up to there. A fit that began anew (-1) has the first row of training, and that of validation, at a step that is
    smaller than the distance to the second row.
    """
    trained = [series for metric, series in found.items() if metric.startswith("train/")]
    steps = sorted({step for series in trained for step, _ in series})
    if not steps:
        return None
    validated = sorted(
        {step for name, series in found.items() if name.startswith("val/") for step, _ in series}
    )
    went_on = len(validated) > 1 and validated[0] >= validated[1] - validated[0]
    return -1 if not went_on and len(steps) > 1 and steps[0] < steps[1] - steps[0] else steps[0]


def _read_version(path: Path) -> dict[str, Series]:
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path}: larger than {MOST_BYTES >> 20} MB, not what CSVLogger writes")
    found: dict[str, dict[int, float]] = {}
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        rows = csv.DictReader(file)
        try:
            if "step" not in (rows.fieldnames or []):
                raise InputError(f"{path}: no column `step`, expected what CSVLogger writes")
            for row in rows:
                step = _number(row["step"])
                if step is None:
                    continue
                for metric, text in row.items():
                    value = _number(text)
                    if value is not None and metric not in ("step", "epoch") and isinstance(metric, str):
                        found.setdefault(metric, {})[int(step)] = value
        except csv.Error as error:
            raise InputError(f"{path}: no CSV ({error})") from error
    return {metric: sorted(values.items()) for metric, values in found.items()}


def _number(text: object) -> float | None:
    """A finite number; None for an empty cell, and for nan and inf, which no chart shows."""
    try:
        value = float(text) if isinstance(text, str) else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) < 1e300 else None


def _version(path: Path) -> tuple[str, int]:
    match = re.fullmatch(r"version_(\d{1,9})", path.parent.name)
    return path.parent.parent.name, int(match[1]) if match else -1
