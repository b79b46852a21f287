"""How far apart the faces of different speakers lie: a generator that makes one face for all scores 0.

A clip is its mean picture, shrunk; a speaker is the mean of the clips'. The spread is the mean root-mean-square
difference over all pairs of speakers. Lips and pose average out of a mean picture, who it is does not.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from s2v.models.pictures_in_parts import in_parts

SIDE = 32
"""Mean pictures are SIDE x SIDE: that bounds what a test keeps, 12 kB a speaker."""

Floats = NDArray[np.float64]


def mean_picture(frames: Tensor) -> Tensor:
    """(T, 3, H, W) uint8 -> (3 * 32 * 32,) float32 on the CPU."""
    total = torch.zeros(frames.shape[1:], device=frames.device)
    for part in in_parts(frames):
        total += part.float().sum(dim=0)
    mean = (total / len(frames)).unsqueeze(0)
    return functional.interpolate(mean, (SIDE, SIDE), mode="bilinear", antialias=True).flatten().cpu()


class SpeakerPictures:
    """Running mean picture of every speaker; holds one picture a speaker, however many clips there are."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._clips: dict[str, int] = {}

    def add(self, speaker: str, picture: Tensor) -> None:
        """Add one clip's `mean_picture`."""
        known = self._sums.get(speaker)
        self._sums[speaker] = picture.double() if known is None else known + picture
        self._clips[speaker] = self.clips(speaker) + 1

    def clips(self, speaker: str) -> int:
        """How many clips of that speaker came."""
        return self._clips.get(speaker, 0)

    @property
    def speakers(self) -> list[str]:
        """Sorted."""
        return sorted(self._sums)

    def distances(self, speakers: list[str]) -> Floats:
        """(S, S) root-mean-square differences, grey levels of 0..255, of those speakers' mean pictures."""
        means = torch.stack([self._sums[name] / self._clips[name] for name in speakers])
        return (torch.cdist(means, means) / means.shape[1] ** 0.5).numpy()


def spread_ratio(generated: Floats, real: Floats) -> Callable[[Floats], Floats]:
    """The statistic generated / real spread for speakers drawn (R, S) times: -> (R,).

    Args:
        generated: (S, S) distances, of the system.
        real: likewise of the real clips.

    The mean over pairs of DIFFERENT drawn speakers: a speaker drawn twice is no pair with itself. Their number
    is the same above and below, so the sums do. nan where all draws are one speaker.
    """

    def statistic(drawn: Floats) -> Floats:
        above = ((drawn @ generated) * drawn).sum(axis=1)
        below = ((drawn @ real) * drawn).sum(axis=1)
        return np.divide(above, below, out=np.full(len(drawn), np.nan), where=below > 0)

    return statistic
