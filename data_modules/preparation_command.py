"""`s2v prepare`: the arguments and the run; heavy packages are imported only when it runs."""

import argparse
import os
from pathlib import Path


def add_prepare_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--root", type=Path, required=True, help="the corpus: the folder that holds its clips"
    )
    parser.add_argument(
        "--layout",
        required=True,
        choices=["crema_d", "voxceleb2", "folder"],
        help="how the corpus lies on disk (folder: any videos, a subfolder per speaker)",
    )
    parser.add_argument(
        "--cache", type=Path, required=True, help="folder for the decoded clips and manifest.csv"
    )
    parser.add_argument(
        "--size", type=int, default=128, help="side of the square frames in pixels (default 128)"
    )
    parser.add_argument("--fps", type=int, default=25, help="frames per second after resampling (default 25)")
    parser.add_argument(
        "--crop",
        choices=["none", "center", "face"],
        default="none",
        help="none, center: the largest central square (a square video stays whole); "
        "face: one steady box round the face",
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
    parser.add_argument("--time-limit", type=float, default=60.0, help="seconds a clip may take (default 60)")
    parser.add_argument(
        "--min-seconds", type=float, default=1.0, help="shorter clips are refused (default 1)"
    )
    parser.add_argument(
        "--max-seconds", type=float, default=600.0, help="longer clips are refused (default 600)"
    )
    parser.add_argument(
        "--max-av-difference",
        type=float,
        default=0.5,
        help="seconds by which sound and picture may differ in extent (default 0.5)",
    )
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")


def run_prepare(args: argparse.Namespace) -> int:
    """Prepares and prints one line. Refused clips are no failure: the manifest says why, the status is 0."""
    from data_modules.preparation import prepare

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
    )
    reasons = ", ".join(f"{kind}: {count}" for kind, count in summary.reasons.items())
    print(
        f"{summary.found} clips found, {summary.ok} ok, {summary.refused} refused"
        + (f" ({reasons})" if reasons else "")
        + (f", {summary.skipped} from before" if summary.skipped else "")
        + f"; manifest: {summary.manifest}"
    )
    return 0
