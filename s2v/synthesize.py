"""`s2v synthesize`: a corpus to try things on, written as CREMA-D or VoxCeleb2 would be."""

import argparse
import os
from pathlib import Path


def add_synthesize_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `s2v synthesize` to `parser`."""
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder to write the corpus to"
    )
    parser.add_argument(
        "--layout",
        choices=("crema_d", "voxceleb2"),
        default="crema_d",
        help="whose folders and file names (default: %(default)s); voxceleb2: a third of the people below test/",
    )
    parser.add_argument(
        "--speakers", type=int, default=6, metavar="N", help="how many people (default: %(default)s)"
    )
    parser.add_argument(
        "--clips-per-speaker",
        type=int,
        default=24,
        metavar="M",
        help="recordings of each (default: %(default)s)",
    )
    parser.add_argument(
        "--sentences",
        type=int,
        metavar="K",
        help="how many sentences, up to 24 (CREMA-D's 12, each in all six emotions before the next)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="same seed, same corpus (default: %(default)s)"
    )
    parser.add_argument(
        "--size",
        type=int,
        default=128,
        metavar="PIXELS",
        help="side of the video (default: %(default)s), which the face fills: prepare it without --crop face",
    )
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (one per core)"
    )


def run_synthesize(args: argparse.Namespace) -> int:
    """Write the corpus that `args` describe, or what is missing of it, with a progress bar."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from data_modules.synthetic.corpus import write_corpus

    columns = (TextColumn("synthesizing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("clips", total=None)
        write_corpus(
            args.output,
            args.layout,
            args.speakers,
            args.clips_per_speaker,
            seed=args.seed,
            size=args.size,
            workers=args.workers,
            sentences=args.sentences,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    print(f"{args.speakers * args.clips_per_speaker} clips of {args.speakers} speakers in {args.output}")
    return 0
