"""A study's statistics against numbers worked out by hand or printed in their papers."""

import math

import numpy as np
import pytest

from s2v.errors import InputError
from s2v.evaluation.study_statistics import bradley_terry, fleiss_kappa, wilson_interval


def test_wilson() -> None:
    # z^2 = 3.841459, 1 of 4: middle (0.25 + z^2 / 8) / (1 + z^2 / 4) = 0.372473;
    # half z sqrt(0.1875 / 4 + z^2 / 64) / (1 + z^2 / 4) = 0.326885
    assert wilson_interval(1, 4) == pytest.approx((0.045587, 0.699358), abs=1e-6)
    # 0 of n: the upper end is z^2 / (n + z^2)
    assert wilson_interval(0, 4) == pytest.approx((0, 3.841459 / 7.841459))
    assert wilson_interval(0, 0) == (0, 1)


def test_bradley_terry() -> None:
    assert bradley_terry(np.array([[0, 3], [1, 0]])) == pytest.approx([0.75, 0.25])
    # Wins in the proportion 4 : 2 : 1 of the strengths themselves fit exactly.
    wins = np.array([[0, 4, 8], [2, 0, 4], [2, 2, 0]])
    assert bradley_terry(wins) == pytest.approx([4 / 7, 2 / 7, 1 / 7], abs=1e-6)
    # At the best strengths each system wins as often as they predict, also where they are far apart.
    far = 0.5 + np.triu(np.full((5, 5), 800.0), 1)
    np.fill_diagonal(far, 0)
    best = bradley_terry(far)
    predicted = (far + far.T) * best[:, None] / (best[:, None] + best)
    assert predicted.sum(axis=1) - predicted.diagonal() == pytest.approx(far.sum(axis=1), rel=1e-6)
    # Two that never met are compared by way of the third: 3 : 1 and 3 : 1 are 9 : 3 : 1.
    chain = np.array([[0, 3, 0], [1, 0, 3], [0, 1, 0]])
    assert bradley_terry(chain) == pytest.approx([9 / 13, 3 / 13, 1 / 13])
    # ... and through a longer chain: three steps, which paths of two do not reach
    long = np.diag([3.0] * 4, 1) + np.diag([1.0] * 4, -1)
    assert bradley_terry(long) == pytest.approx(np.array([81, 27, 9, 3, 1]) / 121)
    # Several studies at once are each as they are alone.
    assert bradley_terry(np.stack([wins, wins.T])) == pytest.approx(
        np.stack([bradley_terry(wins), bradley_terry(wins.T)])
    )
    with pytest.raises(InputError, match="won, or lost, every choice"):
        bradley_terry(np.array([[0, 3], [0, 0]]))
    with pytest.raises(InputError, match="expected counts"):
        bradley_terry(np.zeros((2, 3)))


def test_fleiss() -> None:
    # Two items, three raters: agreements 1 and 1/3, mean 2/3; shares 5/6 and 1/6, chance 26/36.
    assert fleiss_kappa(np.array([[3, 0], [2, 1]])) == pytest.approx((2 / 3 - 26 / 36) / (10 / 36))
    assert fleiss_kappa(np.array([[3, 0], [0, 3]])) == 1
    assert math.isnan(fleiss_kappa(np.array([[3, 0], [3, 0]])))
    with pytest.raises(InputError, match="same number of raters"):
        fleiss_kappa(np.array([[3, 0], [1, 1]]))
