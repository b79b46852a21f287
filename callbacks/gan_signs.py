"""Numbers that tell how an adversarial training is doing, from one step's scores, frames and gradients."""

from collections.abc import Iterable

import torch
from torch import Tensor

LSGAN_CHANCE = 0.25
"""Least-squares discriminator loss of a discriminator that scores everything 1/2."""


def win_rate(real: Tensor, fake: Tensor) -> Tensor:
    """Share of inputs a discriminator gets right: real above 1/2, fake below; both kinds count alike.

    Args:
        real: scores of real inputs, any shape.
        fake: scores of generated inputs, any shape.

    Returns:
        0-d; 1 where the discriminator always wins, 1/2 at chance.
    """
    return 0.5 * ((real > 0.5).float().mean() + (fake < 0.5).float().mean())


def loss_over_chance(real: Tensor, fake: Tensor) -> Tensor:
    """Least-squares discriminator loss divided by its value at chance: 1 has learnt nothing, 0 everything."""
    loss = 0.5 * (real.float() - 1).square().mean() + 0.5 * fake.float().square().mean()
    return loss / LSGAN_CHANCE


def diversity(frames: Tensor) -> Tensor:
    """Mean absolute difference between different clips' middle frames, over all pairs.

    Args:
        frames: (B, T, 3, H, W), B > 1.
    """
    stills = frames[:, frames.shape[1] // 2].flatten(1).float()
    return torch.pdist(stills, p=1).mean() / stills.shape[1]


def motion(frames: Tensor) -> Tensor:
    """Mean absolute difference between a clip's successive frames.

    Args:
        frames: (B, T, 3, H, W), T > 1.
    """
    return (frames[:, 1:].float() - frames[:, :-1].float()).abs().mean()


def gradient_norm(parameters: Iterable[Tensor]) -> Tensor | None:
    """Euclidean norm of all gradients together; None where there is no gradient at all."""
    norms = [p.grad.detach().float().norm() for p in parameters if p.grad is not None]
    return torch.stack(norms).norm() if norms else None
