"""Goodfellow's losses on logits, by hand."""

import math

import pytest
import torch

from s2v.losses.absolute_difference import absolute_difference
from s2v.losses.log_likelihood import log_discriminator_loss, log_generator_loss


def test_by_hand() -> None:
    # sigmoid(log 3) = 3/4, sigmoid(-log 3) = 1/4
    real, fake = torch.tensor([math.log(3)]), torch.tensor([-math.log(3), -math.log(3)])
    assert log_discriminator_loss(real, fake).item() == pytest.approx(-2 * math.log(0.75))
    assert log_generator_loss(fake).item() == pytest.approx(-math.log(0.25))


def test_at_chance() -> None:
    assert log_discriminator_loss(torch.zeros(3), torch.zeros(2, 2)).item() == pytest.approx(2 * math.log(2))


def test_certainty_stays_finite() -> None:
    assert log_discriminator_loss(torch.tensor([-1e4]), torch.tensor([1e4])).item() == pytest.approx(2e4)


def test_gradients() -> None:
    real, fake = (torch.randn(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(log_discriminator_loss, (real, fake))
    assert torch.autograd.gradcheck(log_generator_loss, (fake,))


def test_absolute_difference_by_hand() -> None:
    student, teacher = torch.tensor([[1.0, -2.0], [0.0, 0.5]]), torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    assert absolute_difference(student, teacher).item() == pytest.approx((4 + 0.5) / 2)
