"""The process' resident memory really falls, or its pages really stay; nothing in use is touched."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from s2v.process.freed_memory import OWN_SETTINGS, give_back_freed_memory, keep_freed_memory

HOLES, VALUES = 1000, 15_000
"""Tensors of 60 kB: too small for glibc to give each a block of its own."""


FAULTS = """
import resource, torch
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.zeros(3 * 2**18) for _ in range(30)]
    while tensors:
        tensors.pop()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
"""
"""90 MB, taken and freed again: by itself glibc gets them as 23,000 fresh pages three times before it learns."""


def without_own_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in OWN_SETTINGS}


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


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_kept_memory_is_not_cleared_again() -> None:
    """In a process of its own, as nothing takes the setting back."""
    code = (
        "from s2v.process.freed_memory import keep_freed_memory\n"
        "assert keep_freed_memory()\n"
        f"{FAULTS}first, second, third = faults(), faults(), faults()\n"
        "assert second + third < first, (first, second, third)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=without_own_settings())


@pytest.mark.parametrize("name", OWN_SETTINGS)
def test_settings_of_the_environment_stay(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1000000")
    assert keep_freed_memory() is False


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_a_fit_keeps_freed_memory() -> None:
    """What `before_fit` leaves behind in its process, asked of the next tensors."""
    code = (
        "from types import SimpleNamespace\n"
        "from s2v.training.training_cli import TrainingCLI\n"
        "TrainingCLI.before_fit(SimpleNamespace(config={'fit': {}}))\n"
        f"{FAULTS}first, second, third = faults(), faults(), faults()\n"
        "assert second + third < first, (first, second, third)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=without_own_settings())


@pytest.mark.skipif(platform.libc_ver()[0] == "glibc", reason="the C library is glibc")
def test_other_c_libraries_are_left_alone() -> None:
    assert give_back_freed_memory() is False
    assert keep_freed_memory() is False
