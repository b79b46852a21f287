"""What a report's numbers were made with: data, checkpoint, judges, versions."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import s2v
from s2v.evaluation.judges import FaceJudge, FidJudge, PerceptualJudge, SyncJudge
from s2v.evaluation.landmark_judge import LandmarkJudge
from s2v.files.file_hash import sha256_of_file
from s2v.weight_files.stage_weights import strings_of
from s2v.weight_files.weight_source import file_of_source

_WEIGHT_SUFFIXES = (".ckpt", ".pt", ".pth", ".model", ".dat", ".safetensors", ".hdf5", ".h5", ".onnx")

PACKAGES = [
    "torch",
    "torchvision",
    "torchaudio",
    "torchmetrics",
    "lightning",
    "numpy",
    "safetensors",
    "decord",
    "av",
    "opencv-python-headless",
    "onnxruntime",
    "dlib-bin",
]


def package_versions() -> dict[str, str]:
    """Installed versions of what decides the numbers."""
    found = {"python": platform.python_version(), "s2v": s2v.__version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """Commit of the source tree this package runs from, "+changes" if files differ; None outside a clone."""
    root = Path(s2v.__file__).resolve().parent.parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != root:
            return None
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def describe_judge(
    judge: FaceJudge | SyncJudge | PerceptualJudge | FidJudge | LandmarkJudge | None,
    teachers: set[str] | None,
) -> dict[str, Any] | None:
    """File, hash and origin of a judge, and whether the system learned from it.

    Of a SyncNet also `padding`, "zeros" or "none": what lips are compared with beyond a clip's ends.

    Args:
        judge: None where none was configured.
        teachers: hashes of the files the system's training used as teachers; None where that is not known.
    """
    if judge is None:
        return None
    is_teacher = None if teachers is None else judge.sha256 in teachers
    found = {
        "file": judge.source,
        "sha256": judge.sha256,
        "origin": judge.origin,
        "teacher_used_as_judge": is_teacher,
    }
    if isinstance(judge, SyncJudge):
        found["padding"] = "zeros" if judge.mode == "stock" else "none"
    return found


def files_trained_with(hyper_parameters: dict[str, Any]) -> set[str] | None:
    """Hashes of all files that a training's arguments name, and that the checkpoints among them name in turn.

    A stage-2 checkpoint names the stage-1 checkpoint, which names the teachers.

    Returns:
        None when one of them is gone or can't be read: who taught can't be told then.
    """
    found: set[str] = set()
    waiting, complete = [hyper_parameters], True
    while waiting:
        for text in strings_of(waiting.pop()):
            kind, _, after_kind = text.partition(":")
            if kind == "class":  # its name is not imported: only its file matters
                _, _, after_kind = after_kind.partition(":")
            names = (text, after_kind, file_of_source(after_kind))
            path = next((Path(name) for name in names if name and _is_file(name)), None)
            if path is None:
                complete = complete and not names[-1].endswith(_WEIGHT_SUFFIXES)
                complete = complete and not text.endswith(_WEIGHT_SUFFIXES)
                continue
            digest = sha256_of_file(str(path))
            if digest in found:
                continue
            found.add(digest)
            if path.suffix == ".ckpt":
                content = _content_of(path)
                if content is None:
                    complete = False
                    continue
                waiting.append(content.get("hyper_parameters", {}))
    return found if complete else None


def arguments_of_training(checkpoint: str) -> dict[str, Any] | None:
    """What a checkpoint of `s2v fit` says that its module was made with; None for any other file."""
    content = _content_of(Path(checkpoint))
    arguments = None if content is None else content.get("hyper_parameters")
    return arguments if isinstance(arguments, dict) else None


def _content_of(checkpoint: Path) -> dict[str, Any] | None:
    """None where it can't be read as a dictionary. Its weights are not read."""
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # each kind of damage, and of other file, raises another
        return None
    return content if isinstance(content, dict) else None


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False
