"""`s2v score`: any system's videos against the real ones, by the same protocol as `s2v test`."""

import argparse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from s2v.errors import InputError, warn
from s2v.files.whole_file import check_can_be_made
from s2v.weight_files.face_kinds import FACE_SOURCES

if TYPE_CHECKING:
    from s2v.evaluation.report import Report
    from s2v.evaluation.scoring import Scoring
    from s2v.evaluation.scoring_job import ScoringJob
    from s2v.evaluation.video_crop import VideoCrop
    from s2v.evaluation.video_pairs import VideoPair

NOTHING_SCORED = 2
CROP_SIZE = 128
"""Pixels, as `s2v prepare` has it."""
FILES = ("syncnet", "identity_judge", "emotion_judge", "lpips", "fid", "landmarks", "checkpoint", "detector")
"""Options that name a file: without one something is left out."""
TRIM = 5
"""Frames by which decoders, encoders and systems of another frame rate usually differ at a clip's end, and more."""
Item = TypeVar("Item")


def add_score_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `s2v score` to `parser`."""
    parser.add_argument(
        "--real",
        type=Path,
        required=True,
        help="real videos: a folder, or one file. Labels come from the folder's clips.csv (clip_id: path without "
        "suffix; any of speaker, emotion, sentence, gender), as `s2v clips` writes it; without it from CREMA-D's "
        "names; otherwise a subfolder is a speaker",
    )
    parser.add_argument(
        "--generated",
        type=Path,
        required=True,
        help="the system's videos, by the same names as the real ones. SSIM, PSNR, LPIPS, sharpness and motion need "
        "pairs of one size and number of frames (or --resize, --trim); all else is measured on the frames as they are",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("score"),
        metavar="DIR",
        help="where the report goes (default: %(default)s)",
    )
    parser.add_argument(
        "--syncnet",
        metavar="FILE",
        help="SyncNet for the lips: syncnet_v2 or a fit's *.ckpt (default: left out)",
    )
    parser.add_argument(
        "--identity-judge",
        metavar="[KIND:]FILE",
        help=f"face network for identity: {FACE_SOURCES} (default: left out)",
    )
    parser.add_argument(
        "--emotion-judge",
        metavar="[KIND:]FILE",
        help="face network for emotion, likewise (default: left out)",
    )
    parser.add_argument(
        "--lpips", metavar="FILE", help="AlexNet weights of torchvision for LPIPS (default: left out)"
    )
    parser.add_argument(
        "--fid",
        metavar="FILE",
        help="FID's Inception, pt_inception-2015-12-05-6726825d.pth (default: left out; slow without a GPU)",
    )
    parser.add_argument(
        "--landmarks",
        metavar="FILE|dlib",
        help="68 landmarks for blinks and mouths: a .dat file of dlib's, or dlib for its usual one (default: left out)",
    )
    parser.add_argument(
        "--metric",
        metavar="PACKAGE.MODULE.CLASS",
        action="append",
        default=[],
        help="a metric of your own, see docs/extending.md (repeatable)",
    )
    parser.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="checkpoint that made the videos: the report names its hash, and the judges that taught it",
    )
    parser.add_argument(
        "--teacher",
        metavar="FILE",
        action="append",
        default=[],
        help="weights the system learned from, marked where they also judge (repeatable)",
    )
    parser.add_argument(
        "--system", default="generated", metavar="NAME", help="name in the report (default: %(default)s)"
    )
    parser.add_argument(
        "--speech",
        choices=("own", "real"),
        default="own",
        help="judge generated lips by their video's sound track (own) or the real video's (real) "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--crop",
        choices=("none", "face"),
        default="none",
        help="none: pictures must be face crops already, as SyncNet and the face judges squash whole pictures to a "
        "square; face: cut one steady box round the face per video, like `s2v prepare --crop face` (in pairs of one "
        "size the real video's box serves both) (default: %(default)s)",
    )
    parser.add_argument(
        "--crop-size",
        type=int,
        metavar="PIXELS",
        help=f"side of the pictures that --crop face makes (default: {CROP_SIZE})",
    )
    parser.add_argument(
        "--detector", metavar="FILE", help="YuNet .onnx for --crop face (default: OpenCV's own Haar cascade)"
    )
    parser.add_argument(
        "--resize",
        action="store_true",
        help="resize generated pictures to the real ones' size, anti-aliased, before pixels are compared",
    )
    parser.add_argument(
        "--trim",
        type=int,
        nargs="?",
        const=TRIM,
        default=0,
        metavar="FRAMES",
        help="where the videos of a pair differ in length by at most FRAMES (%(const)s if none is given), compare "
        "pixels as far as both go; the speech is not cut",
    )
    parser.add_argument(
        "--bootstrap",
        type=int,
        default=1000,
        metavar="N",
        help="bootstrap resamples for the intervals (default: %(default)s)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes that read and measure, one thread each (default: this one alone, with all threads)",
    )
    parser.add_argument(
        "--dask",
        default="",
        metavar="ADDRESS",
        help="measure on a Dask cluster instead: tcp://host:8786 or a scheduler file (extra dask); videos and weights "
        "must be on a disk that all workers see, at the same path",
    )
    parser.add_argument(
        "--device", default="cpu", help="where the judges run: cpu, cuda, ... (default: %(default)s)"
    )


def run_score(args: argparse.Namespace) -> int:
    """Scores, writes the report, prints table and summary; 0 if anything was scored, otherwise 2."""
    import torch
    from rich.console import Console

    from s2v.evaluation.scoring import Scoring
    from s2v.evaluation.scoring_job import ScoringJob
    from s2v.evaluation.stated_maker import check_maker, teachers_of
    from s2v.files.file_hash import sha256_of_file

    _check_options(args)
    crop = _crop(args)
    with _using(args.device):  # also where no judge needs one: the report names it
        torch.empty(0, device=args.device)
    check_can_be_made(args.output, "--output")
    pairs = _pairs(args)
    job = ScoringJob(
        args.system,
        args.identity_judge,
        args.emotion_judge,
        args.syncnet,
        args.lpips,
        args.fid,
        args.landmarks,
        args.device,
        own_sound=args.speech == "own",
        crop=crop,
        trim=args.trim,
        resize=args.resize,
        metrics=tuple(args.metric),
    )
    protocol = job.protocol()
    with _using(args.device):
        protocol.move_to(args.device)
    teachers = teachers_of(args.checkpoint, args.teacher)
    checkpoint = args.checkpoint and {"file": args.checkpoint, "sha256": sha256_of_file(args.checkpoint)}
    if checkpoint:
        check_maker(**checkpoint, pairs=pairs)
    scoring = Scoring(protocol, bootstrap=args.bootstrap)
    _measure(scoring, pairs, job, args)
    meta = {
        "dataset": str(args.real),
        "split": "all pairs of names",
        "generated": str(args.generated),
        "speech_of_generated": args.speech,
        "checkpoint": checkpoint or None,
        "crop": "none: whole pictures, which SyncNet and the face judges take for face crops"
        if crop is None
        else f"face: one box a video (the real one's for pairs of one size), {crop.size} x {crop.size}, found by "
        f"{crop.detector or 'the Haar cascade of OpenCV'}",
        "device": args.device,
    }
    report = scoring.report(meta, teachers)
    assert report is not None  # find_pairs gives at least one
    _write(report, args.output)
    Console().print(report.rich_table())
    measured = _tell(report, args)
    if scoring.oblong:
        sizes = ", ".join(f"{width} x {height}" for width, height in sorted(scoring.oblong))
        warn(
            f"pictures are not square ({sizes}): SyncNet and the face judges see them squashed; where they are whole "
            "pictures, score with --crop face"
        )
    return 0 if measured else NOTHING_SCORED


def _check_options(args: argparse.Namespace) -> None:
    """What can be checked before a file is opened."""
    if empty := [name.replace("_", "-") for name in FILES if getattr(args, name) == ""]:
        raise InputError(f"--{empty[0]} is empty: give a file, or leave the option out")
    if args.workers is not None and args.workers < 1:
        raise InputError(f"--workers must be at least 1, got {args.workers}")
    if args.trim < 0:
        raise InputError(f"--trim must be 0 frames or more, got {args.trim}")
    if args.bootstrap < 0:
        raise InputError(f"--bootstrap must be 0 resamples or more, got {args.bootstrap}")


def _pairs(args: argparse.Namespace) -> "list[VideoPair]":
    """Real and generated videos of one name, with the speakers' genders where the corpus has a table of them."""
    from data_modules.composed_name import composed
    from data_modules.gender import find_genders
    from s2v.evaluation.video_pairs import find_pairs

    pairs = find_pairs(args.real, args.generated)
    if all(pair.unpaired for pair in pairs):
        one = next((pair.clip_id for pair in pairs if pair.real), "none")
        other = next((pair.clip_id for pair in pairs if pair.generated), "none")
        raise InputError(
            f"no video in {args.generated} has the name of one in {args.real} (the first there is {other!r}, here "
            f"{one!r}): videos belong together that are called alike, in subfolders called alike"
        )
    genders = find_genders(args.real)
    return [replace(pair, gender=pair.gender or genders.get(composed(pair.speaker), "")) for pair in pairs]


