"""Paired differences as text: a small table in Markdown, and all of them as CSV."""

import math
from collections.abc import Collection

from s2v.evaluation.markdown_text import table_lines
from s2v.evaluation.paired_difference import PairedDifferences
from s2v.evaluation.report_rows import estimate_cell, finite
from s2v.files.spreadsheet_cell import csv_text

SIGNS = {"up": "above 0", "down": "below 0"}
"""Which differences speak for the first system, for metrics whose sign says so; one that is best at 1 or 0 does not."""


def paired_markdown(paired: PairedDifferences, metrics: Collection[str]) -> list[str]:
    """A section with a row a metric of `metrics`, a column another system; nothing where there is no difference."""
    rows = [
        [
            metric,
            SIGNS.get(paired.better[metric], "-"),
            *(
                estimate_cell(found.get(metric), paired.clips[name], "+")
                for name, found in paired.minus.items()
            ),
        ]
        for metric in metrics
        if any(metric in found for found in paired.minus.values())
    ]
    if not rows:
        return []
    header = ["metric", f"{paired.first} better", *(f"minus **{name}**" for name in paired.minus)]
    shown = (found[metric] for found in paired.minus.values() for metric in metrics if metric in found)
    interval = any(math.isfinite(value.low) for value in shown)
    return [
        "## Paired differences",
        "",
        f"{paired.first} minus each other system on the same clips: mean"
        + (" with 95 % bootstrap interval, resampled by speaker" if interval else ", without intervals")
        + '; "-": best at 1, 0 or as in real clips, where the sign says nothing.',
        "",
        *table_lines(header, rows),
    ]


def paired_csv(paired: PairedDifferences) -> str:
    """A row another system and metric; `pairs`: clips on which both were measured, of the `clips` of either."""
    rows = [
        [
            paired.first,
            name,
            metric,
            SIGNS.get(paired.better[metric], ""),
            *map(finite, (value.mean, value.low, value.high)),
            value.n,
            paired.clips[name],
        ]
        for name, found in paired.minus.items()
        for metric, value in found.items()
    ]
    return csv_text([["system", "minus", "metric", "better", "mean", "low", "high", "pairs", "clips"], *rows])
