"""The crop box: medians and margins worked out by hand; detectors on real faces."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data_modules.clip_refused import ClipRefused
from data_modules.decode import decode_frames, probe_video
from data_modules.face_crop import (
    CropBox,
    FaceDetector,
    central_square,
    face_box,
    haar_cascade,
    resized,
    yunet,
)
from s2v.errors import InputError


def boxes(*found: "tuple[float, float, float, float] | None") -> "tuple[list[np.ndarray], FaceDetector]":
    """Frames of 200 x 100 (W x H), and a detector that gives these answers one after the other."""
    answers = iter(found)
    return [np.zeros((100, 200, 3), np.uint8)] * len(found), lambda frame: next(answers)


def test_median_box_with_margin() -> None:
    box = (80.0, 30.0, 30.0, 40.0)  # centre (95, 50), longer side 40, with margin 56
    assert face_box(*boxes(box, box, box, (0.0, 0.0, 5.0, 5.0), None)) == CropBox(67, 22, 56, 56)


def test_the_box_stays_inside() -> None:
    assert face_box(*boxes((0.0, 0.0, 40.0, 50.0))) == CropBox(0, 0, 70, 70)
    assert face_box(*boxes((150.0, 20.0, 60.0, 90.0))) == CropBox(100, 0, 100, 100)


def test_the_box_is_square_on_the_screen() -> None:
    """200 x 100 pixels of 3/2 are shown as 300 x 100; the detector sees them so."""
    widths = []

    def detect(frame: np.ndarray) -> "tuple[float, float, float, float]":
        widths.append(frame.shape[1])
        return 150.0, 20.0, 30.0, 40.0  # centre (165, 40) on the screen, with margin 56

    assert face_box([np.zeros((100, 200, 3), np.uint8)], detect, pixel_aspect=1.5) == CropBox(92, 12, 37, 56)
    assert widths == [300]


def test_of_two_people_one_is_cut_out_and_not_the_wall_between_them() -> None:
    left, right = (10.0, 30.0, 20.0, 20.0), (160.0, 30.0, 20.0, 20.0)
    assert face_box(*boxes(left, right, left, right)) == face_box(*boxes(left))


def test_too_few_faces_are_refused() -> None:
    with pytest.raises(ClipRefused, match="no face: found in 1 of 4"):
        face_box(*boxes((1.0, 1.0, 9.0, 9.0), None, None, None))


def test_central_square_is_square_on_the_screen() -> None:
    assert central_square(96, 48) == CropBox(24, 0, 48, 48)
    assert central_square(48, 97) == CropBox(0, 24, 48, 48)
    assert central_square(1, 1) == CropBox(0, 0, 1, 1)
    # 720 x 576 shown as 4:3 = 768 x 576: pixels 16/15 as wide as high, 540 of them make 576
    assert central_square(720, 576, 16 / 15) == CropBox(90, 0, 540, 576)


def test_shrinking_averages() -> None:
    """Every fourth column white becomes even grey; bilinear sampling reads the two black ones in the middle."""
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::4] = 255
    small = resized(stripes, CropBox(0, 0, 64, 64), 16)
    assert small.shape == (16, 16, 3)
    assert np.abs(small.astype(int) - 64).max() <= 1


@pytest.mark.parametrize("kind", ["haar", "yunet"])
def test_detectors_find_real_faces(shared_dir: Path, kind: str) -> None:
    make: Callable[[], FaceDetector] = (
        haar_cascade if kind == "haar" else lambda: yunet(shared_dir / "weights" / "yunet_n_dynamic.onnx")
    )
    video = shared_dir / "corpus" / "voxceleb2_layout" / "mp4" / "id90001" / "talkvid_0" / "00001.mp4"
    (frame,) = decode_frames(probe_video(video), np.array([5]))
    wide = np.zeros((400, 900, 3), np.uint8)
    wide[100:324, 500:724] = frame
    detect = make()
    for picture, left, top in ((frame, 0, 0), (wide, 500, 100)):
        found = detect(picture)
        assert found is not None
        x, y, width, height = found
        assert left <= x + width / 2 - 100 + 40 <= left + 80
        assert top + 50 <= y + height / 2 <= top + 150
        assert 80 < max(width, height) < 200
    assert detect(np.full((224, 224, 3), 128, np.uint8)) is None


def test_a_wrong_detector_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no face detector at"):
        yunet(tmp_path / "none.onnx")
    (tmp_path / "a.onnx").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(InputError, match="not a YuNet face detector"):
        yunet(tmp_path / "a.onnx")
