"""`s2v clips`: prepared clips as videos, for systems that are no part of s2v; imports heavy packages when it runs."""

import argparse
from pathlib import Path

COMMENT = "prepared by s2v"
"""The videos' comment; they are no less real than the corpus."""


def add_clips_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `s2v clips` to `parser`."""
    parser.add_argument(
        "--cache", type=Path, required=True, metavar="DIR", help="the clips that `s2v prepare` made"
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="gets NAME.mp4 (lossless H.264 and the clip's speech as AAC: for programs, not for browsers), NAME.wav "
        "(the speech, exact), NAME.png (the first frame, exact), and clips.csv (what the manifest says of speaker, "
        "emotion, sentence and gender, for `s2v score`)",
    )
    parser.add_argument(
        "--split",
        default="seen",
        help="seen, recordings, unseen, sentences, official, or a folder with train.txt, val.txt and test.txt "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--part",
        choices=("train", "val", "test"),
        default="test",
        help="which part of the split (default: %(default)s)",
    )


def run_clips(args: argparse.Namespace) -> int:
    """Writes every clip of the part, each file whole or not at all, and prints a line.

    Raises:
        InputError: no cache, an empty part, a folder with other videos or that can't be written, or a damaged clip.
    """
    from rich.console import Console
    from rich.progress import track

    from data_modules.clip_labels import write_clip_labels
    from data_modules.clip_manifest import MANIFEST_NAME, read_manifest
    from data_modules.splits import split_of
    from data_modules.unfinished import is_unfinished
    from s2v.errors import InputError

    manifest = args.cache / MANIFEST_NAME
    if not manifest.is_file():
        raise InputError(
            f"no prepared clips in {args.cache}: make them with "
            f"`s2v prepare --root CORPUS --layout LAYOUT --cache {args.cache}`"
        )
    errors = Console(stderr=True)
    if is_unfinished(args.cache):
        errors.print(f"the preparation of {args.cache} has not come to its end: these are the clips so far")
    rows = read_manifest(manifest)
    split = split_of(rows, args.split)
    named = {row.clip_id: row for row in rows}
    chosen = [named[name] for name in split[args.part]]
    if not chosen:
        raise InputError(f"the {args.part} part of split {args.split!r} of {args.cache} is empty")
    _check_alone(args.output, {f"{row.clip_id}.mp4" for row in chosen}, args.part)
    try:
        for row in track(chosen, "writing clips", console=errors, disable=not errors.is_terminal):
            write_clip_as_media(args.cache / row.cache_file, args.output / row.clip_id, row.fps)
        write_clip_labels(args.output, chosen)
    except OSError as error:
        raise InputError(f"clips can't be written to {args.output}: {error.strerror or error}") from error
    print(f"{len(chosen)} clips of the {args.part} part of {args.split} in {args.output}")
    return 0


def _check_alone(folder: Path, chosen: set[str], part: str) -> None:
    """`s2v score` takes every video in the folder: training clips beside the test's would be scored as the test's."""
    from data_modules.layouts import videos_below
    from s2v.errors import InputError

    others = [path for path in videos_below(folder) if path.relative_to(folder).as_posix() not in chosen]
    if others:
        raise InputError(
            f"{folder} holds other videos than the {part} part's clips, such as {others[0].relative_to(folder)}, and "
            "they would be scored together: give another folder"
        )


def write_clip_as_media(cached: Path, stem: Path, fps: float) -> None:
    """A cached clip as `stem`.mp4, .wav and .png, all or none: the cache's frames bit by bit, and its samples.

    Raises:
        InputError: the cached clip is missing or damaged.
        OSError: something can't be written.
    """
    import io
    import wave
    from contextlib import ExitStack

    import torch
    from PIL import Image

    from data_modules.clip_cache import read_clip
    from s2v.batch import SAMPLE_RATE
    from s2v.files.whole_file import whole_file
    from s2v.generation.mp4_writer import write_mp4

    frames, speech = read_clip(cached)
    sound = io.BytesIO()
    with wave.open(sound, "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(SAMPLE_RATE)
        stream.writeframes(speech.astype("<i2").tobytes())
    # not by OpenCV, whose libpng meets another library's zlib where FFmpeg is loaded too
    picture = io.BytesIO()
    Image.fromarray(frames[0].transpose(1, 2, 0)).save(picture, "PNG")
    heard = torch.from_numpy(speech).float() / 32768
    # no with_suffix: a dot may be part of the name
    with ExitStack() as stack:  # these get their names when the video has
        for suffix, content in ((".wav", sound.getvalue()), (".png", picture.getvalue())):
            stack.enter_context(whole_file(Path(f"{stem}{suffix}"))).write_bytes(content)
        write_mp4(f"{stem}.mp4", [torch.from_numpy(frames)], [heard], fps=fps, comment=COMMENT, lossless=True)
