"""Spread between speakers, by hand."""

import math

import numpy as np
import pytest
import torch

from s2v.metrics.diversity import SpeakerPictures, mean_picture, spread_ratio


def flat(level: int, frames: int = 3) -> torch.Tensor:
    return torch.full((frames, 3, 48, 40), level, dtype=torch.uint8)


def test_mean_picture_averages_frames() -> None:
    picture = mean_picture(torch.cat([flat(10), flat(30)]))
    assert picture.min().item() == pytest.approx(20) == picture.max().item()
    assert mean_picture(flat(7, frames=70)).shape == (3 * 32 * 32,)


def test_distances_between_flat_speakers_are_their_grey_levels() -> None:
    pictures = SpeakerPictures()
    for name, level in (("ben", 40), ("ann", 10), ("ann", 20), ("cem", 100)):
        pictures.add(name, mean_picture(flat(level)))
    assert pictures.speakers == ["ann", "ben", "cem"] and pictures.clips("ann") == 2
    np.testing.assert_allclose(
        pictures.distances(pictures.speakers), [[0, 25, 85], [25, 0, 60], [85, 60, 0]], atol=1e-6
    )


def test_ratio_of_all_speakers_and_of_draws() -> None:
    real = np.array([[0.0, 10, 20], [10, 0, 30], [20, 30, 0]])
    generated = np.array([[0.0, 5, 5], [5, 0, 5], [5, 5, 0]])
    statistic = spread_ratio(generated, real)
    # all: (5 + 5 + 5) / (10 + 20 + 30); first twice, second once: 5 / 10; one speaker alone: nothing to compare
    values = statistic(np.array([[1.0, 1, 1], [2, 1, 0], [3, 0, 0]]))
    assert values[:2].tolist() == pytest.approx([0.25, 0.5]) and math.isnan(values[2])


def test_one_face_for_all_is_zero() -> None:
    real = np.array([[0.0, 10], [10, 0]])
    assert spread_ratio(np.zeros((2, 2)), real)(np.ones((1, 2))).tolist() == [0.0]
