"""`s2v export`: recordings in, talking-face videos out."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from s2v.errors import InputError
from s2v.files.whole_file import DISK_IS_FULL, check_can_be_made, why_unwritten
from s2v.generation.export_plan import Export, plan_exports
from s2v.weight_files.weight_outline import damaged_part

if TYPE_CHECKING:
    from rich.progress import Progress
    from torch import Tensor

    from s2v.generation.export_system import FrameStream
    from s2v.generation.sidecar import Provenance
    from s2v.generation.speech_file import SpeechFile

SILENCE = 1e-3
"""Root mean square, in full scales: what in no second is louder (-60 dBFS) holds no speech to be heard."""


LACKING = 0.25
"""Seconds, and a twentieth of the recording: what may lack of its stated length without a word."""


LONGEST_NAME = 255
"""Bytes of a file's name, on nearly every disk."""


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `s2v export` to `parser`."""
    parser.add_argument(
        "--checkpoint",
        required=True,
        metavar="CKPT",
        help="checkpoint of the composer (stage 2) or a baseline",
    )
    parser.add_argument(
        "--speech",
        required=True,
        nargs="+",
        metavar="FILE|DIR|GLOB",
        help="recordings: wav, flac, mp3, m4a, ogg or a video with sound; any rate and length",
    )
    parser.add_argument(
        "--output",
        required=True,
        metavar="FILE|DIR",
        help="NAME.mp4 for one recording, else a folder, where subfolders are kept",
    )
    parser.add_argument("--overwrite", action="store_true", help="make videos anew that are already there")
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where to compute (default: %(default)s)",
    )
    parser.add_argument(
        "--identity",
        choices=("mean", "first"),
        default="mean",
        help="read identity from the whole recording (mean), or from its beginning, as live use must (first) "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--no-mark",
        dest="mark",
        action="store_false",
        help="leave out the invisible mark that `s2v detect` finds; metadata and the JSON file stay",
    )
    parser.add_argument(
        "--image",
        metavar="FILE",
        help="the face to animate, cropped as in training: SDFA needs it, and no other system takes it",
    )
    parser.add_argument(
        "--without-consent",
        action="store_true",
        help="use a checkpoint that was trained on speakers who had not agreed to it; the JSON file says so",
    )
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all)")


def run_export(args: argparse.Namespace) -> int:
    """Make the videos that `args` describe, with a progress bar.

    Returns:
        0, or 1 if any recording could not be made into a video; the others are made all the same.

    Raises:
        InputError: the arguments or the checkpoint are wrong; nothing has been written then.
    """
    if args.threads is not None and not 1 <= args.threads <= 1024:
        raise InputError(f"--threads must be 1 to 1024, got {args.threads}")
    weights = args.checkpoint.removeprefix("sdfa:")
    if weights == args.checkpoint:
        check_checkpoint_file(weights)
    elif not Path(weights).is_file():
        raise InputError(f"no weights at {weights}: give the path of an existing file")
    exports = plan_exports(args.speech, args.output)
    there: list[Export] = []
    missing: list[Export] = []
    for export in exports:
        (there if not args.overwrite and export.output.is_file() else missing).append(export)
    from s2v.files.file_hash import sha256_of_file
    from s2v.generation.kept_videos import say_what_is_kept
    from s2v.generation.sidecar import Provenance

    image = sha256_of_file(args.image) if args.image and Path(args.image).is_file() else None
    provenance = Provenance(sha256_of_file(weights), args.mark, 0, args.identity, image)
    occupied = say_what_is_kept(there, len(exports), provenance)
    kept = len(there) - occupied
    if not missing:
        return 1 if occupied else 0
    check_some_can_be_written(missing)

    import torch

    from s2v.process.freed_memory import keep_freed_memory

    keep_freed_memory()
    device = choose_device(args.device)
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    from s2v.generation.export_system import open_system, speakers_without_consent

    without = speakers_without_consent(args.checkpoint)
    if without and not args.without_consent:
        raise InputError(
            f"--checkpoint: {args.checkpoint} was trained on {len(without)} speakers who had not agreed to it "
            f"({', '.join(without[:3])}{' ...' if len(without) > 3 else ''}): train without them, or say "
            "--without-consent"
        )
    stream = open_system(args.checkpoint, device, args.identity, args.image)
    provenance = replace(provenance, without_consent=len(without))
    failed = occupied + export_all(missing, stream, args.threads or 0, provenance)
    if len(exports) > 1 or failed:
        print(f"{len(missing) + occupied - failed} written, {kept} kept, {failed} failed")
    return 1 if failed else 0


def check_some_can_be_written(exports: list[Export]) -> None:
    """Raise InputError where none of the videos can be: before the networks are loaded."""
    faults = []
    for folder in dict.fromkeys(export.output.parent for export in exports):
        try:
            return check_can_be_made(folder, "--output")
        except InputError as fault:
            faults.append(fault)
    raise faults[0]


def check_checkpoint_file(path: str) -> None:
    """Raise InputError for what can be seen without loading: no file, a Git LFS pointer, another format."""
    file = Path(path)
    if not file.exists():
        raise InputError(
            f"--checkpoint: there is no file {path}: train one with `s2v fit`, or check the path"
        )
    if not file.is_file():
        raise InputError(f"--checkpoint: {path} is a folder: give the .ckpt file in it")
    with file.open("rb") as opened:
        start = opened.read(64)
    if start.startswith(b"version https://git-lfs"):
        raise InputError(f"--checkpoint: {path} is a Git LFS pointer, not the weights: run `git lfs pull`")
    if not start:
        raise InputError(f"--checkpoint: {path} is empty (0 bytes): copy or train it again")
    if not start.startswith(b"PK\x03\x04"):  # what PyTorch writes is a zip archive
        raise InputError(f"--checkpoint: {path} is no checkpoint: give a .ckpt file written by `s2v fit`")
    if damaged := damaged_part(file):  # what is cut short is told in PyTorch's words
        raise InputError(f"--checkpoint: {path} is damaged ({damaged} fails its checksum): copy it again")


def choose_device(name: str) -> str:
    """`cpu` or `cuda` for `auto`, `cpu` or `cuda`."""
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: PyTorch sees no CUDA device here: use --device cpu")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def export_all(exports: list[Export], stream: FrameStream, threads: int, provenance: Provenance) -> int:
    """Make every video and return how many could not be made, each reported with its reason."""
    from av.error import FFmpegError
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from torch import OutOfMemoryError

    failed = 0
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # Results go to standard output, also when only the progress bar's standard error is a terminal.
    together = sys.stdout.isatty()
    with Progress(*columns, console=console, transient=True, redirect_stdout=together) as progress:
        files = progress.add_task("videos", total=len(exports), visible=len(exports) > 1)
        for export in exports:
            try:
                frames, speech = export_one(export, stream, threads, progress, provenance)
            except (InputError, OSError, FFmpegError, OutOfMemoryError, MemoryError) as error:
                failed += 1
                fault = str(error) if isinstance(error, InputError) else unwritten(export, error)
                message = fault.replace("\n", " ")
                console.print(f"failed: {message}", markup=False, highlight=False, soft_wrap=True)
            else:  # a standard output that nobody reads is no fault of the video's
                damaged = speech.damaged_packets
                note = f", {damaged} damaged pieces of the recording left out" if damaged else ""
                say(f"wrote {export.output}: {frames} frames, {frames / stream.fps:.2f} s{note}")
                for doubt in doubts(speech):
                    line = f"s2v: warning: {doubt}".replace("\n", " ")
                    console.print(line, markup=False, highlight=False, soft_wrap=True)
            progress.advance(files)
    return failed


def unwritten(export: Export, error: Exception) -> str:
    """Why a video could not be made, and what to do; `error` is the system's, FFmpeg's or PyTorch's."""
    from torch import OutOfMemoryError

    if isinstance(error, OutOfMemoryError | MemoryError):
        where = (
            "the GPU's memory is full" if isinstance(error, OutOfMemoryError) else "there is no memory left"
        )
        remedy = "end what else uses it, or say --device cpu"
        return f"{export.speech} can't be made into {export.output}: {where}; {remedy}"
    reason, remedy = why_unwritten(error), "check that file and the folder of --output"
    try:
        check_can_be_made(export.output.parent, "the folder")
    except InputError as fault:
        reason, remedy = str(fault), "choose another --output"
    if reason.endswith(DISK_IS_FULL):
        remedy = "make room, or choose another --output"
    return f"{export.speech} can't be made into {export.output}: {reason}; {remedy}"


