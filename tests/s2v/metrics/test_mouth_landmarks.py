"""Mouths of drawn contours: lengths by hand, and what they must not depend on."""

import math

import pytest
import torch
from torch import Tensor

from s2v.metrics.mouth_landmarks import (
    MOUTH,
    mouth_landmark_distance,
    mouth_opening,
    mouth_opening_correlation,
    mouth_opening_range,
)
from tests.s2v.metrics.test_blinks import face

BETWEEN_EYES = 20.0
"""Pixels, of `face`: its eyes' corners are at 10 and 14, and at 30 and 34."""


def mouth(opening: float) -> Tensor:
    """(68, 2): a face whose lips' inner middles are `opening` pixels apart, the mouth's other points on a line."""
    points = face((1, 1), (1, 1))
    points[MOUTH] = torch.tensor([[22.0 + place, 50.0] for place in range(20)])
    points[62], points[66] = (  # as 300-W numbers them
        torch.tensor([22.0, 50 - opening / 2]),
        torch.tensor([22.0, 50 + opening / 2]),
    )
    return points


def clip(*openings: float) -> Tensor:
    return torch.stack([mouth(opening) for opening in openings])


NOBODY = torch.full((1, 68, 2), math.nan)


def test_opening_by_hand() -> None:
    torch.testing.assert_close(mouth_opening(clip(0, 2, 5)), torch.tensor([0.0, 2, 5]) / BETWEEN_EYES)
    seen = mouth_opening(torch.cat([clip(2), NOBODY]))
    assert float(seen[0]) == pytest.approx(0.1) and bool(seen[1].isnan())


def test_distance_by_hand() -> None:
    """Opening by 4 more pixels moves two of twenty points by two."""
    assert mouth_landmark_distance(clip(6), clip(2)) == pytest.approx(2 * 2 / 20 / BETWEEN_EYES)
    assert mouth_landmark_distance(clip(2, 6), clip(2, 2)) == pytest.approx(2 * 2 / 20 / BETWEEN_EYES / 2)
    assert mouth_landmark_distance(clip(2), clip(2, 6)) == pytest.approx(
        2 * 2 / 20 / BETWEEN_EYES / 2
    )  # held still


def test_frames_without_a_face_are_left_out() -> None:
    with_gap = torch.cat([clip(2), NOBODY, clip(6)])
    assert mouth_landmark_distance(with_gap, clip(2, 9, 2)) == pytest.approx(2 * 2 / 20 / BETWEEN_EYES / 2)
    assert math.isnan(mouth_landmark_distance(NOBODY, clip(2)))


def test_neither_place_nor_size_of_the_face_matters() -> None:
    torch.manual_seed(0)
    real = clip(*(4 * torch.rand(9)).tolist())
    apart = mouth_landmark_distance(clip(*[3.0] * 9), real)
    assert mouth_landmark_distance(2.5 * clip(*[3.0] * 9) + 70, real) == pytest.approx(apart, rel=1e-4)
    torch.testing.assert_close(mouth_opening(2.5 * real + 70), mouth_opening(real))


def test_one_misplaced_face_changes_no_other_frames_lengths() -> None:
    """The eyes' distance is the clip's median: a slip of the network in one frame is no other scale."""
    seen = torch.cat([clip(2, 2), 10 * clip(2), clip(2, 2)])
    torch.testing.assert_close(mouth_opening(seen), torch.tensor([2.0, 2, 20, 2, 2]) / BETWEEN_EYES)


def test_correlation_is_pearsons_over_frames_with_two_faces() -> None:
    torch.manual_seed(0)
    made, real = torch.rand(20), torch.rand(20)
    expected = float(torch.corrcoef(torch.stack([made, real]))[0, 1])
    assert mouth_opening_correlation(made, real) == pytest.approx(expected, abs=1e-6)
    gap = torch.tensor([math.nan])
    assert mouth_opening_correlation(
        torch.cat([made, gap, gap]), torch.cat([real, real[:1], gap])
    ) == pytest.approx(expected, abs=1e-6)
    assert mouth_opening_correlation(3 * real + 1, real) == pytest.approx(1)
    assert math.isnan(mouth_opening_correlation(torch.ones(20), real))
    assert math.isnan(mouth_opening_correlation(gap, real[:1]))


def test_range_is_how_much_it_moves() -> None:
    torch.manual_seed(0)
    real = torch.rand(20)
    assert mouth_opening_range(0.25 * real.roll(3) + 1, real) == pytest.approx(0.25)
    assert mouth_opening_range(torch.ones(20), real) == 0
    assert math.isnan(mouth_opening_range(real, torch.ones(20)))
