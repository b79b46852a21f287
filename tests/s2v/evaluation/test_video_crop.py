"""`s2v score --crop face`: the boxes are worked out by hand, with a detector that finds green."""

import json
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from data_modules.clip_cache import read_clip
from data_modules.clip_manifest import read_manifest
from data_modules.clip_preparation import prepare_clip
from data_modules.face_crop import CropBox, FaceDetector
from data_modules.layouts import FoundClip
from data_modules.preparation import prepare
from data_modules.preparation_settings import PreparationSettings
from s2v.cli import main
from s2v.evaluation.clip_rows import TestClip
from s2v.evaluation.video_crop import VideoCrop
from s2v.evaluation.video_pairs import VideoPair, read_pair, real_frames
from tests.data_modules.media import tone, write_media
from tests.s2v.evaluation.judge_checkpoints import save_syncnet

SIDE = 20
"""Of the green face; the box is 1.4 times as large."""


def green_detector(weights: str) -> FaceDetector:
    def detect(frame: np.ndarray) -> "tuple[float, float, float, float] | None":
        rows, columns = np.nonzero((frame[..., 1] > 150) & (frame[..., 0] < 100))
        if len(rows) == 0:
            return None
        left, top = columns.min(), rows.min()
        return float(left), float(top), float(columns.max() - left + 1), float(rows.max() - top + 1)

    return detect


