"""`s2v doctor`: what of this machine works, what does not, and the command that mends it."""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from s2v.errors import InputError

_SAMPLE = 20
_MOST_TOUCHED = 200
"""Clips that are read because they were touched."""
_SPARE_GIB = 10


@dataclass(frozen=True)
class Check:
    """One line: `state` is ok, warning or wrong; `mend` is a command or an action, empty for ok."""

    state: str
    what: str
    found: str
    mend: str = ""


def add_doctor_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `s2v doctor` to `parser`."""
    parser.add_argument(
        "--cache",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="a clip cache to look at (repeatable)",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="files of weights to look at (repeatable)",
    )


def run_doctor(args: argparse.Namespace) -> int:
    """Print a line for every check; 1 if anything is wrong, else 0."""
    checks: list[Callable[[], Check]] = [check_python, check_torch, check_devices, check_media, check_disk]
    checks += [lambda path=path: check_cache(path) for path in args.cache]  # type: ignore[misc]
    checks += [lambda path=path: check_weights(path) for path in args.weights]  # type: ignore[misc]
    wrong = False
    for run in [*checks, check_wandb]:
        check = run()
        wrong = wrong or check.state == "wrong"
        mend = f" -> {check.mend}" if check.mend else ""
        print(" ".join(f"{check.state:7} {check.what}: {check.found}{mend}".splitlines()), flush=True)
    return 1 if wrong else 0


def check_python() -> Check:
    """3.10 to 3.12."""
    good = (3, 10) <= sys.version_info[:2] <= (3, 12)
    mend = "" if good else "make distclean install PYTHON=python3.11"
    return Check("ok" if good else "wrong", "Python", platform.python_version(), mend)


def check_torch() -> Check:
    """Whether torch imports and computes."""
    try:
        import torch

        right = torch.ones(2, 2).matmul(torch.ones(2, 2)).sum().item() == 8
    except (ImportError, OSError, RuntimeError) as error:
        return Check("wrong", "torch", f"does not work ({error})", "make distclean install")
    return Check("ok" if right else "wrong", "torch", torch.__version__, "" if right else "make install")


def check_devices() -> Check:
    """GPUs, or what training without one means."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return Check("wrong", "devices", f"torch does not import ({error})", "make distclean install")
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return Check("ok", "devices", ", ".join(names))
    found = f"no CUDA device, {os.cpu_count()} CPU cores"
    return Check("warning", "devices", found, "use a machine with a GPU for full-size training")


def check_media() -> Check:
    """A video with sound, written as `s2v export` does, comes back through decord."""
    try:
        import decord
        import torch

        from s2v.generation.mp4_writer import write_mp4

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "probe.mp4")
            write_mp4(path, [torch.zeros(3, 3, 32, 32, dtype=torch.uint8)], [torch.zeros(1920)])
            count = len(decord.VideoReader(str(path)))
    except Exception as error:  # a codec library fails in ways of its own
        return Check("wrong", "decoder and encoder", f"{type(error).__name__}: {error}", "make install")
    good = count == 3
    found = f"decord {decord.__version__} read {count} of 3 frames of H.264 and AAC"
    return Check("ok" if good else "wrong", "decoder and encoder", found, "" if good else "make install")


def check_disk() -> Check:
    """Room for caches and runs in the current folder."""
    free = shutil.disk_usage(".").free / 2**30
    if free >= _SPARE_GIB:
        return Check("ok", "disk", f"{free:.0f} GiB free")
    return Check(
        "warning", "disk", f"{free:.1f} GiB free, {_SPARE_GIB} are wise", "remove old folders in runs/"
    )


def check_cache(path: Path) -> Check:
    """The manifest can be read, and clips agree with their checksums: a sample, and those touched since they were made.

    That they were touched says nothing by itself: copying does it too.
    """
    from data_modules.clip_cache import read_clip
    from data_modules.clip_manifest import MANIFEST_NAME, read_manifest
    from data_modules.preparation_records import is_as_written, read_records

    again = f"s2v prepare --root CORPUS --layout LAYOUT --cache {path}"
    try:
        rows = read_manifest(path / MANIFEST_NAME)
        usable = [row for row in rows if row.ok]
        records = read_records(path)
        touched = [
            row for row in usable if row.clip_id in records and not is_as_written(records[row.clip_id], path)
        ]
        sample = random.Random(0).sample(usable, min(_SAMPLE, len(usable)))
        looked_at = {row.clip_id: row for row in (*touched[:_MOST_TOUCHED], *sample)}
        for row in looked_at.values():
            read_clip(path / row.cache_file)
    except (InputError, OSError) as error:
        said = str(error)
        return Check("wrong", "cache", said, "" if "`s2v prepare --root" in said else again)
    if not usable:
        return Check("wrong", "cache", f"{path} has no usable clip among {len(rows)}", again)
    return Check(
        "ok", "cache", f"{path}: {len(usable)} of {len(rows)} clips usable, {len(looked_at)} read whole"
    )


def check_weights(path: Path) -> Check:
    """What a file of weights is, whether it is whole and as written (PyTorch's files have checksums), and its hash."""
    try:
        from s2v.files.file_hash import sha256_of_file
        from s2v.weight_files.weight_file import checked_weight_file
        from s2v.weight_files.weight_outline import damaged_part, kind_of_weights

        kind = kind_of_weights(checked_weight_file(path))
        if damaged := damaged_part(path):
            return Check(
                "wrong", "weights", f"{path} is damaged ({damaged} fails its checksum)", "copy it again"
            )
        return Check("ok", "weights", f"{path} ({kind}) sha256 {sha256_of_file(path)}")
    except (InputError, OSError) as error:
        message, _, mend = str(error).rpartition(": ")
        return Check("wrong", "weights", message or str(error), mend)


def check_wandb() -> Check:
    """Whether runs go to W&B or stay here."""
    from s2v.training.wandb_login import is_logged_in

    mode = os.environ.get("WANDB_MODE")
    if mode in ("offline", "disabled"):
        return Check("ok", "W&B", f"WANDB_MODE={mode}: nothing is sent")
    if is_logged_in():
        return Check("ok", "W&B", "logged in, runs are sent")
    return Check("warning", "W&B", "not logged in, runs stay on this disk", "wandb login")
