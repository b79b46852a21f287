"""Invented people."""

import numpy as np
import pytest

from data_modules.synthetic.speaker import invent_speaker


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_men_and_women_alternate_and_sound_it(seed: int) -> None:
    people = [invent_speaker(seed, index) for index in range(24)]
    assert [p.sex for p in people[:4]] == ["Male", "Female", "Male", "Female"]
    assert all(80 <= p.voice.f0 <= 148 for p in people if p.sex == "Male")
    assert all(165 <= p.voice.f0 <= 280.5 for p in people if p.sex == "Female")
    assert all((p.voice.tract > 1.06) == (p.sex == "Female") for p in people)
    assert all(20 <= p.face.age <= 68 for p in people)
    assert not any(p.face.beard or p.face.moustache for p in people if p.sex == "Female")


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_the_first_twelve_voices_are_well_apart(seed: int) -> None:
    voices = [invent_speaker(seed, index).voice for index in range(12)]
    # In units one clearly hears: a semitone, 4 % of tract length, 2 dB of tilt, breathiness of 0.05.
    points = np.array([(12 * np.log2(v.f0), 25 * v.tract, v.tilt_db / 2, v.breath / 0.05) for v in voices])
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1) + 99 * np.eye(12)
    assert distance.min() > 0.9


def test_no_two_of_the_first_six_share_hair_and_colour() -> None:
    for seed in range(5):
        looks = {(p.face.hair, p.face.hair_colour) for p in (invent_speaker(seed, i) for i in range(6))}
        assert len(looks) == 6


def test_face_and_voice_go_together() -> None:
    men = [invent_speaker(3, 2 * index) for index in range(60)]
    tract = [p.voice.tract for p in men]
    assert np.corrcoef(tract, [p.face.jaw for p in men])[0, 1] < -0.7
    assert np.corrcoef([p.voice.f0 for p in men], [p.face.brow_thickness for p in men])[0, 1] < -0.7
    assert np.corrcoef([p.voice.breath for p in men], [p.face.age for p in men])[0, 1] > 0.9


def test_a_speaker_does_not_depend_on_others_but_on_the_seed() -> None:
    assert invent_speaker(0, 5) == invent_speaker(0, 5)
    assert invent_speaker(0, 5) != invent_speaker(1, 5)
