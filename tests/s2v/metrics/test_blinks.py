"""The eye aspect ratio of drawn contours by hand, and blinks of ratios whose course is known."""

import math

import pytest
import torch
from torch import Tensor

from s2v.metrics.blinks import EYES, POINTS, blink_rate, count_blinks, eye_aspect_ratio

OPEN, SHUT = 0.3, 0.1


def face(first_lids: tuple[float, float], second_lids: tuple[float, float]) -> Tensor:
    """(68, 2): eyes 4 pixels wide whose lids are so far apart at the two places between the corners."""
    points = torch.full((POINTS, 2), 1000.0)
    for place, (near, far), left in zip(EYES, (first_lids, second_lids), (10.0, 30.0), strict=True):
        points[place] = torch.tensor([
            [left, 20.0],
            [left + 1, 20 - near / 2],
            [left + 3, 20 - far / 2],
            [left + 4, 20.0],
            [left + 3, 20 + far / 2],
            [left + 1, 20 + near / 2],
        ])  # fmt: skip
    return points


def course(text: str) -> Tensor:
    """A letter a frame: o open, s shut, h half, ? no face."""
    return torch.tensor([{"o": OPEN, "s": SHUT, "h": 0.22, "?": math.nan}[letter] for letter in text])


def test_ratio_by_hand() -> None:
    # (1 + 1.4) / (2 * 4) = 0.3 and (0.4 + 0.4) / 8 = 0.1
    landmarks = torch.stack([face((1, 1.4), (1, 1.4)), face((1, 1.4), (0.4, 0.4)), face((0, 0), (0, 0))])
    torch.testing.assert_close(eye_aspect_ratio(landmarks), torch.tensor([0.3, 0.2, 0.0]))


def test_ratio_knows_neither_size_nor_place_nor_roll() -> None:
    landmarks = face((1, 1.4), (0.4, 0.4))[None]
    turn = torch.tensor([[math.cos(0.4), -math.sin(0.4)], [math.sin(0.4), math.cos(0.4)]])
    torch.testing.assert_close(eye_aspect_ratio(7 * landmarks @ turn.T + 50), eye_aspect_ratio(landmarks))


def test_frames_without_landmarks_have_no_ratio() -> None:
    landmarks = torch.stack([face((1, 1), (1, 1)), torch.full((POINTS, 2), math.nan)])
    assert eye_aspect_ratio(landmarks).isnan().tolist() == [False, True]


@pytest.mark.parametrize(
    ("text", "blinks"),
    [
        ("oooooooooooooooooooo", 0),
        ("ooooosssooooooossoooooo", 2),
        ("oooooosooooooosooooooo", 0),  # a frame each: slips of the network
        ("sssoooooooooooooooss", 2),  # cut by the clip's ends
        ("ooooosshhssooooooooooooooo", 1),  # not quite open in between
        ("ooooohhhhhhooooooooooooooo", 0),  # never shut
        ("o" * 50 + "s" * 13 + "o" * 5, 0),  # 0.52 s: lowered eyes
        ("o" * 50 + "s" * 12 + "o" * 5, 1),
        ("oooooss??ssoooooooo?????oooo", 1),
        ("????", 0),
        ("", 0),
        ("o", 0),
    ],
)
def test_blinks_of_a_course(text: str, blinks: int) -> None:
    assert count_blinks(course(text)) == blinks


def test_narrow_eyes_are_no_blink_and_noise_neither() -> None:
    noise = torch.rand(100, generator=torch.Generator().manual_seed(0))
    assert count_blinks(0.12 + 0.02 * noise) == 0


def test_rate_counts_the_seconds_with_a_face() -> None:
    assert blink_rate(course("o" * 20 + "sss" + "o" * 27)) == pytest.approx(0.5)  # one in 50 frames
    assert blink_rate(course("o" * 20 + "sss" + "o" * 27 + "?" * 50)) == pytest.approx(0.5)
    assert math.isnan(blink_rate(course("??")))