def say(line: str) -> None:
    """Print a result to standard output; the progress bar is on standard error."""
    print(line.replace("\n", " "))
    sys.stdout.flush()


def export_one(
    export: Export, stream: FrameStream, threads: int, progress: Progress, provenance: Provenance
) -> tuple[int, SpeechFile]:
    """Make one video; returns its frames, and the recording as it was read."""
    from rich.markup import escape

    from s2v.generation.mp4_writer import write_mp4
    from s2v.generation.sidecar import describe_origin, sidecar_of, write_sidecar
    from s2v.generation.speech_file import SOUND_RATE, SpeechFile

    name_bytes = len(os.fsencode(sidecar_of(export.output).name))
    if name_bytes > LONGEST_NAME:  # which the system says once the whole video is made
        raise InputError(
            f"{export.speech} can't be made into {export.output}: the name of the JSON file beside it has {name_bytes} "
            f"bytes, and {LONGEST_NAME} fit; rename the recording, or choose another --output"
        )
    speech = SpeechFile(export.speech)
    expected = round(speech.stated_duration * stream.fps) if speech.stated_duration else None
    task = progress.add_task(f"frames of {escape(export.output.stem)}", total=expected)

    def counted(frames: Iterable[Tensor]) -> Iterator[Tensor]:
        for portion in frames:
            yield portion
            progress.advance(task, len(portion))

    origin = describe_origin(provenance, export.speech)
    try:
        frames = write_mp4(
            export.output,
            counted(stream.frames(speech)),
            speech.sound(),
            fps=stream.fps,
            channels=speech.channels,
            sound_rate=SOUND_RATE,
            threads=threads,
            description=json.dumps(origin),
            mark=provenance.mark,
            before_naming=lambda finished: write_sidecar(export.output, origin, finished),
        )
    finally:
        progress.remove_task(task)
    return frames, speech


def doubts(speech: SpeechFile) -> list[str]:
    """What of a recording that has become a video its owner will hardly have meant."""
    from s2v.generation.wav_header import bytes_after_sound

    found = []
    if speech.loudest < SILENCE:
        found.append(
            f"{speech.path} is silent (no second of it is louder than {20 * math.log10(SILENCE):.0f} dBFS): nobody "
            "speaks in the video; check the recording"
        )
    stated = speech.stated_duration if speech.states_length else None
    if stated and stated - speech.seconds > max(LACKING, stated / 20):
        found.append(
            f"{speech.path} is cut short or damaged: {speech.seconds:.2f} s of the {stated:.2f} s that it states can "
            "be read; copy it again if the video is to have the rest"
        )
    if unread := bytes_after_sound(speech.path):
        found.append(
            f"{speech.path} goes on for {unread:,} bytes where its header ends the sound: they are left out; if they "
            "are sound, have them read with `ffmpeg -ignore_length 1 -i OLD.wav NEW.wav`"
        )
    return found
