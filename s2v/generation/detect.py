"""`s2v detect`: is a video one of ours? Looks for the invisible mark, the container's words and the sidecar."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from s2v.errors import InputError
from s2v.evaluation.markdown_text import printable

if TYPE_CHECKING:
    import numpy as np

BARS_FRAMES = 100
"""In which bars show that they stand still."""


@dataclass(frozen=True)
class Finding:
    """What one file says about its origin.

    Attributes:
        marked: whether the mark was found; None where the video is too short to judge.
        score: standard deviations above chance, see `watermark_detection`.
        metadata: whether the container says that the video is synthetic; anyone can write or remove that.
        sidecar: name of the JSON file beside the video, if there is one that names this very video.
    """

    file: str
    marked: bool | None
    score: float | None
    threshold: float
    metadata: bool
    sidecar: str | None


def add_detect_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `s2v detect` to `parser`."""
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="videos, the first stream of each; or folders of them (exit status 1 if one does not carry the mark, 2 if "
        "one can't be read)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run_detect(args: argparse.Namespace) -> int:
    """Print a line for every file; 0 if all carry the mark, 1 if one does not, 2 if one can't be read.

    Raises:
        InputError: a file is not there, or a folder has no video.
    """
    complete = readable = True
    for path in [video for given in args.files for video in videos_at(given)]:
        try:
            finding = examine(path)
        except InputError as error:
            print(f"s2v: error: {printable(str(error))}", file=sys.stderr)
            readable = False
            continue
        complete = complete and bool(finding.marked)
        print(json.dumps(asdict(finding)) if args.json else in_words(finding))
        sys.stdout.flush()
    return 2 if not readable else 0 if complete else 1


def videos_at(path: Path) -> list[Path]:
    """A file itself, whatever its name; of a folder all videos in it and below, sorted.

    Raises:
        InputError: there is no such path, or no video in it.
    """
    from data_modules.layouts import videos_below

    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"there is no file or folder {path}: check the path")
    videos = videos_below(path)
    if not videos:
        raise InputError(f"there is no video in the folder {path}: check the path")
    return videos


def examine(path: Path) -> Finding:
    """Decode a video and look for everything that tells of its origin.

    Raises:
        InputError: it can't be decoded.
    """
    from av.error import FFmpegError

    from data_modules.clip_refused import ClipRefused
    from data_modules.container import open_container, plain
    from s2v.generation.mp4_writer import COMMENT
    from s2v.generation.sidecar import names_this_video, sidecar_of
    from s2v.generation.watermark_detection import THRESHOLD, MarkDetector, inside_bars

    detector = MarkDetector(inside_bars(first_pictures(path)))
    try:
        with open_container(path) as container:
            comment = container.metadata.get("comment", "")
            if not container.streams.video:
                raise InputError(f"{path} has no video in it: give a video file")
            for frame in container.decode(video=0):
                time = frame.time if frame.time is not None else detector.frames / 25
                detector.watch(frame.to_ndarray(format="gray"), time)
    except (ClipRefused, FFmpegError, IndexError) as error:
        if not detector.frames:
            reason = error if isinstance(error, ClipRefused) else plain(error)
            raise InputError(f"{path} can't be read as a video ({reason})") from error
    score = detector.score()
    return Finding(
        file=str(path),
        marked=None if score is None else score >= THRESHOLD,
        score=None if score is None else round(score, 2),
        threshold=THRESHOLD,
        metadata=comment.startswith(COMMENT),
        sidecar=str(sidecar_of(path)) if names_this_video(path) else None,
    )


def first_pictures(path: Path) -> Iterator[np.ndarray]:
    """Luma (H, W) of the frames in which bars show, as far as they can be decoded."""
    from av.error import FFmpegError

    from data_modules.clip_refused import ClipRefused
    from data_modules.container import open_container

    try:
        with open_container(path) as container:
            for frame in islice(container.decode(video=0), BARS_FRAMES):
                yield frame.to_ndarray(format="gray")
    except (ClipRefused, FFmpegError, IndexError):  # told when the whole is read
        return


def in_words(finding: Finding) -> str:
    """One line about a file."""
    if finding.marked is None:
        verdict = "too short to look for the mark"
    else:
        verdict = f"{'mark found' if finding.marked else 'no mark found'} (score {finding.score:.1f}, "
        verdict += f"found from {finding.threshold:.1f})"
    if finding.metadata:
        verdict += "; its metadata says: synthetic"
    if finding.sidecar:
        verdict += f"; described by {finding.sidecar}"
    return "".join(c if c.isprintable() else "?" for c in f"{finding.file}: {verdict}")
