"""Agreement in gender by hand, on a circle."""

import math

import pytest
import torch
from torch import Tensor

from s2v.metrics.gender import gender_agreement, gender_chance
from tests.s2v.metrics.test_identity import on_circle

WOMAN, MAN, UNKNOWN = 0, 1, -1


def same(found: Tensor, expected: list[float]) -> bool:
    return torch.equal(found.nan_to_num(-1), torch.tensor(expected, dtype=torch.float64).nan_to_num(-1))


def test_the_nearest_other_person_by_hand() -> None:
    """Two women at 0 and 20 degrees, two men at 90 and 120: a clip each."""
    speakers, genders = torch.arange(4), torch.tensor([WOMAN, WOMAN, MAN, MAN])
    real = on_circle(0, 20, 90, 120)
    assert same(gender_agreement(real, real, speakers, genders), [1, 1, 1, 1])
    # between the other woman (20) and the nearest man (90) the first woman's picture turns at 55; the second's at 45
    assert same(gender_agreement(on_circle(54, 44, 90, 120), real, speakers, genders), [1, 1, 1, 1])
    assert same(gender_agreement(on_circle(56, 46, 90, 120), real, speakers, genders), [0, 0, 1, 1])
    # the first man's at 90 himself is left out: 120 and 20 meet at 70
    assert same(gender_agreement(on_circle(0, 20, 71, 120), real, speakers, genders), [1, 1, 1, 1])
    assert same(gender_agreement(on_circle(0, 20, 69, 120), real, speakers, genders), [1, 1, 0, 1])
    # of the three others one is of the same gender
    assert gender_chance(speakers, genders).tolist() == pytest.approx([1 / 3] * 4)


def test_a_speakers_face_is_the_mean_of_all_clips() -> None:
    speakers, genders = torch.tensor([5, 5, 9, 7, 7]), torch.tensor([MAN, MAN, WOMAN, WOMAN, WOMAN])
    real = on_circle(80, 100, 40, 0, 0)  # the man at 90, the women at 40 and 0
    # the man has no other man beside him, so nobody asks
    assert same(gender_agreement(real, real, speakers, genders), [math.nan, math.nan, 1, 1, 1])
    # a picture of the woman at 40: the others are at 0 and 90, which meet at 45
    found = [
        gender_agreement(on_circle(0, 0, at, 0, 0), real, speakers, genders)[2].item() for at in (44, 46)
    ]
    assert found == [1, 0]
    assert same(gender_chance(speakers, genders), [math.nan, math.nan, 0.5, 0.5, 0.5])


def test_who_has_no_label_neither_asks_nor_answers() -> None:
    speakers = torch.arange(5)
    genders = torch.tensor([WOMAN, WOMAN, MAN, MAN, UNKNOWN])
    real = on_circle(0, 20, 90, 120, 55)
    queries = on_circle(54, 20, 90, 120, 0)  # nearest to the unknown, then to the woman
    assert same(gender_agreement(queries, real, speakers, genders), [1, 1, 1, 1, math.nan])
    nobody = torch.full((5,), UNKNOWN)
    assert gender_agreement(queries, real, speakers, nobody).isnan().all()
    assert gender_chance(speakers, nobody).isnan().all()


def test_one_gender_alone_is_not_asked() -> None:
    """Every answer would be right."""
    genders = torch.tensor([WOMAN, WOMAN, WOMAN])
    assert gender_agreement(on_circle(0, 1, 2), on_circle(0, 1, 2), torch.arange(3), genders).isnan().all()
    assert gender_chance(torch.arange(3), genders).isnan().all()


def test_a_tie_is_no_agreement() -> None:
    real = torch.tensor([[1.0, 0.0]]).expand(4, -1)
    genders = torch.tensor([WOMAN, WOMAN, MAN, MAN])
    assert same(gender_agreement(real, real, torch.arange(4), genders), [0, 0, 0, 0])


def test_random_faces_agree_by_chance() -> None:
    generator = torch.Generator().manual_seed(0)
    speakers = torch.arange(20).repeat_interleave(100)
    genders = (speakers >= 12).long()  # 12 of one, 8 of the other
    real = torch.nn.functional.normalize(torch.randn(2000, 8, generator=generator), dim=1)
    # as close to one person's face as to another's: a face of one of the 20 speakers drawn at random
    centres = torch.stack([real[speakers == s].mean(dim=0) for s in range(20)])
    queries = centres[torch.randint(0, 20, (2000,), generator=generator)]
    chance = gender_chance(speakers, genders)
    assert chance.mean().item() == pytest.approx(0.6 * 11 / 19 + 0.4 * 7 / 19)
    # a face that was the own speaker's, who is left out, is answered by their nearest; the others by themselves
    other = (queries != centres[speakers]).any(dim=1)
    agrees = gender_agreement(queries, real, speakers, genders)[other]
    assert agrees.mean().item() == pytest.approx(chance[other].mean().item(), abs=0.03)


def test_no_queries() -> None:
    none = torch.zeros(0, dtype=torch.long)
    assert gender_agreement(torch.zeros(0, 4), torch.zeros(0, 4), none, none).shape == (0,)
