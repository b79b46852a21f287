"""Diversity of a system over a test: the spread between its speakers' mean pictures, against the real one."""

import numpy as np
from torch import Tensor

from s2v.evaluation.bootstrap import Estimate, estimate
from s2v.metrics.diversity import SpeakerPictures, spread_ratio


class SpeakerSpread:
    """For each system the mean pictures of its speakers and, of the same clips, the real ones."""

    def __init__(self) -> None:
        self._pictures: dict[str, tuple[SpeakerPictures, SpeakerPictures]] = {}

    def add(self, system: str, speaker: str, made: Tensor, real: Tensor) -> None:
        """Add one clip's two mean pictures (see `mean_picture`)."""
        pair = self._pictures.setdefault(system, (SpeakerPictures(), SpeakerPictures()))
        for kept, picture in zip(pair, (made, real), strict=True):
            kept.add(speaker, picture)

    def estimate(self, system: str, resamples: int, seed: int) -> Estimate | None:
        """Made / real spread with its interval; None where fewer than two speakers can be compared."""
        if system not in self._pictures:
            return None
        made, real = self._pictures[system]
        names = made.speakers
        if len(names) < 2:
            return None
        statistic = spread_ratio(made.distances(names), real.distances(names))
        clips = sum(made.clips(name) for name in names)
        return estimate(np.eye(len(names)), statistic, clips, resamples, seed)
