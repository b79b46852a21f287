"""The Frechet distance against scipy's matrix root and torchmetrics' FID."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from torchmetrics.image.fid import FrechetInceptionDistance

from s2v.metrics.feature_moments import FeatureMoments
from s2v.metrics.frechet_distance import frechet_distance


class _Flat(torch.nn.Module):
    """The features are the pictures' values."""

    num_features = 12

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return pictures.flatten(1).float()


def two_sets() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    mix = torch.randn(12, 12)
    return torch.randn(60, 12) @ mix, torch.randn(45, 12) @ mix.T + 1


def moments(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    sums = FeatureMoments(features.shape[1])
    for part in features.split(7):
        sums.update(part)
    return sums.compute()


def test_distance_is_that_of_scipys_root_and_of_torchmetrics() -> None:
    one, other = two_sets()
    (m1, c1), (m2, c2) = moments(one), moments(other)
    root = scipy.linalg.sqrtm((c1 @ c2).numpy()).real
    by_hand = float((m1 - m2).square().sum() + c1.trace() + c2.trace()) - 2 * float(np.trace(root))
    assert by_hand > 10
    found = frechet_distance(m1, c1, m2, c2)
    assert found == pytest.approx(by_hand, rel=1e-6)
    assert found == pytest.approx(frechet_distance(m2, c2, m1, c1), rel=1e-9)
    theirs = FrechetInceptionDistance(feature=_Flat())
    theirs.update(one.view(60, 3, 2, 2), real=True)
    theirs.update(other.view(45, 3, 2, 2), real=False)
    assert found == pytest.approx(float(theirs.compute()), rel=1e-5)


def test_itself_is_at_zero_also_with_fewer_vectors_than_features() -> None:
    one = two_sets()[0]
    for features in (one, one[:5]):
        mean, covariance = moments(features)
        assert 0 <= frechet_distance(mean, covariance, mean, covariance) < 1e-6 * float(covariance.trace())
    shifted = frechet_distance(mean, covariance, mean + 2, covariance)
    assert shifted == pytest.approx(12 * 4, rel=1e-6)


def test_one_vector_has_no_covariance() -> None:
    one = two_sets()[0]
    assert math.isnan(frechet_distance(*moments(one), *moments(one[:1])))
