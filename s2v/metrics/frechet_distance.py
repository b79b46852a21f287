"""The Frechet distance of two sets of features, each taken as a Gaussian; of Inception's features it is FID.

d = |m1 - m2|^2 + trace(C1 + C2 - 2 (C1 C2)^(1/2)), with means m and unbiased covariances C (Heusel et al. 2017).
"""

import torch
from torch import Tensor
from torchmetrics import Metric


class FeatureMoments(Metric):
    """Mean and covariance of features (B, D) as they come: three float64 sums are kept, whatever their number.

    torchmetrics' FrechetInceptionDistance keeps them for a pair; here real moments serve many systems.
    """

    full_state_update = False
    count: Tensor
    total: Tensor
    products: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("total", torch.zeros(features, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("products", torch.zeros(features, features, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, features: Tensor) -> None:
        features = features.to(self.total)
        self.count += len(features)
        self.total += features.sum(dim=0)
        self.products += features.T @ features

    def compute(self) -> tuple[Tensor, Tensor]:
        """Mean (D,) and covariance (D, D), float64; the covariance of fewer than two features is nan."""
        mean = self.total / self.count
        centred = self.products - self.count * torch.outer(mean, mean)
        return mean, centred / (self.count - 1) if self.count > 1 else torch.full_like(centred, torch.nan)


def frechet_distance(mean: Tensor, covariance: Tensor, other_mean: Tensor, other_covariance: Tensor) -> float:
    """The distance, 0 or more; nan if a covariance is.

    C1 C2 has the eigenvalues of the symmetric S C2 S with S = C1^(1/2), which are found without complex numbers and
    also where a covariance has no inverse.
    """
    if covariance.isnan().any() or other_covariance.isnan().any():
        return float("nan")
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    mixed = torch.linalg.eigvalsh(root @ other_covariance @ root).clamp(min=0).sqrt().sum()
    apart = (mean - other_mean).square().sum()
    return max(0.0, float(apart + covariance.trace() + other_covariance.trace() - 2 * mixed))
