"""Least-squares GAN losses (Mao et al. 2017), the reading of the paper's eqs. 4 to 6: real = 1, generated = 0.

As printed the equations want 1 of generated and 0 of real inputs, and mix what the discriminator and what the generator
minimises; eq. 5 is a sum over frames and eq. 6 lacks a factor 1/2 and the pairs that are real. Here all are means.
"""

import torch
from torch import Tensor


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """1/2 E[(D(real) - 1)^2] + 1/2 E[D(fake)^2]; 1/4 when the discriminator can't tell (both scores 1/2).

    Args:
        real: scores of real inputs, any shape.
        fake: scores of generated inputs, any shape (need not equal `real`'s).
    """
    return 0.5 * (at_least_float32(real) - 1).square().mean() + 0.5 * at_least_float32(fake).square().mean()


def generator_loss(fake: Tensor) -> Tensor:
    """1/2 E[(D(fake) - 1)^2]: the generator wants its outputs scored as real.

    Args:
        fake: scores of generated inputs, any shape.
    """
    return 0.5 * (at_least_float32(fake) - 1).square().mean()


def at_least_float32(values: Tensor) -> Tensor:
    """Of any shape: under bf16-mixed what networks and convolutions give has eight bits, too few for a loss' curve."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
