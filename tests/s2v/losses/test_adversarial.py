"""What scores mean under each loss."""

import pickle

import pytest
import torch

from s2v.errors import InputError
from s2v.losses.adversarial import ADVERSARIAL_LOSSES, AdversarialLossName, adversarial_loss_named


@pytest.mark.parametrize(
    ("name", "undecided", "real"),
    [("least_squares", 0.5, 1.0), ("hinge", 0.0, 1.0), ("log_likelihood", 0.0, 30.0)],
)
def test_scores_on_one_scale(name: AdversarialLossName, undecided: float, real: float) -> None:
    """One half is where the discriminator's loss of equal scores is least, 1 where that of real ones is."""
    loss = ADVERSARIAL_LOSSES[name]
    assert loss.on_one_scale(torch.tensor(undecided)).item() == 0.5
    assert loss.on_one_scale(torch.tensor(real)).item() == pytest.approx(1.0)
    at = torch.tensor(undecided, requires_grad=True)
    loss.discriminator(at, at).backward()
    assert at.grad is not None and at.grad.item() == pytest.approx(0, abs=1e-6)
    assert loss.discriminator(torch.tensor(real), torch.tensor(2 * undecided - real)).item() == pytest.approx(
        0, abs=1e-6
    )


def test_beyond_hinges_margin_nothing_is_surer() -> None:
    """Where its loss is 0, GANHealth must not take the squares of what is beyond for a loss."""
    on_one_scale = ADVERSARIAL_LOSSES["hinge"].on_one_scale
    assert on_one_scale(torch.tensor([-5.0, -1.0, 1.0, 5.0])).tolist() == [0, 0, 1, 1]


def test_they_go_to_other_processes() -> None:
    assert pickle.loads(pickle.dumps(ADVERSARIAL_LOSSES)) == ADVERSARIAL_LOSSES


def test_another_name_is_one_error() -> None:
    with pytest.raises(
        InputError, match="adversarial_loss is 'lsgan': expected least_squares, hinge, log_like"
    ):
        adversarial_loss_named("lsgan")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
def test_the_generator_wants_its_scores_up(name: AdversarialLossName) -> None:
    scores = torch.tensor([-0.5, 0.2], requires_grad=True)
    ADVERSARIAL_LOSSES[name].generator(scores).backward()
    assert scores.grad is not None and bool((scores.grad < 0).all())
