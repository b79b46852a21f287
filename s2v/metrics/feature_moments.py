"""Mean and covariance of features that come a few at a time: what `frechet_distance` compares."""

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
