"""95 % intervals by bootstrap over SPEAKERS: one speaker's clips are alike, no independent samples."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A data set's value; nan where nothing was measured, the interval also with fewer than two speakers."""

    mean: float
    low: float
    high: float
    n: int
    """Clips it rests on."""
    by_speaker: float = float("nan")
    """Mean of the speakers' own means: who has many clips counts no more than who has few. Clips without a speaker are
    left out; nan for no mean."""


def drawn_speakers(speakers: int, resamples: int, seed: int) -> Floats:
    """How often each speaker was drawn in each resample, with replacement: (R, S), rows sum to S."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(speakers, np.full(speakers, 1 / speakers), size=resamples).astype(np.float64)


@cache
def expanded_tail(speakers: int) -> float:
    """Share of the resamples beyond either end of the interval: below 0.025, with which few speakers' is too narrow.

    The expanded percentile interval (Hesterberg 2015, What teachers should know about the bootstrap): the normal
    distribution's tail beyond t sqrt(n / (n - 1)), with Student's t of n - 1 degrees of freedom in place of 1.96, and
    the root since resampled means spread too little. 0.025 with many speakers, 0.0024 with six. With four, three or two
    all resamples lie within, and yet they cover the truth in nine, seven or five of ten cases only.
    """
    from scipy.special import ndtr, stdtrit

    bound = stdtrit(speakers - 1, (1 - LEVEL) / 2)
    return float(ndtr(bound * math.sqrt(speakers / (speakers - 1))))


def estimate(
    totals: Floats, statistic: Callable[[Floats], Floats], clips: int, resamples: int, seed: int
) -> Estimate:
    """A statistic of sums over clips, with its interval.

    Args:
        totals: (S, K) sums over each speaker's clips.
        statistic: sums over all clips (R, K) -> values (R,).
        clips: how many clips the sums cover.
        resamples: R of the bootstrap.
        seed: of the bootstrap; the same seed draws the same speakers for all metrics and systems that have the same S
            speakers: where one lacks a speaker, other draws are made.
    """
    if clips == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    value = float(statistic(totals.sum(axis=0, keepdims=True))[0])
    low = high = float("nan")
    if len(totals) > 1 and resamples > 0:
        values = statistic(drawn_speakers(len(totals), resamples, seed) @ totals)
        values = values[~np.isnan(values)]
        if len(values):
            tail = expanded_tail(len(totals))
            low, high = (float(bound) for bound in np.quantile(values, [tail, 1 - tail]))
    return Estimate(value, low, high, clips)


def mean_estimate(values: list[float], speakers: list[str], resamples: int, seed: int) -> Estimate:
    """Mean over clips and its interval; nan values are left out, and speakers who have no others.

    Clips without a speaker ("") are resampled together, as if they were of one: nobody knows that they are independent.
    """
    known = [(value, speaker) for value, speaker in zip(values, speakers, strict=True) if value == value]
    names = {name: index for index, name in enumerate(sorted({speaker for _, speaker in known}))}
    totals = np.zeros((len(names), 2))
    for value, speaker in known:
        totals[names[speaker]] += (value, 1.0)

    def mean(sums: Floats) -> Floats:
        return sums[:, 0] / sums[:, 1]

    found = estimate(totals, mean, len(known), resamples, seed)
    named = totals[[index for name, index in names.items() if name]]
    return replace(found, by_speaker=float(mean(named).mean())) if len(named) else found
