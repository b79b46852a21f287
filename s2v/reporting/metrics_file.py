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
    """metrics.csv in `folder` itself, or one a version below csv/ or lightning_logs/, in the order of versions."""
    own = folder / "metrics.csv"
    found = [
        path for place in ("csv", "lightning_logs") for path in folder.glob(f"{place}/version_*/metrics.csv")
    ]
    return [own] if own.is_file() else sorted(found, key=_version)


def read_metrics(files: list[Path]) -> dict[str, Series]:
    """Metric -> its values, over all versions of a run.

    A version that begins at a step which an earlier one had passed went on from a checkpoint before it, or began
    anew: what the earlier one says of that step and later ones is replaced, metric by metric. `s2v validate` trains
    nothing and logs what it finds as step 0: that replaces nothing.

    Raises:
        InputError: no such table.
    """
    merged: dict[str, Series] = {}
    for path in files:
        found = _read_version(path)
        trained = any(metric.startswith("train/") for metric in found)
        for metric, series in found.items():
            if metric in merged and not trained and series[-1][0] == 0:
                continue
            earlier = [point for point in merged.get(metric, []) if point[0] < series[0][0]]
            merged[metric] = earlier + series
    return merged


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
