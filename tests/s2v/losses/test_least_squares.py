"""Least-squares GAN losses against numbers worked out by hand."""

import pytest
import torch

from s2v.losses.least_squares import discriminator_loss, generator_loss


def test_by_hand() -> None:
    real, fake = torch.tensor([1.0, 0.0]), torch.tensor([0.5, 1.0, 0.0])
    assert discriminator_loss(real, fake).item() == pytest.approx(0.5 * 0.5 + 0.5 * (0.25 + 1) / 3)
    assert generator_loss(fake).item() == pytest.approx(0.5 * (0.25 + 0 + 1) / 3)


def test_undecided_is_a_quarter() -> None:
    undecided = torch.full((3, 1, 4, 4), 0.5)
    assert discriminator_loss(undecided, undecided).item() == pytest.approx(0.25)


def test_best_is_zero() -> None:
    assert discriminator_loss(torch.ones(2), torch.zeros(2)).item() == 0
    assert generator_loss(torch.ones(2)).item() == 0


def test_gradients() -> None:
    real, fake = torch.randn(3, dtype=torch.double), torch.randn(3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f: discriminator_loss(real, f), fake)
    assert torch.autograd.gradcheck(generator_loss, fake)


def test_scores_of_eight_bits_give_a_loss_of_full_precision() -> None:
    """A curve near chance moves by thousandths."""
    scores = torch.tensor([0.5, 0.50390625], dtype=torch.bfloat16)
    found = discriminator_loss(scores, scores)
    assert found.dtype == torch.float32
    expected = (0.25 + 0.49609375**2) / 4 + (0.25 + 0.50390625**2) / 4
    assert found.item() == pytest.approx(expected, rel=1e-6)
    assert generator_loss(scores).item() == pytest.approx((0.25 + 0.49609375**2) / 4, rel=1e-6)
