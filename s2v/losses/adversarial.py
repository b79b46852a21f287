"""The losses that an adversarial training can have, by name: both players', and what scores mean."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from s2v.errors import InputError
from s2v.losses.hinge import hinge_discriminator_loss, hinge_generator_loss
from s2v.losses.least_squares import discriminator_loss, generator_loss
from s2v.losses.log_likelihood import log_discriminator_loss, log_generator_loss

AdversarialLossName = Literal["least_squares", "hinge", "log_likelihood"]


@dataclass(frozen=True)
class AdversarialLoss:
    """One GAN's losses.

    Attributes:
        discriminator: from scores of real and of generated inputs, each of any shape, to a scalar.
        generator: from scores of generated inputs to a scalar.
        on_one_scale: from scores to those that `callbacks.gan_health.GANHealth` compares: 1 for what is surely real, 0
            for what is surely generated, 1/2 where the discriminator can't tell.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    on_one_scale: Callable[[Tensor], Tensor]


def _as_it_is(scores: Tensor) -> Tensor:
    return scores


def _between_margins(scores: Tensor) -> Tensor:
    return ((scores + 1) / 2).clamp(0, 1)  # beyond the margin nothing is surer


# no lambdas: a module goes to other processes with its loss
ADVERSARIAL_LOSSES: dict[AdversarialLossName, AdversarialLoss] = {
    "least_squares": AdversarialLoss(discriminator_loss, generator_loss, _as_it_is),
    "hinge": AdversarialLoss(hinge_discriminator_loss, hinge_generator_loss, _between_margins),
    "log_likelihood": AdversarialLoss(log_discriminator_loss, log_generator_loss, torch.sigmoid),
}
"""Mao et al. 2017, the paper's; Lim and Ye 2017; Goodfellow et al. 2014 with the generator's gradient that does not
vanish, SDFA's.
"""


def adversarial_loss_named(name: AdversarialLossName) -> AdversarialLoss:
    """One of `ADVERSARIAL_LOSSES`.

    Raises:
        InputError: there is none of that name.
    """
    if name not in ADVERSARIAL_LOSSES:
        raise InputError(f"adversarial_loss is {name!r}: expected {', '.join(ADVERSARIAL_LOSSES)}")
    return ADVERSARIAL_LOSSES[name]
