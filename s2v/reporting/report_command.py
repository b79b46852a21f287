"""`s2v report RUN...`: runs side by side on one page."""

from __future__ import annotations

import argparse
import base64
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from s2v.errors import InputError

if TYPE_CHECKING:
    from s2v.reporting.report_page import ShownVideo
    from s2v.reporting.run_folder import Run

MEGABYTE = 10**6


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `s2v report` to `parser`."""
    parser.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="run folders: metrics.csv, config.yaml, report.json and videos are taken as far as they are there",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("report.html"),
        metavar="FILE",
        help="the page (default: %(default)s)",
    )
    parser.add_argument(
        "--clips",
        type=int,
        default=6,
        metavar="N",
        help="clips whose videos are shown (default: %(default)s)",
    )
    parser.add_argument(
        "--embed",
        type=float,
        default=20.0,
        metavar="MB",
        help="videos inside the page, in all; further ones are copied beside it (default: %(default)s)",
    )


def run_report(args: argparse.Namespace) -> int:
    """Reads the runs, writes the page, prints where it is."""
    from s2v.files.whole_file import write_whole_file
    from s2v.reporting.report_page import report_page
    from s2v.reporting.run_folder import read_run, run_names, runs_below

    if args.clips < 0 or not args.embed >= 0:
        raise InputError(f"--clips and --embed: 0 or more was expected, {args.clips} and {args.embed:g} came")
    output: Path = args.output
    if output.is_dir():
        raise InputError(
            f"--output {output} is a folder: the page is a file, name it {output / 'report.html'}"
        )
    if output.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--output {output}: the page is a file, name it {output.with_suffix('.html')}")
    names = run_names(args.runs)
    runs = [read_run(name, folder) for name, folder in zip(names, args.runs, strict=True)]
    for run, folder in zip(runs, args.runs, strict=True):
        below = [] if run.metrics or run.config else runs_below(folder)
        if below:
            print(
                f"{folder} has no curves or config of its own; the runs below it are not shown: {', '.join(below)}"
            )
    chosen = choose_clips(runs, args.clips)
    beside = output.with_name(f"{output.stem}_files")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        videos = place_videos(runs, chosen, beside, args.embed * MEGABYTE)
        text = report_page(runs, videos, video_notes(runs, videos, beside.name))
        write_whole_file(output, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise InputError(f"{output} can't be written: {error.strerror or error}") from error
    copied = sum(bool(video.file) for shown in videos.values() for video in shown)
    print(f"wrote {output}" + (f", which needs {beside} beside it ({copied} videos)" if copied else ""))
    return 0


def choose_clips(runs: Iterable[Run], most: int) -> list[str]:
    """Clips to show: those that most runs have a video of come first, then by name."""
    counts: dict[str, int] = {}
    for run in runs:
        for clip in run.videos:
            counts[clip] = counts.get(clip, 0) + 1
    return sorted(counts, key=lambda clip: (-counts[clip], clip))[:most]


def place_videos(
    runs: list[Run], clips: list[str], beside: Path, budget: float
) -> dict[str, list[ShownVideo]]:
    """Embed videos until `budget` bytes are used, copy the rest into `beside` under names of our own."""
    from s2v.files.whole_file import whole_file
    from s2v.reporting.report_page import ShownVideo

    shown: dict[str, list[ShownVideo]] = {}
    for clip_number, clip in enumerate(clips, 1):
        for run_number, run in enumerate(runs, 1):
            path = run.videos.get(clip)
            if path is None:
                continue
            size = path.stat().st_size
            if size <= budget:
                budget -= size
                source = "data:video/mp4;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
                video = ShownVideo(run.name, source, "")
            else:
                name = f"clip{clip_number}-run{run_number}.mp4"
                with whole_file(beside / name) as partial:
                    shutil.copyfile(path, partial)
                video = ShownVideo(run.name, f"{quote(beside.name)}/{name}", name)
            shown.setdefault(clip, []).append(video)
    return shown


def video_notes(runs: list[Run], videos: dict[str, list[ShownVideo]], beside: str) -> list[str]:
    """Sentences on which videos are where, and which are left out."""
    everything = [video for shown in videos.values() for video in shown]
    copied = sum(bool(video.file) for video in everything)
    notes = [f"{len(everything) - copied} videos are inside this page" + ("." if not copied else "")]
    if copied:
        notes = [
            f"{notes[0]}, {copied} lie beside it in {beside} (their file names are given): keep them together."
        ]
    left = len({clip for run in runs for clip in run.videos}) - len(videos)
    if left:
        notes.append(f"{left} more clips have videos: --clips shows them.")
    return notes