def _measure(
    scoring: "Scoring", pairs: "list[VideoPair]", job: "ScoringJob", args: argparse.Namespace
) -> None:
    """Every pair, in this process or in others; with a bar where there is a terminal."""
    from rich.console import Console
    from rich.progress import track

    from s2v.evaluation.held_pictures import HeldPictures
    from s2v.evaluation.parallel_scoring import score_in_parallel
    from s2v.evaluation.video_pairs import read_pair, real_frames

    errors = Console(stderr=True)
    hidden = not errors.is_terminal

    def watch(items: "Iterable[Item]", what: str) -> "Iterable[Item]":
        return track(items, what, total=len(pairs), console=errors, disable=hidden)

    if args.workers is not None or args.dask:
        score_in_parallel(scoring, pairs, job, args.workers or 1, args.dask, watch)
        return
    held = HeldPictures()
    for pair in watch(pairs, "looking through the real videos"):
        frames = real_frames(pair, job.crop)
        if frames is not None:
            held.add(pair.clip_id, pair.speaker, frames)
    scoring.protocol.hold(held)
    for pair in watch(pairs, "scoring"):
        clip = read_pair(pair, job.own_sound, job.crop)
        if isinstance(clip, str):
            scoring.refuse(pair.clip_id, pair.speaker, clip)
        else:
            scoring.add(clip)


