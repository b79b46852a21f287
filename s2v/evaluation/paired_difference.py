"""One system minus another on the same clips: what clips have in common, easy or hard, falls out of the interval."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from s2v.evaluation.bootstrap import Estimate, Floats, mean_estimate
from s2v.evaluation.report_rows import estimate_json, finite_number

FIRST = "speech2video"
"""The system that others are taken from, where there is one of this name."""


@dataclass(frozen=True)
class ClipScores:
    """A system's rows of a report.

    Attributes:
        places: clip id -> its place among the N clips.
        speakers: (N,) of each clip; empty where unknown.
        values: metric -> (N,); nan where it could not be measured. Metrics without any value are left out.
    """

    places: dict[str, int]
    speakers: list[str]
    values: dict[str, Floats]


def clip_scores(clips: Any, system: str, metrics: Collection[str]) -> ClipScores:
    """The rows of one system among a report.json's `clips`; whatever is no row, and no number, is left out."""
    rows = {
        row["clip_id"]: row
        for row in (clips if isinstance(clips, list) else [])
        if isinstance(row, dict) and row.get("system") == system and isinstance(row.get("clip_id"), str)
    }
    columns = {
        metric: np.array([finite_number(row.get(metric)) for row in rows.values()], dtype=np.float64)
        for metric in metrics
    }
    return ClipScores(
        {clip_id: place for place, clip_id in enumerate(rows)},
        [speaker if isinstance(speaker := row.get("speaker"), str) else "" for row in rows.values()],
        {metric: values for metric, values in columns.items() if not np.isnan(values).all()},
    )


@dataclass(frozen=True)
class PairedDifferences:
    """A system minus each other one.

    Attributes:
        first: the system that others are taken from.
        minus: another system -> metric -> mean over the clips that both have, `n` of them, and its interval.
        clips: another system -> clips that it or `first` has a row of.
        better: metric -> where better lies, as `summary.CLIP_METRICS` says it.
    """

    first: str
    minus: dict[str, dict[str, Estimate]]
    clips: dict[str, int]
    better: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """The same in plain values; None where there is no number."""
        return {
            "system": self.first,
            "minus": {
                name: {metric: estimate_json(value) for metric, value in found.items()}
                | {"clips": self.clips[name]}
                for name, found in self.minus.items()
            },
        }


def paired_differences(
    systems: Mapping[str, ClipScores], first: str, better: Mapping[str, str], resamples: int, seed: int
) -> PairedDifferences:
    """`first` minus each other system; those that share no measured clip with it are left out.

    Args:
        systems: name -> its clips.
        first: one of them.
        better: metrics to compare, and where better lies.
        resamples: of the bootstrap over speakers, see `mean_estimate`.
        seed: likewise.
    """
    ours = systems[first]
    minus, clips = {}, {}
    for name, theirs in systems.items():
        shared = [clip_id for clip_id in ours.places if clip_id in theirs.places]
        here = [ours.places[clip_id] for clip_id in shared]
        there = [theirs.places[clip_id] for clip_id in shared]
        speakers = [ours.speakers[place] for place in here]
        found = {}
        for metric in better if name != first else ():
            if metric in ours.values and metric in theirs.values:
                differences = ours.values[metric][here] - theirs.values[metric][there]
                value = mean_estimate(differences.tolist(), speakers, resamples, seed)
                if value.n:
                    found[metric] = value
        if found:
            minus[name] = found
            clips[name] = len(ours.places.keys() | theirs.places.keys())
    return PairedDifferences(first, minus, clips, dict(better))


def first_system(names: Collection[str]) -> str:
    """The system of a table that others are taken from: speech2video, else its first one."""
    ours = [name for name in names if name.partition(",")[0] == FIRST]
    return FIRST if FIRST in ours else next(iter([*ours, *names]))
