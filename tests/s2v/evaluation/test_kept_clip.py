"""Kept clips: written and read, and systems beside each other at the same instants."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from s2v.errors import InputError
from s2v.evaluation.kept_clip import KeptClip, compare_systems, read_kept_clips


def clip(name: str, shade: int, frames: int = 10) -> KeptClip:
    pictures = torch.full((frames, 3, 32, 32), shade, dtype=torch.uint8)
    return KeptClip(name, f"title of {name}", torch.zeros_like(pictures), pictures, torch.zeros(frames * 640))


def test_written_and_read(tmp_path: Path) -> None:
    path = clip("a/b c", 7).write(tmp_path / "new")
    assert path.name == "a_b_c.safetensors"
    (found,) = read_kept_clips(tmp_path / "new")
    assert (found.clip_id, found.title) == ("a/b c", "title of a/b c")
    assert torch.equal(found.generated, clip("", 7).generated) and found.speech.shape == (6400,)
    assert read_kept_clips(tmp_path / "none") == []


def test_systems_beside_each_other(tmp_path: Path) -> None:
    for system, shade in (("one", 100), ("two", 200)):
        clip("shared", shade).write(tmp_path / system)
    clip("only here", 50).write(tmp_path / "one")
    files = compare_systems({name: tmp_path / name for name in ("one", "two")}, tmp_path / "out")
    assert [path.name for path in files] == ["figure.png", "shared.mp4"]
    with av.open(str(files[1])) as video:
        frames = [frame.to_ndarray(format="gray") for frame in video.decode(video=0)]
    assert np.shape(frames) == (10, 32, 96)
    assert np.abs(np.mean(frames, axis=(0, 1)).reshape(3, 32).mean(axis=1) - [0, 100, 200]).max() < 4
    with Image.open(files[0]) as figure:
        colours = {colour for _, colour in figure.getcolors(100_000) or []}
    assert {(0, 0, 0), (100, 100, 100), (200, 200, 200)} <= colours
    for path in (tmp_path / "two").iterdir():
        path.unlink()
    assert compare_systems({name: tmp_path / name for name in ("one", "two")}, tmp_path / "out") == []
    assert not files[0].exists() and not files[1].exists()  # of checkpoints before


def test_systems_of_two_sizes_stand_beside_each_other(tmp_path: Path) -> None:
    """32 x 32 and 64 x 48 (height x width), which is shown as 32 x 24."""
    clip("a", 100).write(tmp_path / "one")
    large = torch.full((10, 3, 64, 48), 200, dtype=torch.uint8)
    KeptClip("a", "a", torch.zeros_like(large), large, torch.zeros(6400)).write(tmp_path / "two")
    files = compare_systems({name: tmp_path / name for name in ("one", "two")}, tmp_path / "out")
    with av.open(str(files[1])) as video:
        frame = next(video.decode(video=0)).to_ndarray(format="gray").astype(float)
    assert frame.shape == (32, 32 + 32 + 24)
    assert np.abs(frame[:, [16, 48, 76]].mean(axis=0) - [0, 100, 200]).max() < 4


def test_nothing_kept_draws_nothing(tmp_path: Path) -> None:
    assert compare_systems({"one": tmp_path / "none"}, tmp_path / "out") == []
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="no kept clip, or damaged"):
        read_kept_clips(tmp_path)
