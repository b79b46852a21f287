"""`s2v prepare`: the arguments and the run; heavy packages are imported only when it runs."""

import argparse
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from data_modules.clip_manifest import ManifestRow
    from s2v.evaluation.judges import SyncJudge

SYNC_MAX_OFFSET = 3
"""Frames."""


class _Layouts(list[str]):
    """argparse's choices, which help and completion list; a function's path is one more."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or "." in str(name)


def add_prepare_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--root", type=Path, required=True, help="the corpus: the folder that holds its clips"
    )
    parser.add_argument(
        "--layout",
        required=True,
        choices=_Layouts(["crema_d", "voxceleb2", "folder"]),
        help="how the corpus lies on disk (folder: any videos, a subfolder per speaker), or a function of your own "
        "that lists the clips, as package.module.function (docs/extending.md)",
    )
    parser.add_argument(
        "--cache", type=Path, required=True, help="folder for the decoded clips and manifest.csv"
    )
    parser.add_argument(
        "--size", type=int, default=128, help="side of the square frames in pixels (default: 128)"
    )
    parser.add_argument(
        "--fps", type=int, default=25, help="frames per second after resampling (default: 25)"
    )
    parser.add_argument(
        "--crop",
        choices=["none", "center", "face"],
        default="none",
        help="none, center: the largest central square (a square video stays whole); "
        "face: one steady box round the face (default: none)",
    )
    parser.add_argument(
        "--detector",
        type=Path,
        default=None,
        help="YuNet .onnx for --crop face (default: OpenCV's own Haar cascade)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        help="processes that decode (default: one per core)",
    )
    parser.add_argument(
        "--dask",
        default="",
        metavar="ADDRESS",
        help="decode on a Dask cluster instead: tcp://host:8786 or a scheduler file (extra dask); corpus and "
        "cache must be on a disk that all workers see, at the same path",
    )
    parser.add_argument(
        "--time-limit",
        type=float,
        default=60.0,
        help="seconds a clip may take, and as many again for each minute of it (default: 60)",
    )
    parser.add_argument(
        "--min-seconds", type=float, default=1.0, help="shorter clips are refused (default: 1)"
    )
    parser.add_argument(
        "--max-seconds", type=float, default=600.0, help="longer clips are refused (default: 600)"
    )
    parser.add_argument(
        "--max-av-difference",
        type=float,
        default=0.5,
        help="seconds by which sound and picture may differ in extent (default: 0.5)",
    )
    parser.add_argument(
        "--cache-format",
        choices=["raw", "jpeg"],
        default="raw",
        help="how frames are stored: pixels as they are, or JPEG, smaller and slower to read (default: raw)",
    )
    parser.add_argument(
        "--jpeg-quality", type=int, help="1 to 100, for --cache-format jpeg (default: 95)", metavar="QUALITY"
    )
    parser.add_argument(
        "--sync-audit",
        action="store_true",
        help="write into the manifest how far sound and lips are apart, by the SyncNet of --syncnet (25 fps)",
    )
    parser.add_argument(
        "--syncnet",
        metavar="FILE",
        help="for --sync-audit: syncnet_v2 or a fit's *.ckpt (none: no audit)",
    )
    parser.add_argument(
        "--sync-max-offset",
        type=int,
        metavar="FRAMES",
        help=f"for --sync-audit: clips further apart than this are flagged (default: {SYNC_MAX_OFFSET})",
    )
    parser.add_argument(
        "--consent",
        type=Path,
        metavar="FILE",
        help="CSV with columns speaker and consent (yes, no): clips of speakers who did not agree are rejected",
    )
    parser.add_argument(
        "--without-consent",
        action="store_true",
        help="prepare them all the same; checkpoints trained on them say so, and `s2v export` wants the same option",
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="read every cached clip and remake damaged ones (without it: only those whose size or modification "
        "time changed)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="make clips anew that are there with another size, crop, rate, format or limit (without: that is "
        "refused), and delete those of speakers who did not agree",
    )
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")


def run_prepare(args: argparse.Namespace) -> int:
    """Prepares and prints one line. Refused clips are no failure as long as one is usable: the manifest says why."""
    from data_modules.preparation import prepare
    from s2v.errors import InputError

    judge = _sync_judge(args)
    if args.sync_audit and judge is None:
        print("sync audit: off, no SyncNet weights were given (--syncnet FILE)", flush=True)
    summary = prepare(
        args.root,
        args.layout,
        args.cache,
        size=args.size,
        fps=args.fps,
        crop=args.crop,
        detector=args.detector,
        workers=args.workers,
        time_limit=args.time_limit,
        min_seconds=args.min_seconds,
        max_seconds=args.max_seconds,
        max_av_difference=args.max_av_difference,
        progress=not args.no_progress,
        verify=args.verify,
        jpeg_quality=_jpeg_quality(args),
        consent=args.consent,
        without_consent=args.without_consent,
        dask=args.dask,
        overwrite=args.overwrite,
    )
    reasons = ", ".join(f"{kind}: {count}" for kind, count in summary.reasons.items())
    if not summary.ok:
        raise InputError(
            f"none of the {summary.found} clips found is usable ({reasons}): {summary.manifest} says why of each"
        )
    print(
        f"{summary.found} clips found, {summary.ok} ok, {summary.refused} refused"
        + (f" ({reasons})" if reasons else "")
        + (f", {summary.skipped} from before" if summary.skipped else "")
        + f"; manifest: {summary.manifest}"
    )
    if summary.unlisted:
        print(
            f"{summary.unlisted} clips in {args.cache} from before are of no video in {args.root}, and the manifest "
            "leaves them out: another corpus, or another part of one, needs a cache of its own"
        )
    if summary.unasked:
        print(
            f"{summary.unasked} clips of speakers who did not agree are in {args.cache} from before: the same command "
            "with --overwrite deletes them"
        )
    if judge is not None:
        print(_audit(judge, args))
    return 0


def _jpeg_quality(args: argparse.Namespace) -> int:
    """0 for pixels as they are."""
    from s2v.errors import InputError

    if args.cache_format == "raw":
        if args.jpeg_quality is not None:
            raise InputError("--jpeg-quality is for --cache-format jpeg: give both, or neither")
        return 0
    quality: int = 95 if args.jpeg_quality is None else args.jpeg_quality
    if not 1 <= quality <= 100:
        raise InputError(f"--jpeg-quality: 1 to 100 was expected, {quality} came")
    return quality


def _sync_judge(args: argparse.Namespace) -> "SyncJudge | None":
    """Loaded before hours of decoding, so that a wrong file is said at once."""
    from s2v.errors import InputError

    if not args.sync_audit:
        for option, value in {"--syncnet": args.syncnet, "--sync-max-offset": args.sync_max_offset}.items():
            if value is not None:
                raise InputError(f"{option} is for --sync-audit: give both, or neither")
    if args.syncnet is None:
        return None
    if args.fps != 25:
        raise InputError(f"--sync-audit needs --fps 25, the rate that SyncNet knows, but --fps is {args.fps}")
    if _sync_max_offset(args) < 0:
        raise InputError(f"--sync-max-offset: 0 frames or more was expected, {args.sync_max_offset} came")
    from s2v.evaluation.judges import load_sync_judge

    return load_sync_judge(args.syncnet)


def _sync_max_offset(args: argparse.Namespace) -> int:
    return SYNC_MAX_OFFSET if args.sync_max_offset is None else args.sync_max_offset


def _audit(judge: "SyncJudge", args: argparse.Namespace) -> str:
    """Runs the audit; a line about it."""
    import torch
    from rich.console import Console
    from rich.progress import track

    from data_modules.sync_audit import audit_sync
    from s2v.metrics.sync_confidence import sync_scores

    network = judge.network

    def score(frames: "np.ndarray", speech: "np.ndarray") -> tuple[float, float]:
        found = sync_scores(network, torch.from_numpy(frames), torch.from_numpy(speech))
        return float(found.offset), found.confidence

    def watch(rows: "list[ManifestRow]") -> "Iterable[ManifestRow]":
        return track(rows, "sync audit", console=Console(stderr=True), disable=args.no_progress)

    # offsets from before `sync_mode` that came of padding are measured again
    network_id = judge.sha256 if judge.mode == "stock" else f"{judge.sha256} {judge.mode}"
    most = _sync_max_offset(args)
    summary = audit_sync(args.cache, score, network_id, most, watch)
    return (
        f"sync audit: {summary.audited} clips have an offset, {summary.flagged} are flagged "
        f"(more than {most} frames apart, or not measurable)"
    )
