"""The first GAN's losses (Goodfellow et al. 2014) on logits, as SDFA trains by them."""

import torch.nn.functional as F
from torch import Tensor


def log_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """-E[log D(real)] - E[log(1 - D(fake))]; 2 log 2 when the discriminator can't tell (logits 0).

    Args:
        real: logits of real inputs, any shape.
        fake: logits of generated inputs, any shape (need not equal `real`'s).
    """
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def log_generator_loss(fake: Tensor) -> Tensor:
    """-E[log D(fake)], the form whose gradient does not vanish while the discriminator wins.

    Args:
        fake: logits of generated inputs, any shape.
    """
    return F.softplus(-fake).mean()
