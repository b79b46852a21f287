"""Speech as SyncNet's score takes it."""

import torch
from torch import Tensor


def as_int16(speech: Tensor) -> Tensor:
    """Speech (N,) float in [-1, 1] -> (N,) int16, the inverse of the data modules' / 32768."""
    return (speech.float() * 32768).round().clamp(-32768, 32767).to(torch.int16)
