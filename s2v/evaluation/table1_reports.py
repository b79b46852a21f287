"""Reports of several systems put together for Table 1; what was not tested alike is refused."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from s2v.errors import InputError
from s2v.evaluation.clip_rows import CALIBRATION
from s2v.evaluation.definitions import is_without_padding
from s2v.evaluation.paired_difference import (
    ClipScores,
    PairedDifferences,
    clip_scores,
    first_system,
    paired_differences,
)
from s2v.evaluation.summary import CLIP_METRICS, own_metrics
from s2v.evaluation.table1 import SMALL, Table1
from s2v.metrics.regional_quality import METRICS as PIXEL_METRICS

SHARED = ("clip_list_sha256", "dataset", "split", "crop")
"""What must be the same in all reports of a table, as the judges must."""

BOOTSTRAP = {"bootstrap_resamples": 1000, "seed": 0}
"""Keys of a report's meta, and what reports of older versions had."""

AT_OWN_SIZE = {
    *(name for name in PIXEL_METRICS if not name.endswith(SMALL)),
    "lpips",
    "sharpness",
    "motion",
}
"""What compares pixels as they are: for systems of one size only."""


def read_table(reports: dict[str, Path], dataset: str | None) -> Table1:
    """Put reports together.

    Args:
        reports: name of a system -> its report.json. What follows a comma in a name tells two of one system apart:
            "speech2video, CPC alone".
        dataset: see `Table1`.

    Raises:
        InputError: a report is of another system, other clips or judges than the first; or of another size, and
            there is one without metrics at 128 x 96.
    """
    systems: dict[str, dict[str, Any]] = {}
    calibration: dict[str, dict[str, Any]] = {}
    meta: dict[str, dict[str, Any]] = {}
    clips: dict[str, ClipScores] = {}
    for name, path in reports.items():
        content = json.loads(path.read_text(encoding="utf-8"))
        system = name.partition(",")[0]
        if system not in content["systems"]:
            tested = ", ".join(n for n in content["systems"] if n not in CALIBRATION)
            raise InputError(
                f"{path} is the report of {tested}, expected {system}: is it another's checkpoint?"
            )
        systems[name], meta[name] = content["systems"][system], content["meta"]
        metrics = (*CLIP_METRICS, *own_metrics(meta[name]))
        clips[name] = clip_scores(content.get("clips"), system, metrics)
        calibration = calibration or {n: v for n, v in content["systems"].items() if n in CALIBRATION}
        _check_alike(name, meta)
    first = next(iter(meta))
    sizes = {name: found.get("image_size") for name, found in meta.items()}
    other = next((name for name in sizes if sizes[name] != sizes[first]), None)
    if other is None:
        return Table1(dataset, systems | calibration, meta, paired=_paired(clips, meta, ()))
    _check_small_sizes(systems, meta, other)
    own = meta[first].get("own_metrics") or {}
    at_own_size = AT_OWN_SIZE | {metric for metric, about in own.items() if about["same_shape"]}
    alike = {
        name: {metric: value for metric, value in values.items() if metric not in at_own_size}
        for name, values in (systems | calibration).items()
    }
    return Table1(dataset, alike, meta, sizes_differ=True, paired=_paired(clips, meta, at_own_size))


def _check_alike(name: str, meta: dict[str, dict[str, Any]]) -> None:
    """Whether a system was tested and judged as the first one was."""
    first = next(iter(meta))
    one, other = meta[name], meta[first]
    for key in SHARED:
        if one.get(key) != other.get(key):
            raise _not_alike(name, first, key, meta, "give both the same data settings")
    if _judges(one) != _judges(other):
        raise InputError(
            f"{name} and {first} were judged by other networks: give both the same report config"
        )
    if _without_padding(one) != _without_padding(other):
        older, newer = (first, name) if _without_padding(one) else (name, first)
        raise InputError(
            f"lips of {older} were compared with zeros beyond a clip's ends, those of {newer} were not: test "
            f"{older} again, its report is an older version's"
        )
    if (one.get("own_metrics") or {}) != (other.get("own_metrics") or {}):
        raise InputError(
            f"{name} and {first} have other metrics of one's own: give both the same report config"
        )


def _check_small_sizes(
    systems: dict[str, dict[str, Any]], meta: dict[str, dict[str, Any]], other: str
) -> None:
    """Whether all have what pictures of unlike sizes are compared by; `other` is a system of another size."""
    for name, values in systems.items():
        if any(values.get(f"{metric}{SMALL}") is None for metric in ("ssim", "psnr")):
            mend = (
                f"give both the same data settings, or test {name} again: its report has nothing at 128 x 96"
            )
            raise _not_alike(other, next(iter(meta)), "image_size", meta, mend)


def _paired(
    clips: dict[str, ClipScores], meta: dict[str, dict[str, Any]], without: Collection[str]
) -> PairedDifferences | None:
    """By the reports' own bootstrap; None where no two systems were measured on one clip."""
    first = first_system(clips)
    better = CLIP_METRICS | own_metrics(meta[first])
    compared = {metric: where for metric, where in better.items() if metric not in without}
    resamples, seed = (meta[first].get(key, default) for key, default in BOOTSTRAP.items())
    found = paired_differences(clips, first, compared, resamples, seed)
    return found if found.minus else None


def _not_alike(name: str, first: str, key: str, meta: dict[str, dict[str, Any]], mend: str) -> InputError:
    return InputError(
        f"{name} and {first} were not tested alike: {key} is {meta[name].get(key)} and {meta[first].get(key)}; {mend}"
    )


def _judges(meta: dict[str, Any]) -> dict[str, str | None]:
    return {name: judge and judge["sha256"] for name, judge in (meta.get("judges") or {}).items()}


def _without_padding(meta: dict[str, Any]) -> bool:
    return is_without_padding((meta.get("judges") or {}).get("sync"))
