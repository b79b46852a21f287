"""Shift algebra of the sync values, on embeddings whose true alignment is known."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from s2v.metrics.lip_sync import (
    VSHIFT,
    pair_with_later_speech,
    share_farther_than_true,
    still_lips,
    sync_values,
    true_is_nearest,
)
from s2v.metrics.sync_confidence import sync_embeddings
from tests.s2v.evaluation.talking_squares import LoudnessSyncNet, loudness, speech_of, talking_square


def track(windows: int, seed: int = 0) -> Tensor:
    return torch.randn(windows, 8, generator=torch.Generator().manual_seed(seed))


def test_true_speech_is_preferred() -> None:
    heard = track(60)
    values = sync_values(heard + 0.1 * track(60, seed=1), heard)
    assert values["sync_offset"] == 0
    assert values["sync_within_one"] == values["sync_prefers_true"] == values["sync_prefers_true_pairs"] == 1
    assert values["sync_distance"] < 0.5 < values["sync_confidence"]


@pytest.mark.parametrize("frames", [1, 2, 10])
def test_later_speech_shows_in_the_offset(frames: int) -> None:
    heard = track(60)
    lips, later = pair_with_later_speech(heard, heard, frames)
    assert len(lips) == len(later) == 60 - frames
    assert torch.equal(lips[frames:], later[:-frames])
    values = sync_values(lips, later)
    # the lips' own speech lies `frames` windows back in the list: it comes early, a positive offset
    assert values["sync_offset"] == values["sync_offset_abs"] == values["sync_offset_abs_valid"] == frames
    assert values["sync_within_one"] == (frames == 1)


def test_earlier_speech_is_as_far_out_of_step() -> None:
    heard = track(60)
    values = sync_values(heard[4:], heard[:-4])
    assert (values["sync_offset"], values["sync_offset_abs"]) == (-4, 4)
    assert (values["sync_offset_valid"], values["sync_offset_abs_valid"]) == (-4, 4)


def test_shifted_speech_is_not_preferred() -> None:
    heard = track(60)
    values = sync_values(*pair_with_later_speech(heard, heard, 10))
    assert values["sync_prefers_true"] == 0
    # of the 22 false shifts only the right one, ten frames back, is sure to be nearer
    assert values["sync_prefers_true_pairs"] <= 21 / 22


def test_preference_by_hand() -> None:
    curve = torch.full((2 * VSHIFT + 1,), 5.0)
    curve[VSHIFT], curve[VSHIFT - 1] = 3.0, 2.0  # the nearest true one is a frame off
    curve[VSHIFT + 2] = curve[VSHIFT - 4] = 0.0  # neither true nor false: not compared
    assert (true_is_nearest(curve), share_farther_than_true(curve)) == (1, 1)
    curve[VSHIFT + 5] = 2.5  # nearer than no shift, not nearer than a frame
    assert true_is_nearest(curve) == 1
    assert share_farther_than_true(curve) == pytest.approx(21 / 22)
    curve[VSHIFT - 15] = 2.0  # a tie is no preference
    assert true_is_nearest(curve) == 0
    assert share_farther_than_true(curve) == pytest.approx(20 / 22)
    curve[VSHIFT + 6 :] = math.nan
    assert share_farther_than_true(curve) == pytest.approx(10 / 12)
    curve[: VSHIFT - 4] = curve[VSHIFT + 5 :] = math.nan
    assert math.isnan(true_is_nearest(curve)) and math.isnan(share_farther_than_true(curve))


def test_unrelated_speech_is_at_the_stated_chance_levels() -> None:
    found = [sync_values(track(60, seed), track(60, 1000 + seed)) for seed in range(100)]
    means = {name: sum(values[name] for values in found) / 100 for name in found[0]}
    assert 0.02 < means["sync_prefers_true"] < 0.2
    assert 0.02 < means["sync_within_one"] < 0.2
    assert 0.4 < means["sync_prefers_true_pairs"] < 0.6


def test_of_true_pairs_alone_both_scores_are_one() -> None:
    """As a network whose embeddings have length 1 is scored; what needs no padding stays as it is."""
    lips, heard = functional.normalize(track(60, 1), dim=-1), functional.normalize(track(60, 2), dim=-1)
    stock, pairs = sync_values(lips, heard), sync_values(lips, heard, "valid_only")
    scores = ("sync_confidence", "sync_distance", "sync_offset", "sync_offset_abs")
    assert [pairs[name] for name in scores] == [stock[f"{name}_valid"] for name in scores]
    assert all(pairs[name] != stock[name] for name in ("sync_confidence", "sync_distance"))
    assert {name: pairs[name] for name in pairs if name not in scores} == {
        name: stock[name] for name in stock if name not in scores
    }


def test_short_clips_have_no_preference_but_a_score() -> None:
    heard = track(5)
    values = sync_values(heard, heard)
    assert math.isfinite(values["sync_confidence"])
    assert math.isnan(values["sync_prefers_true"]) and math.isnan(values["sync_prefers_true_pairs"])
    # among shifts of so few frames the nearest is a small one whatever is said
    for frames, known in ((5, False), (6, True)):
        values = sync_values(track(frames), track(frames).flip(0))
        for name in ("sync_within_one", "sync_offset_abs_valid", "sync_prefers_true"):
            assert math.isfinite(values[name]) == known
    # too short a clip for the shift has nothing left
    assert [len(part) for part in pair_with_later_speech(heard, heard, 10)] == [0, 0]


def test_embeddings_of_shifted_speech_are_shifted_embeddings() -> None:
    """Cutting the media instead of the embeddings gives the same, but for the cut's edge."""
    levels = loudness(40, seed=0)
    frames, speech = talking_square("ann", "anger", levels), speech_of(levels)
    syncnet = LoudnessSyncNet()
    lips, later = pair_with_later_speech(*sync_embeddings(syncnet, frames, speech), 10)
    cut_lips, cut_later = sync_embeddings(syncnet, frames[:-10], speech[10 * 640 :])
    torch.testing.assert_close(lips, cut_lips)
    torch.testing.assert_close(later[1:], cut_later[1:], rtol=0, atol=1e-3)


def test_still_lips_are_those_of_a_still_clip() -> None:
    levels = loudness(20, seed=0)
    frames, speech = talking_square("ann", "anger", levels), speech_of(levels)
    syncnet = LoudnessSyncNet()
    slow, heard = sync_embeddings(syncnet, frames[:1].expand(20, -1, -1, -1), speech)
    torch.testing.assert_close(still_lips(syncnet, frames[0], speech, len(heard)), slow)
