"""`s2v export` as the tests call it, and what came of it."""

from pathlib import Path

import av
import numpy as np

from s2v.cli import main
from tests.s2v.generation.networks import speech_like

SPEECH = speech_like(1.313).numpy()  # 32.8 frames


def export(checkpoint: str, *arguments: str | Path) -> int:
    return main(["export", "--checkpoint", checkpoint, "--device", "cpu", *map(str, arguments)])


def pictures(path: Path) -> np.ndarray:
    """The frames (T, H, W, 3) of a video."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def failure(error: str) -> str:
    (line,) = [line for line in error.splitlines() if line.startswith("failed: ")]
    return line.removeprefix("failed: ")
