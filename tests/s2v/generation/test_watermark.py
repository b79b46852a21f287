"""The mark: how little it changes, that it is found after re-encoding, and not where there is none."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from watermark import TREATMENTS, Treatment, encoded, marked, measure, score

from s2v.cli import main
from s2v.generation.mp4_writer import write_mp4
from s2v.generation.sidecar import (
    Provenance,
    describe_origin,
    model_of,
    names_this_video,
    sidecar_of,
    write_sidecar,
)
from s2v.generation.watermark import MARK_VERSION, RATE, STRENGTH, WAVES, Watermark, key_phases
from s2v.generation.watermark_detection import MarkDetector
from tests.full import FULL


def still(frames: int, size: int = 64) -> np.ndarray:
    """A grey picture (T, size, size, 3) that does not move."""
    return np.full((frames, size, size, 3), 128, np.uint8)


def test_every_frame_changes_by_the_stated_strength_and_only_in_luma() -> None:
    change = marked(still(25)).astype(float) - 128
    assert (change[..., 0] == change[..., 1]).all() and (change[..., 1] == change[..., 2]).all()
    # Rounding to whole levels adds 1/12 to the mean square.
    assert np.sqrt((change**2).mean(axis=(1, 2, 3))) == pytest.approx((STRENGTH**2 + 1 / 12) ** 0.5, rel=0.02)
    assert 20 * np.log10(255 / STRENGTH) > 40
    assert np.abs(change[0] - change[10]).max() == 0  # 2.5 Hz at 25 fps: ten frames


def test_the_mark_is_the_one_that_earlier_videos_carry() -> None:
    """Version 1 in numbers: another mark would be found in new videos, and no longer in those that are out."""
    assert (MARK_VERSION, RATE, STRENGTH, len(WAVES)) == (1, 2.5, 2.2, 68)
    assert key_phases()[:2] == pytest.approx([0.7440978 + 0.6680707j, -0.3954015 + 0.9185084j], abs=1e-6)
    grey = np.full((6, 6, 3), 128, np.uint8)
    change = Watermark(6, 6, fps=30).add(grey, 4)[..., 0].astype(int) - 128
    expected = [[1, 0, 0, -1, -1, 1], [1, -1, -2, -2, 0, 1], [0, 6, -1, 3, -1, -1],
                [5, -6, -2, 1, -2, -2], [3, -2, -2, 2, -1, 1], [-1, 2, 0, 0, 0, 0]]  # fmt: skip
    assert np.abs(change - expected).max() <= 1  # another processor may round another way


def test_keys_differ() -> None:
    assert np.abs(key_phases(0)) == pytest.approx(np.ones(len(WAVES)))
    assert abs(np.vdot(key_phases(0), key_phases(1))) / len(WAVES) < 0.4


def test_black_white_and_tiny_pictures() -> None:
    for size, level in [(1, 0), (2, 255), (16, 0)]:
        picture = np.full((size, size, 3), level, np.uint8)
        made = Watermark(size, size, 25).add(picture, 3)
        assert (
            made.shape == picture.shape and np.abs(made.astype(int) - picture).max() <= 12
        )  # none wraps around


def test_a_short_or_empty_video_is_not_judged_and_a_still_one_is_unmarked() -> None:
    assert MarkDetector().score() is None
    assert score(still(40)) == 0
    assert score(marked(still(40))) > 10


def test_long_videos_are_judged_in_constant_memory() -> None:
    detector, mark = MarkDetector(), Watermark(64, 64, 25)
    for i in range(1_300):
        detector.watch(mark.add(still(1)[0], i), i / 25)
        assert len(detector._views[0]._pictures) < 500
    found = detector.score()
    assert found is not None and found > 10


@pytest.mark.slow
def test_found_after_re_encoding_resizing_and_cropping() -> None:
    wanted = [t for t in TREATMENTS if t.crf == 28 and t.crop <= 0.1 and not (t.crop and t.scale != 1)]
    result = measure(4, (*wanted, Treatment("as exported", crf=None)))
    assert result["psnr_db"]["least"] > 40
    found = [row["found"] for row in result["treatments"]]
    assert np.mean(found) >= 0.95, result
    assert max(row["false_alarms"] for row in result["treatments"]) == 0, result


@pytest.mark.slow
def test_found_after_cropping_resizing_and_encoding_together() -> None:
    (all_three,) = (t for t in TREATMENTS if t.crop and t.scale < 1)
    (row,) = measure(100 if FULL else 10, (all_three,))["treatments"]
    assert row["found"] >= (0.95 if FULL else 0.9) and row["false_alarms"] <= 0.01, row


def test_detect_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = torch.from_numpy(still(40)).permute(0, 3, 1, 2)
    (tmp_path / "a.wav").write_bytes(b"speech")
    origin = describe_origin(Provenance("0" * 64, mark=True), tmp_path / "a.wav")
    ours, plain = tmp_path / "ours.mp4", tmp_path / "plain.mp4"
    write_mp4(ours, [frames], mark=True, description=json.dumps(origin))
    write_sidecar(ours, origin, ours)
    write_mp4(plain, [frames], comment="a holiday")
    assert main(["detect", str(ours)]) == 0
    assert "mark found" in capsys.readouterr().out
    assert main(["detect", "--json", str(ours), str(plain)]) == 1
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["marked"] and first["metadata"] and first["sidecar"] == str(sidecar_of(ours))
    assert not (second["marked"] or second["metadata"] or second["sidecar"])
    assert main(["detect", "--json", str(tmp_path)]) == 1
    in_folder = [json.loads(line)["file"] for line in capsys.readouterr().out.splitlines()]
    assert in_folder == [str(ours), str(plain)]
    (tmp_path / "empty").mkdir()
    assert main(["detect", str(tmp_path / "empty"), str(ours)]) == 2
    assert f"no video in the folder {tmp_path / 'empty'}" in capsys.readouterr().err
    (tmp_path / "text.mp4").write_text("no video")
    assert main(["detect", str(tmp_path / "text.mp4")]) == 2
    assert "can't be read as a video" in capsys.readouterr().err
    assert main(["detect", str(tmp_path / "gone.mp4")]) == 2


def test_a_sidecar_belongs_to_one_file(tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    video.write_bytes(b"one")
    write_sidecar(video, {"synthetic": True, "model_sha256": "0" * 64}, video)
    assert names_this_video(video) and model_of(video) == "0" * 64
    video.write_bytes(b"another")
    assert not names_this_video(video) and model_of(video) is None
    for content in (b"[" * 100_000, b"no JSON", b"[1]", b"null", b"\xff\xfe", b""):
        sidecar_of(video).write_bytes(content)
        assert not names_this_video(video) and model_of(video) is None
    sidecar_of(video).unlink()
    assert not names_this_video(video) and model_of(video) is None


def test_the_benchmarks_own_measure_of_encoding() -> None:
    assert np.abs(encoded(still(3), 18).astype(int) - 128).max() <= 2
