"""A checkpoint is replaced in one step, or stays as it was."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from s2v.checkpoint_io import WholeCheckpointIO
from s2v.errors import InputError
from tests.conftest import REPOSITORY, fill_disk
from tests.full import FULL

WRITER = """
import sys, torch
from s2v.checkpoint_io import WholeCheckpointIO
for number in range(10_000):
    WholeCheckpointIO().save_checkpoint({"number": number, "weights": torch.full((500_000,), number)}, sys.argv[1])
"""


def test_what_is_saved_is_loaded_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "new" / "last.ckpt"
    for number in (1, 2):
        WholeCheckpointIO().save_checkpoint({"number": number}, path)
        assert torch.load(path, weights_only=True) == {"number": number}
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.slow
def test_killed_while_writing_the_file_is_whole(tmp_path: Path) -> None:
    path, draw = tmp_path / "last.ckpt", random.Random(0)
    for _ in range(20 if FULL else 1):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], cwd=REPOSITORY)
        before = path.stat().st_ino if path.exists() else 0
        while not path.exists() or path.stat().st_ino == before:
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        content = torch.load(path, weights_only=True)
        assert bool((content["weights"] == content["number"]).all())
    assert {item.name for item in tmp_path.iterdir()} <= {"last.ckpt", ".last.ckpt.partial"}


def test_a_full_disk_is_one_line_and_the_old_checkpoint_stays(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    WholeCheckpointIO().save_checkpoint({"number": 1}, path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(
            InputError, match=r"last\.ckpt can't be written .* is whole: go on from it$"
        ) as raised:
            WholeCheckpointIO().save_checkpoint({"weights": torch.zeros(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert "\n" not in str(raised.value)
    assert torch.load(path, weights_only=True) == {"number": 1}
    assert os.listdir(tmp_path) == ["last.ckpt"]


@pytest.mark.parametrize("left", [0, 8192])
def test_a_full_disk_is_called_full(left: int, small_disk: Path) -> None:
    """Where something could still be written, PyTorch's own error comes after the system's, and hides it."""
    fill_disk(small_disk, left)
    with pytest.raises(InputError, match=r"last\.ckpt can't be written \(the disk is full\); make room$"):
        WholeCheckpointIO().save_checkpoint({"weights": torch.zeros(100_000)}, small_disk / "last.ckpt")
    assert os.listdir(small_disk) == ["filler"]
