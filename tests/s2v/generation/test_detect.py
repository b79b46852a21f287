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
from s2v.generation.provenance_mark import ProvenanceMark
from s2v.generation.sidecar import sidecar_of, write_sidecar
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
    mark, path = ProvenanceMark(64, 64, 25), tmp_path / "raw.h264"
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
    assert main(["detect", str(speech)]) == 1
    assert capsys.readouterr().err == f"s2v: error: {speech} has no video in it: give a video file\n"
