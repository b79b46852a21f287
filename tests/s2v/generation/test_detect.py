"""What `s2v detect` says of a file, and its exit status."""

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from s2v.cli import main
from s2v.generation.detect import examine
from s2v.generation.mp4_writer import write_mp4
from s2v.generation.sidecar import sidecar_of, write_sidecar
from s2v.generation.watermark import Watermark
from s2v.generation.watermark_detection import Inside, inside_bars
from tests.s2v.generation.media import write_sound


def write_grey(path: Path, frames: int = 40, fps: float = 25, mark: bool = True, **settings: Any) -> Path:
    """A still grey video of 64 x 64 pixels."""
    grey = torch.full((frames, 3, 64, 64), 128, dtype=torch.uint8)
    write_mp4(path, [grey], fps=fps, mark=mark, **settings)
    return path


def test_one_unmarked_file_of_several_shows_in_the_status(tmp_path: Path) -> None:
    ours, plain = write_grey(tmp_path / "ours.mp4"), write_grey(tmp_path / "plain.mp4", mark=False)
    for files, status in [([ours], 0), ([ours, plain], 1), ([plain, ours], 1)]:
        assert main(["detect", *map(str, files)]) == status


def test_too_short_a_video_is_neither_marked_nor_unmarked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = write_grey(tmp_path / "short.mp4", frames=19)
    assert main(["detect", "--json", str(short)]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["marked"] is None and found["score"] is None and found["metadata"]
    assert main(["detect", str(short)]) == 1
    assert capsys.readouterr().out.startswith(f"{short}: too short to look for the mark; its metadata")


def test_a_line_tells_mark_metadata_and_sidecar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours = write_grey(tmp_path / "ours.mp4")
    write_sidecar(ours, {"synthetic": True}, ours)
    plain = write_grey(tmp_path / "plain.mp4", mark=False, comment="a holiday")
    main(["detect", str(ours), str(plain)])
    told, nothing = capsys.readouterr().out.splitlines()
    assert told.startswith(f"{ours}: mark found (score ")
    assert told.endswith(f", found from 4.0); its metadata says: synthetic; described by {sidecar_of(ours)}")
    assert nothing.startswith(f"{plain}: no mark found (score ") and nothing.endswith(", found from 4.0)")


def test_names_cannot_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The video's own, and once more in its sidecar's."""
    video = write_grey(tmp_path / "a\x1b[2J\nb.mp4", frames=5)
    write_sidecar(video, {"synthetic": True}, video)
    main(["detect", str(video)])
    line = capsys.readouterr().out
    assert "described by" in line and line.count("a?[2J?b.mp4") == 2
    assert line.rstrip("\n").isprintable()


def test_the_mark_swings_in_seconds_whatever_the_frame_rate(tmp_path: Path) -> None:
    assert examine(write_grey(tmp_path / "fast.mp4", frames=80, fps=50)).marked


def test_a_stream_without_times_counts_as_25_frames_a_second(tmp_path: Path) -> None:
    mark, path = Watermark(64, 64, 25), tmp_path / "raw.h264"
    with av.open(str(path), "w", format="h264") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for index in range(40):
            picture = mark.add(np.full((64, 64, 3), 128, np.uint8), index)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    assert examine(path).marked


def test_a_damaged_video_is_judged_by_what_can_be_decoded(tmp_path: Path) -> None:
    path = write_grey(tmp_path / "a.mp4", frames=100)
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.pos]
    content = bytearray(path.read_bytes())
    for place, size in places[50:]:
        content[place : place + size] = b"\xff" * size
    path.write_bytes(content)
    assert examine(path).marked


def test_sound_alone_is_no_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    speech = write_sound(tmp_path / "a.wav", np.zeros(8_000), 16_000, "pcm_s16le")
    assert main(["detect", str(speech)]) == 2
    assert capsys.readouterr().err == f"s2v: error: {speech} has no video in it: give a video file\n"


def test_found_in_bars_and_mirrored(tmp_path: Path) -> None:
    """As editors and video sites show a square picture; the same of an unmarked one is not."""
    noise = np.random.default_rng(0).integers(40, 216, (8, 8, 3), np.uint8)
    frames = (
        torch.from_numpy(np.kron(noise, np.ones((12, 12, 1), np.uint8)))
        .permute(2, 0, 1)
        .expand(50, 3, 96, 96)
    )

    def shown(marked: bool, bars: tuple[int, int, int, int], mirrored: bool) -> bool | None:
        write_mp4(tmp_path / "first.mp4", [frames], mark=marked)
        with av.open(str(tmp_path / "first.mp4")) as container:
            decoded = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
        again = torch.from_numpy(decoded).permute(0, 3, 1, 2)
        again = again.flip(-1) if mirrored else again
        write_mp4(tmp_path / "again.mp4", [torch.nn.functional.pad(again, bars, value=16)], mark=False)
        return examine(tmp_path / "again.mp4").marked

    for bars in ((0, 0, 0, 0), (38, 38, 0, 0), (0, 0, 36, 40)):
        for mirrored in (False, True):
            assert shown(True, bars, mirrored)
            assert not shown(False, bars, mirrored)


def test_bars_are_of_one_colour_and_stand_still() -> None:
    rng = np.random.default_rng(0)
    moving = [rng.integers(0, 256, (20, 30), np.uint8) for _ in range(3)]
    assert inside_bars(moving) is None and inside_bars([]) is None
    framed = [np.pad(luma, ((0, 0), (4, 6)), constant_values=16) for luma in moving]
    assert inside_bars(framed) == Inside(slice(0, 20), slice(4, 34))
    assert inside_bars([np.full((20, 30), 16, np.uint8)] * 3) is None  # nothing would be left
    fading = [np.pad(luma, ((4, 0), (0, 0)), constant_values=60 * time) for time, luma in enumerate(moving)]
    assert inside_bars(fading) is None
