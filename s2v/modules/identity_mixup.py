"""Mixup of identity vectors between the clips of a batch (Zhang et al. 2018), for corpora of few people."""

import torch
from torch import Tensor

from s2v.errors import InputError


def mixup(values: Tensor, most: float) -> Tensor:
    """Rows (B, D), each moved towards another one by a share of their difference, drawn from 0 to `most`."""
    if not most or len(values) < 2:
        return values
    others = values.roll(int(torch.randint(1, len(values), ())), dims=0)
    shares = most * torch.rand(len(values), 1, dtype=values.dtype, device=values.device)
    return values.lerp(others, shares)


def checked_mixing(share: float) -> float:
    """The share, if it is one.

    Raises:
        InputError: it is not at least 0 and below 0.5.
    """
    if not 0 <= share < 0.5:
        raise InputError(
            f"identity_mixing must be at least 0 and below 0.5, where nu is another's, got {share}"
        )
    return share
