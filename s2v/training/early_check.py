"""What a command lacks, looked for before its loggers begin: found later, it would leave an empty W&B run behind."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from s2v.errors import InputError
from s2v.weight_files.face_kinds import FACE_KINDS, unknown_kind
from s2v.weight_files.weight_file import checked_weight_file
from s2v.weight_files.weight_source import files_of_source


def check_early(parts: Iterable[Any], stage: str, resuming: bool) -> None:
    """Whether the files of weights that the parts will read are there, and the clips, their split and their labels.

    Args:
        parts: module, data module, callbacks. Those with `weight_sources(stage, resuming)` say what they will read,
            purpose -> source or None; those with `untrained()` what of them would stay random; those with
            `look_at_clips()` have clips, if it finds any; those with `check_data(stage, data)` need something of these.
        stage: fit, validate, test or predict.
        resuming: whether a checkpoint brings the module's own weights.

    Raises:
        InputError: naming what is missing, or does not go together.
    """
    parts = list(parts)
    data = None
    for part in parts:
        if hasattr(part, "weight_sources"):
            for purpose, source in part.weight_sources(stage, resuming).items():
                if source:
                    _check_source(source, purpose)
        if stage == "fit" and not resuming and hasattr(part, "untrained") and (fault := part.untrained()):
            rank_zero_warn(fault)
        if hasattr(part, "look_at_clips") and part.look_at_clips():
            data = part
    if data is None:
        return
    for part in parts:
        if hasattr(part, "check_data"):
            part.check_data(stage, data)


def _check_source(source: str, purpose: str) -> None:
    for file in files_of_source(source):
        if not Path(file).is_file():
            kind, colon, _ = source.partition(":")
            if colon and kind.isidentifier() and kind not in (*FACE_KINDS, "class"):
                raise InputError(f"{purpose}: {unknown_kind(kind, source)}")
            newest = Path(file).with_name("last.ckpt")
            if Path(file).name == "best.ckpt" and newest.is_file():
                raise InputError(
                    f"{purpose}: no file at {file}, whose training was stopped before its first validation: go on with "
                    f"it from {newest}, or give that"
                )
            raise InputError(f"{purpose}: no file at {file}; train or fetch it first, or give another path")
        try:
            checked_weight_file(file)
        except InputError as error:  # it is empty, a Git-LFS pointer or a web page
            raise InputError(f"{purpose}: {error}") from None
