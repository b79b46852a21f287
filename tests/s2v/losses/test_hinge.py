"""The hinge losses by hand."""

import pytest
import torch

from s2v.losses.hinge import hinge_discriminator_loss, hinge_generator_loss


def test_by_hand() -> None:
    real, fake = torch.tensor([0.5, 3.0]), torch.tensor([-2.0, 0.0, 1.0])
    assert hinge_discriminator_loss(real, fake).item() == pytest.approx(0.5 / 2 + (0 + 1 + 2) / 3)
    assert hinge_generator_loss(fake).item() == pytest.approx(1 / 3)


def test_at_chance() -> None:
    assert hinge_discriminator_loss(torch.zeros(3), torch.zeros(2, 2)).item() == 2


def test_what_is_beyond_the_margin_pulls_no_more() -> None:
    real, fake = torch.tensor([1.5], requires_grad=True), torch.tensor([-1.5], requires_grad=True)
    hinge_discriminator_loss(real, fake).backward()
    assert real.grad is not None and fake.grad is not None and real.grad.item() == fake.grad.item() == 0


def test_half_precision_scores_are_added_up_in_float32() -> None:
    scores = torch.full((300,), 1 / 3, dtype=torch.bfloat16)
    assert hinge_generator_loss(scores).dtype == torch.float32
    assert hinge_generator_loss(scores).item() == pytest.approx(-scores[0].item(), rel=1e-6)
