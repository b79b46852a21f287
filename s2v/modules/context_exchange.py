"""CPC contexts exchanged between the clips of a batch, so that only the mouth learns to follow them."""

import torch
from torch import Tensor

from s2v.errors import InputError
from s2v.face_regions import MOUTH_LOSS_BOX, cut_box


def exchanged(contexts: Tensor, share: float) -> tuple[Tensor, Tensor | None]:
    """Contexts (B, T, D), of each clip with a chance of `share` another's, and which these are, (B,) bool.

    None of them, where nothing is exchanged.
    """
    if not share or len(contexts) < 2:
        return contexts, None
    others = contexts.roll(int(torch.randint(1, len(contexts), ())), dims=0)
    chosen = torch.rand(len(contexts), device=contexts.device) < share
    return torch.where(chosen[:, None, None], others, contexts), chosen


def with_real_mouths(fake: Tensor, real: Tensor, chosen: Tensor) -> Tensor:
    """Frames (B, T, 3, S, S) whose mouths (`MOUTH_LOSS_BOX`) are the real ones' in the clips that are chosen, (B,)."""
    mouth = torch.zeros_like(real[0, 0, 0], dtype=torch.bool)
    cut_box(mouth, MOUTH_LOSS_BOX).fill_(True)
    return torch.where(chosen[:, None, None, None, None] & mouth, real, fake)


def checked_exchange(share: float) -> float:
    """The share, if it is one.

    Raises:
        InputError: it is not at least 0 and below 1.
    """
    if not 0 <= share < 1:
        raise InputError(f"context_exchange must be at least 0 and below 1, got {share}")
    return share
