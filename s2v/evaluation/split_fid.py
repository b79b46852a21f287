"""FID of whole systems over a test: one number a system, from sums over all its frames."""

from typing import TYPE_CHECKING

from torch import Tensor

from s2v.metrics.frechet_distance import frechet_distance

if TYPE_CHECKING:
    from s2v.metrics.feature_moments import FeatureMoments

STABLE_FROM = 2048
"""Frames: with fewer than there are features, a covariance has no inverse and FID is far too high or low."""


class SplitFid:
    """For each system the moments of its frames' features, 34 MB each, however many clips there are.

    Args:
        real: name of the system that the others are compared with.
    """

    def __init__(self, real: str) -> None:
        self.real = real
        self._moments: dict[str, FeatureMoments] = {}
        self._clips: dict[str, int] = {}

    def add(self, system: str, features: Tensor) -> None:
        """Add one clip's features, (T, 2048), as `FidJudge` gives them."""
        # torchmetrics and torchvision take seconds to import: only where FID is asked for
        from s2v.metrics.feature_moments import FeatureMoments

        if system not in self._moments:
            self._moments[system] = FeatureMoments(features.shape[1])
        self._moments[system].update(features)
        self._clips[system] = self.clips(system) + 1

    def clips(self, system: str) -> int:
        """How many clips of that system came."""
        return self._clips.get(system, 0)

    @property
    def frames(self) -> dict[str, int]:
        """System -> how many frames came."""
        return {name: int(moments.count) for name, moments in self._moments.items()}

    def distances(self) -> dict[str, float]:
        """System -> FID against the real frames; nan where there are fewer than two frames."""
        if self.real not in self._moments:
            return {}
        real = self._moments[self.real].compute()
        return {name: frechet_distance(*real, *moments.compute()) for name, moments in self._moments.items()}
