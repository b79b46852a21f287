"""Media files for the tests, written with PyAV alone."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_sound(path: Path, samples: np.ndarray, rate: int, codec: str, layout: str = "mono") -> Path:
    """Encode samples (channels, N) or (N,) in [-1, 1]; the container follows from the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        values = np.ascontiguousarray(np.atleast_2d(samples), dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(values, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_silent_video(path: Path, frames: int = 5) -> Path:
    """A video without a sound track."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(frames):
            black = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(black))
        container.mux(stream.encode(None))
    return path


def tone_with_click(seconds: float, rate: int, click: float, tail: float = 0.02) -> np.ndarray:
    """A quiet 440 Hz tone (N,) with one loud 2 ms click at `click` seconds and a loud last `tail` seconds."""
    time = np.arange(round(seconds * rate)) / rate
    samples = 0.05 * np.sin(2 * np.pi * 440 * time)
    samples[(time >= click) & (time < click + 0.002)] = 0.9
    at_end = time >= time[-1] - tail
    samples[at_end] = 0.5 * np.sin(2 * np.pi * 1000 * time[at_end])
    return samples
