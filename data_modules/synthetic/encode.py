"""Writing a clip: H.264 video with AAC speech, 16 kHz WAV; each under a temporary name, then renamed."""

import wave
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from s2v.batch import SAMPLE_RATE
from s2v.errors import InputError
from s2v.files.whole_file import whole_file

QUALITY = {"crf": "18", "preset": "veryfast", "threads": "1"}
SOUND = {"b": "96k", "aac_coder": "fast"}


@contextmanager
def _writing(path: Path) -> Iterator[Path]:
    """`whole_file`, with one line for a folder or file that cannot be written."""
    try:
        with whole_file(path) as partial:
            yield partial
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot write {path}: {reason}; choose a folder you can write to") from error


def write_text(path: Path, text: str) -> None:
    """A text file in UTF-8."""
    with _writing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_wav(path: Path, speech: np.ndarray) -> None:
    """Speech (N,) int16 at 16 kHz as mono PCM."""
    with _writing(path) as partial, wave.open(str(partial), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(speech.astype("<i2").tobytes())


def write_video(path: Path, frames: np.ndarray, speech: np.ndarray, fps: Fraction) -> None:
    """Frames (T, H, W, 3) uint8 RGB and speech (N,) int16; the container follows the suffix (.flv, .mp4)."""
    # an absolute path can't be read as an address, which a folder named a:b is
    with (
        _writing(path) as partial,
        av.open(str(partial.absolute()), "w", format=path.suffix[1:]) as container,
    ):
        video = container.add_stream("libx264", rate=fps, options=QUALITY)
        video.height, video.width = frames.shape[1:3]
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono", options=SOUND)
        sound = av.AudioFrame.from_ndarray(speech[None], format="s16", layout="mono")
        sound.sample_rate = SAMPLE_RATE
        sound.pts = 0
        packets = list(audio.encode(sound)) + list(audio.encode(None))
        for picture in frames:
            packets += video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24"))
        packets += video.encode(None)
        container.mux(packets)