def _tell(report: "Report", args: argparse.Namespace) -> int:
    """How many clips were scored, and why others were not; returns how many were, in full or in part."""
    from s2v.evaluation.report_rows import reason_lines

    ours = report.systems[args.system]
    measured = sum(row.measured for row in report.rows if row.system == args.system)
    print(
        f"{ours.total} clips: {ours.scored} scored in full, {measured - ours.scored} in part, "
        f"{ours.total - measured} not at all; report: {args.output / 'report.html'}"
    )
    for line in reason_lines(report.rows, args.system):
        print(line)
    unlike = any(reason.startswith("generated is ") for row in report.rows for reason in row.reasons)
    if unlike and not (args.resize and args.trim):
        print(
            "  pixels are compared frame by frame: --resize compares at the real size, --trim up to the shorter end"
        )
    return measured


def _crop(args: argparse.Namespace) -> "VideoCrop | None":
    """None for whole pictures; the detector is opened once, so that a wrong file is said at once."""
    from data_modules.face_crop import load_detector
    from s2v.evaluation.video_crop import VideoCrop

    if args.crop == "none":
        for option, value in {"--crop-size": args.crop_size, "--detector": args.detector}.items():
            if value is not None:
                raise InputError(f"{option} is for --crop face: give both, or neither")
        return None
    size: int = CROP_SIZE if args.crop_size is None else args.crop_size
    if size < 1:
        raise InputError(f"--crop-size must be at least 1, got {size}")
    load_detector(args.detector or "")
    return VideoCrop(size, args.detector or "")


def _write(report: "Report", folder: Path) -> None:
    try:
        report.write(folder)
    except OSError as error:
        raise InputError(f"the report can't be written to {folder}: {error.strerror or error}") from error


@contextmanager
def _using(device: str) -> Iterator[None]:
    """What PyTorch says of a device, in a line."""
    try:
        yield
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {device}: {str(error).splitlines()[0]}") from error
