"""Alignment by landmarks: what a known turn, scale and shift must be undone to."""

import math
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from s2v.errors import InputError
from s2v.models.face_alignment import ARCFACE_LANDMARKS, align_face, find_landmarks, open_landmark_detector

LANDMARKS = torch.tensor(ARCFACE_LANDMARKS)


def smooth_picture(x: Tensor, y: Tensor) -> Tensor:
    """A picture (3, h, w) known at every place."""
    return 127 + 60 * torch.stack([torch.sin(x / 17), torch.cos(y / 13), torch.sin((x + y) / 23)])


def aligned_places() -> tuple[Tensor, Tensor]:
    y, x = torch.meshgrid(torch.arange(112.0), torch.arange(112.0), indexing="ij")
    return x, y


def test_landmarks_in_place_change_nothing() -> None:
    picture = smooth_picture(*aligned_places())
    torch.testing.assert_close(align_face(picture, LANDMARKS), picture, rtol=0, atol=1e-2)


@pytest.mark.parametrize("scale", [0.6, 1.0, 1.3, 2.4])
def test_undoes_turn_scale_and_shift(scale: float) -> None:
    angle = math.radians(20)
    turn = torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    shift = torch.tensor([70.0, 30.0])
    landmarks = LANDMARKS @ turn * scale + shift
    side = 400
    y, x = torch.meshgrid(torch.arange(float(side)), torch.arange(float(side)), indexing="ij")
    # What the picture shows at p belongs at q with p = q turn scale + shift.
    q = (torch.stack([x, y], dim=-1) - shift) @ turn.T / scale
    result = align_face(smooth_picture(q[..., 0], q[..., 1]), landmarks)
    expected = smooth_picture(*aligned_places())
    inside = slice(30, 100)  # corners of a turned square lie outside the picture
    torch.testing.assert_close(result[:, inside, inside], expected[:, inside, inside], rtol=0, atol=2.0)


def test_large_faces_are_averaged_not_skipped() -> None:
    stripes = torch.zeros(3, 448, 448)
    stripes[..., ::4] = 255  # of four columns, bilinear sampling reads the black ones in the middle
    aligned = align_face(stripes, (LANDMARKS + 0.5) * 4 - 0.5)
    assert (aligned[:, 4:-4, 4:-4] - 255 / 4).abs().max() < 8


def test_not_a_detector_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="YuNet"):
        open_landmark_detector(str(tmp_path / "missing.onnx"))
    (tmp_path / "text.onnx").write_text("not a network")
    with pytest.raises(InputError, match="YuNet"):
        open_landmark_detector(str(tmp_path / "text.onnx"))


def test_no_face_no_landmarks(shared_dir: Path) -> None:
    detector = open_landmark_detector(str(shared_dir / "weights" / "yunet_n_dynamic.onnx"))
    assert find_landmarks(torch.full((3, 96, 128), 90, dtype=torch.uint8), detector) is None


@pytest.mark.parametrize("side", [160, 640])
def test_landmarks_are_the_largest_faces_on_the_picture_as_it_came(side: int) -> None:
    """A pixel's centre lies half a pixel from its corner, whatever the size that the detector looks at."""
    points = np.arange(10.0)

    class Detector:
        def detect(self, canvas: np.ndarray) -> tuple[int, np.ndarray]:
            assert canvas.shape == (320, 320, 3)
            assert canvas[0, 0].tolist() == [30, 20, 10]  # blue first
            faces = [[0, 0, width, width, *(points * width), 0.9] for width in (2, 9, 5)]
            return 1, np.array(faces, np.float32)

    detector: Any = Detector()
    picture = torch.tensor([10, 20, 30], dtype=torch.uint8)[:, None, None].expand(3, side // 2, side)
    found = find_landmarks(picture, detector)
    assert found is not None
    expected = (torch.from_numpy(points).view(5, 2) * 9 + 0.5) * side / 320 - 0.5
    torch.testing.assert_close(found, expected.float())


def test_threads_use_the_detector_one_after_the_other() -> None:
    """As those of a Dask worker, which share it."""

    class Detector:
        inside, most = 0, 0

        def detect(self, canvas: Any) -> tuple[int, None]:
            self.inside += 1
            self.most = max(self.most, self.inside)
            time.sleep(0.05)
            self.inside -= 1
            return 1, None

    detector: Any = Detector()
    picture = torch.zeros(3, 96, 128, dtype=torch.uint8)
    threads = [threading.Thread(target=find_landmarks, args=(picture, detector)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert detector.most == 1
