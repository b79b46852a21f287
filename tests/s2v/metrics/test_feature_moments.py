"""Sums over parts of the features against numpy's mean and covariance of all."""

import numpy as np
import torch

from s2v.metrics.feature_moments import FeatureMoments


def test_moments_are_numpys() -> None:
    torch.manual_seed(0)
    features = torch.randn(60, 12) @ torch.randn(12, 12)
    sums = FeatureMoments(12)
    for part in features.split(7):
        sums.update(part)
    mean, covariance = sums.compute()
    np.testing.assert_allclose(mean, features.double().mean(0), rtol=1e-12)
    np.testing.assert_allclose(
        covariance, np.cov(features.double().numpy(), rowvar=False), rtol=1e-10, atol=1e-12
    )
