"""Properties of the bootstrap: constant data, resampling by speaker, seeds, nan."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from s2v.evaluation.bootstrap import Floats, drawn_speakers, estimate, expanded_tail, mean_estimate


def test_constant_data_has_no_width() -> None:
    found = mean_estimate([0.7] * 12, ["a", "b", "c"] * 4, 500, 0)
    assert (found.mean, found.low, found.high) == pytest.approx((0.7, 0.7, 0.7))
    assert found.n == 12


def test_draws_are_with_replacement_and_of_full_size() -> None:
    drawn = drawn_speakers(5, 2000, 0)
    assert drawn.shape == (2000, 5)
    assert (drawn.sum(axis=1) == 5).all()
    assert drawn.max() > 1 and drawn.min() == 0
    np.testing.assert_allclose(drawn.mean(axis=0), 1, atol=0.08)


def test_whole_speakers_are_resampled() -> None:
    """Clips alike within speakers: the interval must reach as far as the speakers differ."""
    values = [0.0] * 50 + [1.0] * 50
    by_speaker = mean_estimate(values, ["a"] * 50 + ["b"] * 50, 1000, 0)
    assert (by_speaker.low, by_speaker.mean, by_speaker.high) == (0.0, 0.5, 1.0)
    as_if_independent = mean_estimate(values, [str(i) for i in range(100)], 1000, 0)
    assert 0.35 < as_if_independent.low < 0.45 < 0.55 < as_if_independent.high < 0.65


def test_interval_agrees_with_theory() -> None:
    values = np.random.default_rng(1).normal(3.0, 1.0, 400).tolist()
    found = mean_estimate(values, [str(i) for i in range(400)], 2000, 0)
    half = 1.96 * np.std(values) / math.sqrt(400)
    assert found.low == pytest.approx(found.mean - half, abs=0.015)
    assert found.high == pytest.approx(found.mean + half, abs=0.015)


def test_few_speakers_have_wide_intervals() -> None:
    """Six of them: by t, 2.5706, and the resamples' sqrt(5 / 6); the plain quantiles would cover 0.84."""
    assert expanded_tail(6) == pytest.approx(NormalDist().cdf(-2.5706 * math.sqrt(6 / 5)), rel=1e-3)
    assert expanded_tail(100_000) == pytest.approx(0.025, rel=1e-3)
    draw, covered = np.random.default_rng(0), 0
    for trial in range(300):
        values = (draw.normal(size=(6, 1)) + 0.5 * draw.normal(size=(6, 8))).ravel().tolist()
        found = mean_estimate(values, [str(clip // 8) for clip in range(48)], 400, trial)
        covered += found.low <= 0 <= found.high
    assert 0.89 < covered / 300 < 0.97


def test_speakers_with_more_clips_weigh_more() -> None:
    found = mean_estimate([1.0, 1.0, 1.0, 0.0], ["a", "a", "a", "b"], 100, 0)
    assert found.mean == 0.75 and found.by_speaker == 0.5


def test_clips_without_a_speaker_are_no_speaker() -> None:
    """They count in the mean and are drawn together, but have no share in the speakers' own means."""
    found = mean_estimate([1.0, 1.0, 1.0, 0.0, 5.0, 4.0], ["a", "a", "a", "b", "", ""], 1000, 0)
    assert found.mean == 2.0 and found.by_speaker == 0.5
    assert (found.low, found.high) == (0.0, 4.5)  # of draws of b alone, and of the two strangers alone
    flat = mean_estimate([0.25, 0.75], ["", ""], 1000, 0)
    assert flat.mean == 0.5 and all(math.isnan(value) for value in (flat.by_speaker, flat.low, flat.high))


def test_same_seed_same_interval() -> None:
    values, speakers = [0.1, 0.9, 0.4, 0.3], ["a", "b", "c", "d"]
    assert mean_estimate(values, speakers, 50, 3) == mean_estimate(values, speakers, 50, 3)
    assert mean_estimate(values, speakers, 50, 3) != mean_estimate(values, speakers, 50, 4)


def test_nan_is_left_out_with_its_speaker() -> None:
    nan = float("nan")
    found = mean_estimate([0.2, nan, 0.4, nan], ["a", "a", "b", "c"], 200, 0)
    assert found == mean_estimate([0.2, 0.4], ["a", "b"], 200, 0)
    assert found.n == 2


def test_draws_without_a_value_are_left_out_of_the_interval() -> None:
    """Of the second speaker alone there is nothing to divide by."""
    totals = np.array([[3.0, 1.0], [0.0, 0.0]])

    def ratio(sums: Floats) -> Floats:
        return np.divide(sums[:, 0], sums[:, 1], out=np.full(len(sums), np.nan), where=sums[:, 1] > 0)

    found = estimate(totals, ratio, 2, 200, 0)
    assert (found.low, found.mean, found.high) == (3.0, 3.0, 3.0)
    nothing = estimate(np.zeros((2, 2)), ratio, 2, 200, 0)
    assert all(math.isnan(value) for value in (nothing.low, nothing.mean, nothing.high))


def test_nothing_measured() -> None:
    found = mean_estimate([float("nan")], ["a"], 100, 0)
    assert found.n == 0
    assert all(math.isnan(value) for value in (found.mean, found.low, found.high))


def test_one_speaker_has_a_mean_but_no_interval() -> None:
    found = mean_estimate([0.2, 0.4], ["a", "a"], 100, 0)
    assert found.mean == pytest.approx(0.3)
    assert math.isnan(found.low) and math.isnan(found.high)
