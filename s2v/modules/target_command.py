"""`s2v cache-targets`: the arguments and the run; heavy packages are imported only when it runs."""

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from s2v.errors import InputError
from s2v.weight_files.face_kinds import FACE_SOURCES

_SHOWN = 3
"""Unreadable clips that are named."""


def add_targets_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `s2v cache-targets` to `parser`."""
    parser.add_argument(
        "--cache",
        type=Path,
        required=True,
        help="the prepared clips; all usable ones, of every split, are taken",
    )
    parser.add_argument(
        "--identity-teacher",
        required=True,
        metavar="[KIND:]FILE",
        help=f"as model.init_args.identity_teacher: {FACE_SOURCES}",
    )
    parser.add_argument(
        "--emotion-teacher", required=True, metavar="[KIND:]FILE", help="as model.init_args.emotion_teacher"
    )
    parser.add_argument(
        "--emotion-feature",
        choices=("logits", "embedding"),
        default="logits",
        help="as model.init_args.emotion_feature (default: logits)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="the folder for model.init_args.teacher_cache",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes, one thread each (default: one per core)",
    )
    parser.add_argument(
        "--dask",
        default="",
        metavar="ADDRESS",
        help="on a Dask cluster instead: tcp://host:8786 or a scheduler file (extra dask); clips, weights and output "
        "must be on a disk that all workers see, at the same path",
    )
    parser.add_argument(
        "--device", default="cpu", help="where the teachers work: cpu, cuda, ... (default: %(default)s)"
    )


def run_targets(args: argparse.Namespace) -> int:
    """Caches, and prints what was done; raises InputError where clips can't be read."""
    from rich.console import Console
    from rich.progress import track

    from s2v.modules.target_caching import cache_targets

    if args.workers < 1:
        raise InputError(f"--workers must be at least 1, got {args.workers}")
    errors = Console(stderr=True)

    def watch(items: Iterable[tuple[str, str]], total: int) -> Iterable[tuple[str, str]]:
        return track(items, "teachers", total=total, console=errors, disable=not errors.is_terminal)

    done = cache_targets(
        args.cache,
        args.output,
        args.identity_teacher,
        args.emotion_teacher,
        args.emotion_feature,
        args.workers,
        args.dask,
        args.device,
        watch,
    )
    print(
        f"{done.found} clips, {done.cached} cached now, {done.skipped} from before; "
        f"for a fit: --model.init_args.teacher_cache {args.output}"
    )
    if done.unreadable:
        named = list(done.unreadable.values())[:_SHOWN]
        more = f"; and {len(done.unreadable) - len(named)} more" if len(done.unreadable) > _SHOWN else ""
        raise InputError(f"{len(done.unreadable)} clips have no features: {'; '.join(named)}{more}")
    return 0
