"""More of what a speaker may sound like than a small corpus has: stage 2 varies, in training, what nu is read from."""

import numpy as np
import torch
from torch import Tensor

from data_modules.speech_augmentation import SpeechAugmentation


def mixed(values: Tensor, most: float) -> Tensor:
    """Rows (B, D), each moved towards another one by a share of their difference, drawn from 0 to `most`."""
    if not most or len(values) < 2:
        return values
    others = values.roll(int(torch.randint(1, len(values), ())), dims=0)
    shares = most * torch.rand(len(values), 1, dtype=values.dtype, device=values.device)
    return values.lerp(others, shares)


def changed(speech: Tensor, augmentation: SpeechAugmentation | None) -> Tensor:
    """Speech (B, N) in [-1, 1], each row changed by itself, as PyTorch's random state says; None changes nothing."""
    if augmentation is None:
        return speech
    draw = np.random.default_rng(int(torch.randint(2**62, ())))
    rows = [augmentation(row, draw) for row in speech.cpu().numpy()]
    return torch.from_numpy(np.stack(rows)).to(speech)
