"""The process' resident memory really falls, or its pages really stay; nothing in use is touched."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from s2v.freed_memory import give_back_freed_memory, keep_freed_memory

HOLES, VALUES = 1000, 15_000
"""Tensors of 60 kB: too small for glibc to give each a block of its own."""


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_holes_between_kept_tensors_go_back() -> None:
    tensors = [torch.full((VALUES,), float(number)) for number in range(2 * HOLES)]
    full = resident_bytes()
    kept = tensors[::2]
    del tensors
    assert full - resident_bytes() < 0.1 * HOLES * 4 * VALUES  # that is what the C library keeps
    assert give_back_freed_memory()
    assert full - resident_bytes() > 0.8 * HOLES * 4 * VALUES
    assert all(bool((tensor == 2.0 * place).all()) for place, tensor in enumerate(kept))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_kept_memory_is_not_cleared_again() -> None:
    """In a process of its own, as nothing takes the setting back: 20 times 80 MB would be 400,000 pages."""
    code = (
        "import resource, torch\n"
        "from s2v.freed_memory import keep_freed_memory\n"
        "assert keep_freed_memory()\n"
        "def faults():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    tensors = [torch.zeros(5 * 2**20) for _ in range(4)]\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "first, later = faults(), [faults() for _ in range(24)][4:]  # the heap grows a little at first\n"
        "assert first > 1000 > sum(later), (first, later)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(platform.libc_ver()[0] == "glibc", reason="the C library is glibc")
def test_other_c_libraries_are_left_alone() -> None:
    assert give_back_freed_memory() is False
    assert keep_freed_memory() is False
