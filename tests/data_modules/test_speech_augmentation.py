"""Augmented speech: each change against what it says it does, in decibels."""

import pytest
import torch
from torch import Tensor

from data_modules.speech_augmentation import SpeechAugmentation, equalised

SECOND = torch.arange(16000) / 16000


def decibels(changed: Tensor, speech: Tensor) -> Tensor:
    """Of each row."""
    return 10 * torch.log10(changed.square().mean(-1) / speech.square().mean(-1))


def tone(hertz: float, rows: int = 1) -> Tensor:
    return (0.1 * torch.sin(2 * torch.pi * hertz * SECOND)).repeat(rows, 1)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_nothing_asked_nothing_changed() -> None:
    same = SpeechAugmentation(gain_db=0, equaliser_db=0, noise_snr_db=None)
    assert torch.equal(same(tone(440)), tone(440))


def test_the_gain_stays_in_its_range_and_reaches_both_sides() -> None:
    louder = SpeechAugmentation(gain_db=6, equaliser_db=0, noise_snr_db=None)
    gains = decibels(louder(tone(440, 60), seeded(0)), tone(440))
    assert -6 <= gains.min() < -4 and 4 < gains.max() <= 6


@pytest.mark.parametrize(("hertz", "wanted"), [(0, 4.0), (1768, -2.0), (8000, -8.0)])
def test_the_equaliser_has_its_gains_at_its_points(hertz: int, wanted: float) -> None:
    """Two points, 4 dB at 0 Hz and -8 dB at 8 kHz (2,840 mel); half-way, 1,420 mel, 1,768 Hz, lies -2 dB."""
    heard = 0.1 * torch.cos(2 * torch.pi * hertz * SECOND).repeat(2, 1)
    found = equalised(heard, torch.tensor([[4.0, -8.0], [1.0, 1.0]]))
    assert decibels(found, heard).tolist() == pytest.approx([wanted, 1], abs=0.01)


@pytest.mark.parametrize("length", [16000, 15999])
def test_the_equaliser_moves_nothing_in_time(length: int) -> None:
    click = torch.zeros(1, length)
    click[0, 5000] = 1
    found = equalised(click, torch.normal(0.0, 3.0, (1, 8), generator=seeded(0)))[0]
    assert len(found) == length and found.abs().argmax() == 5000
    assert torch.allclose(found[4000:5000], found[5001:6001].flip(0), atol=1e-6)


def test_noise_is_as_weak_as_asked() -> None:
    noisy = SpeechAugmentation(gain_db=0, equaliser_db=0, noise_snr_db=20)
    ratios = -decibels(noisy(tone(440, 60), seeded(0)) - tone(440), tone(440))
    assert 19.5 < ratios.min() < 24 and 46 < ratios.max() < 50.5


def test_noise_is_as_weak_beside_a_soft_voice_as_beside_a_loud_one() -> None:
    noisy = SpeechAugmentation(gain_db=0, equaliser_db=0, noise_snr_db=20)
    speech = tone(440, 20) * torch.tensor([0.01, 1.0]).repeat(10)[:, None]
    ratios = -decibels(noisy(speech, seeded(0)) - speech, speech)
    assert ratios.min() > 19.5 and ratios.max() < 50.5


def test_what_becomes_too_loud_is_clipped() -> None:
    louder = SpeechAugmentation(gain_db=6, equaliser_db=0, noise_snr_db=None)
    assert louder(9 * tone(440, 20), seeded(0)).abs().max() == 1


def test_each_row_is_changed_by_itself_as_the_generator_says() -> None:
    speech, change = tone(440, 3), SpeechAugmentation()
    draw = seeded(1)
    first, second = change(speech, draw), change(speech, draw)
    assert torch.equal(change(speech, seeded(1)), first)
    rows = [*first, *second, speech[0]]
    assert not any(torch.allclose(a, b, atol=1e-3) for i, a in enumerate(rows) for b in rows[:i])
    assert first.abs().max() <= 1


def test_without_a_generator_pytorchs_own_draws() -> None:
    torch.manual_seed(0)
    first = SpeechAugmentation()(tone(440))
    torch.manual_seed(0)
    assert torch.equal(SpeechAugmentation()(tone(440)), first)


def test_speech_in_half_precision_stays_so() -> None:
    changed = SpeechAugmentation()(tone(440).bfloat16())
    assert changed.dtype == torch.bfloat16 and changed.isfinite().all()
