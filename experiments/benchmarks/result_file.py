"""The JSON file of a benchmark: its numbers, and the machine and code they were measured with."""

import json
import os
import platform
from pathlib import Path
from typing import Any

import torch

from s2v.evaluation.provenance import git_commit, package_versions
from s2v.files.whole_file import write_whole_file


def write_result(path: Path | str, result: dict[str, Any]) -> None:
    """Write `result` with `machine` beside its own keys; the folder is made.

    Args:
        path: the file.
        result: what json takes.
    """
    text = json.dumps(result | {"machine": machine()}, indent=1) + "\n"
    write_whole_file(Path(path), text.encode("utf-8"))


def machine() -> dict[str, Any]:
    """Processor, cores that this process may use, what of its instructions changes times, GPU, and versions."""
    found: dict[str, Any] = {"processor": processor(), "cores": len(os.sched_getaffinity(0))}
    found["instructions"] = torch.backends.cpu.get_cpu_capability()
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found | {"commit": git_commit(), "packages": package_versions()}


def processor(listing: Path = Path("/proc/cpuinfo")) -> str:
    """Its name, where Linux tells it, otherwise its kind."""
    try:
        lines = listing.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
