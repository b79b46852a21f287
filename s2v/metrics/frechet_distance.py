"""The Frechet distance of two sets of features, each taken as a Gaussian; of Inception's features it is FID.

d = |m1 - m2|^2 + trace(C1 + C2 - 2 (C1 C2)^(1/2)), with means m and unbiased covariances C (Heusel et al. 2017).
"""

import torch
from torch import Tensor


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