@pytest.fixture(autouse=True)
def find_green(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2v.evaluation.video_crop.load_detector", green_detector)


def scene(
    left: int, top: int, width: int, height: int, count: int = 20, green: int = 200
) -> list[np.ndarray]:
    """A green face with a mark in it on black."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[top : top + SIDE, left : left + SIDE, 1] = green
    picture[top + 12 : top + 16, left + 4 : left + 16] = 0
    return [picture] * count


def test_real_faces_are_cut_as_prepare_cuts_them(
    shared_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    speaker = shared_dir / "corpus" / "voxceleb2_layout" / "mp4" / "id90001"
    video = sorted(speaker.rglob("*.mp4"))[0]
    copy = tmp_path / "corpus" / "mp4" / video.relative_to(speaker.parent)
    copy.parent.mkdir(parents=True)
    shutil.copy(video, copy)
    prepare(tmp_path / "corpus", "voxceleb2", tmp_path / "cache", crop="face", workers=1, progress=False)
    (row,) = read_manifest(tmp_path / "cache" / "manifest.csv")
    cached, _ = read_clip(tmp_path / "cache" / row.cache_file)
    frames = real_frames(VideoPair("a", video, None), VideoCrop())
    assert frames is not None and np.array_equal(frames.numpy()[: len(cached)], cached)


def write(folder: Path, real: list[np.ndarray], generated: list[np.ndarray]) -> VideoPair:
    for name, frames in (("real", real), ("generated", generated)):
        write_media(folder / name / "a.mp4", frames, sound=tone(len(frames) / 25), options={})
    return VideoPair("a", folder / "real/a.mp4", folder / "generated/a.mp4")


def test_box_by_hand() -> None:
    frames = torch.from_numpy(np.stack(scene(30, 10, 96, 64))).permute(0, 3, 1, 2)
    crop = VideoCrop(14)
    box = crop.box(frames)
    assert box == CropBox(26, 6, 28, 28)
    cut = crop.cut(frames, box)
    assert cut.shape == (20, 3, 14, 14)
    assert cut[0, 1, :2].max() == 0 and cut[0, 1, 2:12, 2:4].min() == 200  # a margin of 4, halved


def test_a_pair_of_one_size_has_the_real_ones_box(tmp_path: Path) -> None:
    """The generated face is 6 pixels to the right: in the pictures that are compared it still is."""
    pair = write(tmp_path, scene(30, 10, 96, 64), scene(36, 10, 96, 64))
    clip = read_pair(pair, crop=VideoCrop(28))
    assert isinstance(clip, TestClip) and isinstance(clip.generated, torch.Tensor)
    assert clip.real.shape == clip.generated.shape == (20, 3, 28, 28)
    real, made = (frames[0, 1].float() for frames in (clip.real, clip.generated))
    # the columns that left the box are lost, the others are where they were
    assert torch.allclose(real[:, 2:22], made[:, 8:28], atol=24)
    assert torch.equal(clip.real, real_frames(pair, VideoCrop(28)) if pair.real else clip.real)


def test_a_pair_of_two_sizes_has_a_box_each(tmp_path: Path) -> None:
    pair = write(tmp_path, scene(30, 10, 96, 64), scene(60, 40, 128, 96))
    clip = read_pair(pair, crop=VideoCrop(28))
    assert isinstance(clip, TestClip) and isinstance(clip.generated, torch.Tensor)
    assert torch.allclose(clip.real.float(), clip.generated.float(), atol=24)


@pytest.mark.parametrize("rotation", [0, 90])
def test_oblong_pixels_are_shown_square(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rotation: int
) -> None:
    """A camcorder's pixels, 4/3 as wide as high: a face that is a square on the screen is one in the cut, too."""
    stored = np.zeros((96, 96, 3), np.uint8)
    stored[36:60, 30:48, 1] = 200  # 24 high; 18 wide, shown as 24
    path = write_media(
        tmp_path / "a.mp4", [stored] * 30, sound=tone(1.2), rotation=rotation, pixel_aspect=Fraction(4, 3)
    )
    scored = real_frames(VideoPair("a", path, None), VideoCrop(34))
    assert scored is not None
    monkeypatch.setattr("data_modules.clip_preparation._detector", green_detector)
    clip = FoundClip("a", "a.mp4")
    row = prepare_clip(clip, tmp_path, tmp_path / "cache", PreparationSettings(size=34, crop="face"))
    assert row.ok, row.reason
    prepared, _ = read_clip(tmp_path / "cache" / row.cache_file)
    for frames in (scored.numpy(), prepared):
        rows, columns = np.nonzero(frames[5, 1] > 100)
        assert np.ptp(rows) + 1 == pytest.approx(24, abs=1)
        assert np.ptp(columns) + 1 == pytest.approx(24, abs=1)


def test_no_face_is_a_reason(tmp_path: Path) -> None:
    faceless = scene(0, 0, 96, 64, green=0)
    pair = write(tmp_path / "a", scene(30, 10, 96, 64), scene(0, 0, 64, 64, green=0))
    clip = read_pair(pair, crop=VideoCrop(28))
    assert isinstance(clip, TestClip)
    assert clip.generated == "generated video: no face: found in 0 of 12 frames looked at"
    pair = write(tmp_path / "b", faceless, scene(30, 10, 96, 64))
    assert read_pair(pair, crop=VideoCrop(28)) == "real video: no face: found in 0 of 12 frames looked at"
    assert real_frames(pair, VideoCrop(28)) is None


def test_score_says_how_it_cropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, scene(30, 10, 96, 64), scene(60, 40, 128, 96))
    where = [
        "--real",
        str(tmp_path / "real"),
        "--generated",
        str(tmp_path / "generated"),
        "--bootstrap",
        "10",
    ]
    where += ["--syncnet", save_syncnet(tmp_path / "syncnet.ckpt"), "--output", str(tmp_path / "out")]
    assert main(["score", *where, "--crop", "face"]) == 0
    meta = json.loads((tmp_path / "out/report.json").read_text())["meta"]
    assert meta["image_size"] == "128 x 128" and meta["crop"].startswith("face: one box a video")
    assert "not square" not in capsys.readouterr().err + (tmp_path / "out/report.md").read_text()
    assert main(["score", *where]) == 0
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "pictures are not square (96 x 64, 128 x 96)" in error
    report = (tmp_path / "out/report.md").read_text()
    assert "which SyncNet and the face judges take for face crops" in report
    assert (
        "pictures that are not square (96 x 64, 128 x 96): SyncNet and the face judges see them squashed"
        in report
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--detector x", "--detector is for --crop face"),
        ("--crop-size 64", "--crop-size is for --crop face"),
        ("--crop face --crop-size 0", "--crop-size must be at least 1, got 0"),
        ("--crop face --detector nowhere.onnx", "no face detector at nowhere.onnx"),
    ],
)
def test_wrong_options(options: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--real", ".", "--generated", ".", *options.split()]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
