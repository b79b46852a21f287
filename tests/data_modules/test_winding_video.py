"""Videos in which decord does not find the frame that it is asked for: each frame shows its number."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from data_modules.decode import decode_frames, probe_video

BITS = 9
HEVC = {
    "x265-params": "keyint=25:min-keyint=25:scenecut=0:log-level=none"
}  # open groups of pictures are its default
OPEN = {"g": "25", "sc_threshold": "0", "x264-params": "open-gop=1:bframes=3"}


def write(path: Path, codec: str, fps: int, count: int, options: dict[str, str]) -> Path:
    """Frame i has i in binary, a bright or a dark bar for each bit."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in range(count):
            picture = np.full((96, 160, 3), 40, np.uint8)
            for bit in range(BITS):
                picture[16:80, 8 + 16 * bit : 22 + 16 * bit] = 220 if number >> bit & 1 else 40
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def shown(frame: np.ndarray) -> int:
    return sum(1 << bit for bit in range(BITS) if frame[24:72, 11 + 16 * bit : 19 + 16 * bit].mean() > 130)


@pytest.mark.parametrize(
    ("name", "codec", "options", "fps", "wanted"),
    [
        ("broadcast.ts", "libx264", {}, 25, np.arange(2, 200)),  # where sound begins 80 ms after the picture
        ("broadcast.ts", "libx264", {}, 25, np.arange(200)),
        ("phone.mp4", "libx265", HEVC, 50, np.arange(1, 400, 2)),
        ("open.mp4", "libx264", OPEN, 60, (np.arange(195) * 2.4 + 1.2).astype(int)),
        ("closed.mp4", "libx264", {"g": "25"}, 50, np.arange(1, 400, 2)),
    ],
)
def test_each_frame_is_the_one_asked_for(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], fps: int, wanted: np.ndarray
) -> None:
    track = probe_video(write(tmp_path / name, codec, fps, int(wanted[-1]) + 2, options))
    assert [shown(frame) for frame in decode_frames(track, wanted)] == wanted.tolist()
    assert track.winding == (name != "closed.mp4")


def cut(source: Path, target: Path, first: int, fps: int) -> Path:
    """What is stored from frame `first` on, not encoded anew, with its times."""
    with av.open(str(source)) as read, av.open(str(target), "w") as written:
        stream = written.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if (
                packet.dts is not None
                and packet.pts is not None
                and packet.dts * packet.time_base >= first / fps
            ):
                packet.stream = stream
                written.mux(packet)
    return target


@pytest.mark.parametrize(
    ("options", "first"), [({"g": "25", "sc_threshold": "0"}, 35), (OPEN, 22)], ids=["amid a group", "open"]
)
def test_pictures_that_do_not_decode_have_no_time(
    tmp_path: Path, options: dict[str, str], first: int
) -> None:
    whole = write(tmp_path / "whole.mp4", "libx264", 25, 100, options)
    track = probe_video(cut(whole, tmp_path / "cut.mkv", first, 25))
    begins = round(float(track.times[0]) * 25)
    assert first < begins <= 50 and track.winding
    numbers = np.arange(len(track.times))
    assert [shown(frame) for frame in decode_frames(track, numbers)] == list(range(begins, 100))
