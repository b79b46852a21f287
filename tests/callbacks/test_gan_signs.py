import re

import pytest
import torch

from callbacks.gan_complaints import complaint
from callbacks.gan_signs import diversity, gradient_norm, loss_over_chance, motion, win_rate
from s2v.losses.least_squares import discriminator_loss


@pytest.mark.parametrize(
    ("real", "fake", "rate"),
    [
        ([0.9, 0.8], [0.1, 0.2], 1.0),
        ([0.2, 0.4], [0.9, 0.7], 0.0),
        ([0.9, 0.1], [0.1, 0.9], 0.5),
        ([0.51, 0.49], [0.49, 0.51], 0.5),  # between the two targets, 0 and 1
        ([0.9], [0.1, 0.9, 0.9, 0.9], 0.5 * (1 + 1 / 4)),  # both kinds count alike, however many there are
    ],
)
def test_win_rate_by_hand(real: list[float], fake: list[float], rate: float) -> None:
    assert win_rate(torch.tensor(real), torch.tensor(fake)).item() == pytest.approx(rate)


def test_loss_over_chance_is_1_where_everything_scores_a_half_and_0_where_all_is_right() -> None:
    half = torch.full((3, 2), 0.5)
    assert loss_over_chance(half, half).item() == pytest.approx(1)
    assert loss_over_chance(torch.ones(2), torch.zeros(5)).item() == 0
    real, fake = torch.rand(4), torch.rand(4)
    assert loss_over_chance(real, fake).item() == pytest.approx(4 * discriminator_loss(real, fake).item())


def test_diversity_by_hand() -> None:
    frames = torch.zeros(3, 1, 3, 2, 2)
    frames[1], frames[2] = 0.3, 1.0  # pairs differ by 0.3, 1.0 and 0.7
    assert diversity(frames).item() == pytest.approx(2.0 / 3)
    assert diversity(frames[:1].expand(4, -1, -1, -1, -1)).item() == 0


def test_motion_by_hand() -> None:
    frames = torch.tensor([0.0, 0.1, 0.4]).view(1, 3, 1, 1, 1).expand(2, 3, 3, 2, 2)
    assert motion(frames).item() == pytest.approx(0.2)


def test_gradient_norm_is_torchs() -> None:
    layer = torch.nn.Linear(3, 2)
    assert gradient_norm(layer.parameters()) is None
    layer(torch.randn(4, 3)).square().sum().backward()
    expected = torch.nn.utils.clip_grad_norm_(layer.parameters(), float("inf"))
    torch.testing.assert_close(gradient_norm(layer.parameters()), expected)


@pytest.mark.parametrize(
    ("sign", "value", "usual", "words"),
    [
        ("health/frame/win_rate", 1.0, None, "frame discriminator always wins.* lower frame_lr"),
        ("health/identity/win_rate", 0.1, None, "takes generated for real: raise identity_lr"),
        ("health/sync/loss_over_chance", 1.0, None, "sync discriminator is at chance.*raise sync_lr"),
        ("health/diversity", 0.1, None, r"one face \(collapse\)"),
        ("health/motion", 0.05, None, "hardly move"),
        ("health/gradient_norm/frame", 500.0, 1.0, r"explode: clip them \(model.init_args.clipping.frame\)"),
        ("health/gradient_norm/frame", 1e-4, 1.0, "vanish"),
        ("health/gradient_norm/frame", 0.0, None, "vanish"),
    ],
)
def test_a_bad_sign_names_cause_and_remedy_in_one_line(
    sign: str, value: float, usual: float | None, words: str
) -> None:
    text = complaint(sign, value, usual, "{}_lr", clips=True)
    assert text is not None and "\n" not in text
    assert re.search(words, text)


@pytest.mark.parametrize(
    ("sign", "value", "words"),
    [
        ("health/frame/win_rate", 1.0, r"lower model\.rates\.frame,"),
        ("health/frame/win_rate", 0.1, r"raise model\.rates\.frame, lower model\.rates\.generator,"),
        ("health/sync/loss_over_chance", 1.0, r"raise model\.rates\.sync$"),
        ("health/diversity", 0.1, r"or model\.rates\.generator,"),
        ("health/gradient_norm/frame", 500.0, r"clip them or lower model\.rates\.frame$"),
    ],
)
def test_a_remedy_is_an_option_that_there_is(sign: str, value: float, words: str) -> None:
    text = complaint(sign, value, 1.0, "model.rates.{}")
    assert text is not None and re.search(words, text)
    assert "_lr" not in text and "clipping" not in text


@pytest.mark.parametrize(
    ("sign", "value", "usual"),
    [
        ("health/frame/win_rate", 0.8, None),
        ("health/sync/loss_over_chance", 0.7, None),
        ("health/diversity", 0.9, None),
        ("health/motion", 0.9, None),
        ("health/frame/win_rate", 0.97, None),
        ("health/frame/win_rate", 0.31, None),
        ("health/sync/loss_over_chance", 0.94, None),
        ("health/diversity", 0.26, None),
        ("health/motion", 0.11, None),
        ("health/gradient_norm/frame", 99.0, 1.0),
        ("health/gradient_norm/frame", 2e-3, 1.0),
        ("health/gradient_norm/frame", 3.0, 1.0),
        ("health/gradient_norm/frame", 3.0, None),
    ],
)
def test_a_good_sign_is_no_complaint(sign: str, value: float, usual: float | None) -> None:
    assert complaint(sign, value, usual) is None
