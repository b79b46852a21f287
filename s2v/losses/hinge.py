"""The hinge GAN's losses (Lim and Ye 2017, as SAGAN has them): real above 1, generated below -1."""

from torch import Tensor

from s2v.losses.least_squares import at_least_float32


def hinge_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """E[max(0, 1 - D(real))] + E[max(0, 1 + D(fake))]; 2 when the discriminator can't tell (scores 0).

    Args:
        real: scores of real inputs, any shape.
        fake: scores of generated inputs, any shape (need not equal `real`'s).
    """
    return (1 - at_least_float32(real)).relu().mean() + (1 + at_least_float32(fake)).relu().mean()


def hinge_generator_loss(fake: Tensor) -> Tensor:
    """-E[D(fake)]; below 0 where the discriminator takes its inputs for real.

    Args:
        fake: scores of generated inputs, any shape.
    """
    return -at_least_float32(fake).mean()
