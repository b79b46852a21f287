"""What made the videos that `s2v score` is given, as far as its user states it: a checkpoint, and its teachers."""

from pathlib import Path

from s2v.errors import InputError, warn
from s2v.evaluation.provenance import arguments_of_training, files_trained_with
from s2v.evaluation.video_pairs import VideoPair
from s2v.files.file_hash import sha256_of_file
from s2v.generation.sidecar import model_of, sidecar_of
from s2v.weight_files.weight_file import checked_weight_file


def teachers_of(checkpoint: str | None, stated: list[str]) -> set[str] | None:
    """Hashes of what the system learned from; None where neither option says it.

    Raises:
        InputError: a file is missing, or the checkpoint is empty, a web page or a Git-LFS pointer.
    """
    for path in (*stated, *filter(None, [checkpoint])):
        if not Path(path).is_file():
            raise InputError(f"no file at {path}: --checkpoint and --teacher name what made the videos")
    found = {sha256_of_file(path) for path in stated}
    if checkpoint is None:
        return found or None
    arguments = arguments_of_training(str(checked_weight_file(checkpoint)))
    if arguments is None and not stated:
        warn(
            f"{checkpoint} does not say what it learned from, as a checkpoint of `s2v fit` does: name it with "
            "--teacher, or the report can't tell whether a judge was a teacher"
        )
        return None
    taught = files_trained_with(arguments or {})
    if taught is None:
        warn(
            f"a file that {checkpoint} learned from is gone or can't be read: the report can't tell whether a judge "
            "was a teacher"
        )
        return None
    return found | taught | {sha256_of_file(checkpoint)}


def check_maker(file: str, sha256: str, pairs: list[VideoPair]) -> None:
    """No video may be, by its sidecar, of another checkpoint than `file`; what has no sidecar is believed.

    Raises:
        InputError: naming the first that is.
    """
    videos = [pair.generated for pair in pairs if pair.generated is not None]
    others = [video for video in videos if model_of(video) not in (None, sha256)]
    if others:
        raise InputError(
            f"{len(others)} of {len(videos)} videos were made by another checkpoint than {file}, as "
            f"{sidecar_of(others[0])} says: name that one with --checkpoint, or leave the option out"
        )
