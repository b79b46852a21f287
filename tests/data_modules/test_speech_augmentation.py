"""Augmented speech: each change against what it says it does, in decibels."""

import numpy as np
import pytest

from data_modules.speech_augmentation import SpeechAugmentation, equalised

SECOND = np.arange(16000) / 16000


def decibels(changed: np.ndarray, speech: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(changed**2) / np.mean(speech**2)))


def tone(hertz: float) -> np.ndarray:
    return (0.1 * np.sin(2 * np.pi * hertz * SECOND)).astype(np.float32)


def test_nothing_asked_nothing_changed() -> None:
    same = SpeechAugmentation(gain_db=0, equaliser_db=0, noise_snr_db=None)
    assert np.array_equal(same(tone(440), np.random.default_rng(0)), tone(440))


def test_the_gain_stays_in_its_range_and_reaches_both_sides() -> None:
    louder = SpeechAugmentation(gain_db=6, equaliser_db=0, noise_snr_db=None)
    gains = [decibels(louder(tone(440), np.random.default_rng(seed)), tone(440)) for seed in range(60)]
    assert -6 <= min(gains) < -4 and 4 < max(gains) <= 6


@pytest.mark.parametrize(("hertz", "wanted"), [(0, 4.0), (1768, -2.0), (8000, -8.0)])
def test_the_equaliser_has_its_gains_at_its_points(hertz: int, wanted: float) -> None:
    """Two points, 4 dB at 0 Hz and -8 dB at 8 kHz (2,840 mel); half-way, 1,420 mel, 1,768 Hz, lies -2 dB."""
    heard = (0.1 * np.cos(2 * np.pi * hertz * SECOND)).astype(np.float32)
    assert decibels(equalised(heard, np.array([4.0, -8.0])), heard) == pytest.approx(wanted, abs=0.01)


def test_the_equaliser_moves_nothing_in_time() -> None:
    click = np.zeros(16000, np.float32)
    click[5000] = 1
    found = equalised(click, np.random.default_rng(0).normal(0, 3, 8))
    assert np.abs(found).argmax() == 5000
    assert np.allclose(found[4000:5000], found[5001:6001][::-1], atol=1e-6)


def test_noise_is_as_weak_as_asked() -> None:
    noisy = SpeechAugmentation(gain_db=0, equaliser_db=0, noise_snr_db=20)
    ratios = []
    for seed in range(60):
        noise = noisy(tone(440), np.random.default_rng(seed)) - tone(440)
        ratios.append(-decibels(noise, tone(440)))
    assert 19.5 < min(ratios) < 24 and 46 < max(ratios) < 50.5


def test_it_is_a_function_of_the_draw() -> None:
    one, two, other = (SpeechAugmentation()(tone(440), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, two) and not np.allclose(one, other)
    assert one.dtype == np.float32 and np.abs(one).max() <= 1
