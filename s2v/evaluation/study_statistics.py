"""A user study's numbers: strengths from choices between two, intervals of shares, agreement of raters."""

import math

import numpy as np
from scipy.stats import binomtest

from s2v.errors import InputError

TOLERANCE = 1e-10
"""Strengths have settled when none changes by a larger share in a round."""
MOST_ROUNDS = 100_000


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share; (0, 1) where nothing was tried."""
    if trials == 0:
        return 0.0, 1.0
    low, high = binomtest(successes, trials).proportion_ci(method="wilson")
    return float(low), float(high)


def bradley_terry(wins: np.ndarray) -> np.ndarray:
    """Strengths (..., S) that sum to 1: system i is chosen over j with probability p_i / (p_i + p_j).

    Newman 2023, "Efficient computation of rankings from pairwise comparisons": it settles far sooner
    than Hunter's MM where some systems are nearly always chosen.

    Args:
        wins: (..., S, S), how often row was chosen over column; each (S, S) is a study of its own.

    Raises:
        InputError: no finite best strengths exist: some systems never won, directly or through others, against
            some other (Ford's condition).
    """
    wins = np.asarray(wins, dtype=np.float64)
    if wins.ndim < 2 or wins.shape[-2] != wins.shape[-1] or (wins < 0).any():
        raise InputError(f"expected counts of wins (..., S, S), got {wins.shape}")
    itself = np.eye(wins.shape[-1])
    wins = wins * (1 - itself)
    reach = (wins + itself) > 0
    for _ in itself:
        reach = reach @ reach
    if not reach.all():
        raise InputError("strengths can't be compared: a group of systems won, or lost, every choice")
    strengths = np.full(wins.shape[:-1], 1 / len(itself))
    for _ in range(MOST_ROUNDS):
        before = strengths.copy()
        for system in range(len(itself)):
            both = strengths[..., system, None] + strengths
            won = (wins[..., system, :] * strengths / both).sum(axis=-1)
            strengths[..., system] = won / (wins[..., :, system] / both).sum(axis=-1)
        strengths /= strengths.sum(axis=-1, keepdims=True)
        if np.abs(strengths / before - 1).max() < TOLERANCE:
            return strengths
    raise InputError(f"strengths did not settle in {MOST_ROUNDS} rounds")


def fleiss_kappa(counts: np.ndarray) -> float:
    """Agreement beyond chance: 1 for full agreement, 0 for chance; NaN where only one answer was ever given.

    Fleiss 1971, "Measuring nominal scale agreement among many raters".

    Args:
        counts: (items, answers), how many raters gave each answer; every row has the same sum, at least 2.
    """
    counts = np.asarray(counts, dtype=np.float64)
    if counts.ndim != 2 or len(counts) == 0:
        raise InputError(f"expected counts (items, answers), got {counts.shape}")
    raters = counts[0].sum()
    if raters < 2 or (counts.sum(axis=1) != raters).any():
        raise InputError("Fleiss' kappa needs the same number of raters, at least 2, for every item")
    agreed = ((counts**2).sum(axis=1) - raters) / (raters * (raters - 1))
    chance = float(((counts.sum(axis=0) / counts.sum()) ** 2).sum())
    return math.nan if chance == 1 else float((agreed.mean() - chance) / (1 - chance))
