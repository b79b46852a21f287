"""What lies in a run's folder: metrics, config, the test's report, videos."""

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from s2v.errors import InputError
from s2v.evaluation.clip_rows import CALIBRATION
from s2v.evaluation.paired_difference import ClipScores, clip_scores
from s2v.evaluation.summary import CLIP_METRICS, own_metrics
from s2v.reporting.config_file import read_config
from s2v.reporting.metrics_file import Series, find_metrics_files, read_metrics

REPORTS = ("report.json", "report/report.json", "score/report.json")
VIDEOS = (".", "videos", "export", "side_by_side")
"""Folders of a run with finished videos; of `samples`, those of the last step count."""
MOST_BYTES = 512 * 2**20


@dataclass
class Run:
    """One run.

    Attributes:
        name: how the page calls it.
        metrics: metric -> values over steps; empty without a metrics.csv.
        config: flat keys; None without a config.yaml.
        report: the content of report.json, checked for its shape; None without one.
        videos: clip -> MP4.
        clips: the report's rows of the system that was tested, the first of several.
    """

    name: str
    metrics: dict[str, Series] = field(default_factory=dict)
    config: dict[str, str] | None = None
    report: dict[str, Any] | None = None
    videos: dict[str, Path] = field(default_factory=dict)
    clips: ClipScores | None = None


def read_run(name: str, folder: Path) -> Run:
    """Read what there is of a run.

    Raises:
        InputError: there is no such folder, nothing of a run in it, or something that does not parse.
    """
    if not folder.is_dir():
        raise InputError(f"no run folder {folder}")
    config = folder / "config.yaml"
    reports = [folder / report for report in REPORTS if (folder / report).is_file()]
    report, clips = read_report(reports[0]) if reports else (None, None)
    found = find_metrics_files(folder)
    run = Run(
        name,
        read_metrics(found),
        read_config(config) if config.is_file() else None,
        report,
        find_run_videos(folder),
        clips,
    )
    if not (run.metrics or run.config or run.report or run.videos):
        if found:
            raise InputError(
                f"{folder}: {found[-1]} has no finite value of any metric (rows are unfinished, or nan and inf), and "
                "there is no report.json, config.yaml or .mp4 of a run: leave it out, or wait until it has logged"
            )
        below = runs_below(folder)
        hint = f"; there are runs below it: {', '.join(below)}" if below else ""
        raise InputError(f"{folder}: no metrics.csv, report.json, config.yaml or .mp4 of a run{hint}")
    return run


def runs_below(folder: Path) -> list[str]:
    """Names of the run folders directly in a folder."""
    return sorted({path.parent.name for path in folder.glob("*/config.yaml")})


def run_names(folders: list[Path]) -> list[str]:
    """The shortest last parts of each path that tell the runs apart.

    Raises:
        InputError: one folder twice.
    """
    resolved = [folder.resolve() for folder in folders]
    for folder, count in Counter(resolved).items():
        if count > 1:
            raise InputError(f"{folder} is named {count} times")
    names = [Path(*folder.parts[-1:]) for folder in resolved]
    for length in range(2, max(len(folder.parts) for folder in resolved) + 1):
        counts = Counter(names)
        names = [
            Path(*folder.parts[-length:]) if counts[name] > 1 else name
            for folder, name in zip(resolved, names, strict=True)
        ]
    return [str(name) for name in names]


def read_report(path: Path) -> tuple[dict[str, Any], ClipScores]:
    """A report.json of `s2v test` or `s2v score`: "systems" and "meta", and rows; anything else is left out.

    Raises:
        InputError: it is none.
    """
    wrong = f"{path}: not a report.json as `s2v test` writes it"
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{wrong}: larger than {MOST_BYTES >> 20} MB")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{wrong} ({str(error).splitlines()[0]})") from error
    systems = content.get("systems") if isinstance(content, dict) else None
    meta = content.get("meta", {}) if isinstance(content, dict) else None
    if not isinstance(systems, dict) or not isinstance(meta, dict):
        raise InputError(wrong)
    if not all(isinstance(summary, dict) for summary in systems.values()):
        raise InputError(wrong)
    tested = next((name for name in systems if name not in CALIBRATION), "")
    metrics = (*CLIP_METRICS, *own_metrics(meta))
    return {"systems": systems, "meta": meta}, clip_scores(content.get("clips"), tested, metrics)


def find_run_videos(folder: Path) -> dict[str, Path]:
    """Clip -> its MP4. A clip is a file's name without suffix; a later one of VIDEOS wins, then `samples`."""
    steps = sorted(folder.glob("samples/step-*"), key=_step)
    places = [folder / place for place in VIDEOS] + steps[-1:]
    return {path.stem: path for place in places for path in sorted(place.glob("*.mp4")) if _is_mp4(path)}


def _step(path: Path) -> int:
    match = re.fullmatch(r"step-(\d{1,12})", path.name)
    return int(match[1]) if match else -1


def _is_mp4(path: Path) -> bool:
    """By its first bytes: what is embedded in a page that goes to others must not be just any file."""
    try:
        with open(path, "rb") as file:
            return file.read(12)[4:8] == b"ftyp"
    except OSError:
        return False
