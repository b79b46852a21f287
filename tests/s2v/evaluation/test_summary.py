"""Rows to numbers: means, macro-F1 with its interval, coverage."""

import math

import pytest

from s2v.evaluation.clip_rows import ClipRow
from s2v.evaluation.report import Report
from s2v.evaluation.summary import BETTER, METRICS, summarise


def row(clip: int, speaker: str, system: str = "ours", emotion: str = "", **values: float) -> ClipRow:
    """`emotion` is "true>predicted"."""
    true, _, predicted = emotion.partition(">")
    return ClipRow(str(clip), speaker, system, dict(values), true, predicted, "label" if emotion else "")


def test_systems_keep_their_order_and_their_own_rows() -> None:
    rows = [row(0, "a", "ours", ssim=0.4), row(0, "a", "truth", ssim=1.0), row(1, "b", "ours", ssim=0.6)]
    found = summarise(rows)
    assert list(found) == ["ours", "truth"]
    assert found["ours"]["ssim"].mean == pytest.approx(0.5)
    assert found["truth"]["ssim"].mean == 1.0


def test_only_measured_metrics_appear() -> None:
    found = summarise([row(0, "a", ssim=0.5)])["ours"]
    assert set(found) == {"ssim"}


def test_missing_and_nan_values_are_not_counted() -> None:
    rows = [row(0, "a", motion=float("nan")), row(1, "b", motion=0.5), row(2, "c")]
    estimate = summarise(rows)["ours"]["motion"]
    assert (estimate.mean, estimate.n) == (0.5, 1)
    never = summarise([row(0, "a", motion=float("nan"))])["ours"]["motion"]
    assert math.isnan(never.mean) and never.n == 0


def test_early_and_late_do_not_cancel_out() -> None:
    """A stranger's still is early here and late there; real video lags by a frame, and is nearer to its speech."""
    offsets = {"still": (9.0, -8.0, 0.0), "truth": (-1.0, -2.0, -1.0)}
    rows = [
        row(clip, "abc"[clip], system, sync_offset=offset, sync_offset_abs=abs(offset))
        for system, found in offsets.items()
        for clip, offset in enumerate(found)
    ]
    found = summarise(rows)
    assert abs(found["still"]["sync_offset"].mean) < abs(found["truth"]["sync_offset"].mean)
    assert found["still"]["sync_offset_abs"].mean == pytest.approx(17 / 3)
    assert found["truth"]["sync_offset_abs"].mean == pytest.approx(4 / 3)
    better = {line[0]: line[1] for line in Report(rows, found, {}).table()}
    assert (better["sync_offset_abs"], better["sync_offset"]) == ("lower", "")
    assert set(METRICS.values()) <= set(BETTER) | {""}


def test_macro_f1_by_hand_with_an_interval() -> None:
    kinds = ["anger>anger", "anger>fear", "fear>fear", "fear>fear"]
    rows = [row(i, "ab"[i % 2], emotion=kind) for i, kind in enumerate(kinds)]
    estimate = summarise(rows)["ours"]["emotion_macro_f1"]
    # anger 2 * 1 / (2 + 1), fear 2 * 2 / (2 + 3)
    assert estimate.mean == pytest.approx((2 / 3 + 4 / 5) / 2)
    # speaker a alone is perfect; b alone has anger 0 and fear 2 * 1 / (1 + 2)
    assert estimate.high == pytest.approx(1.0)
    assert estimate.low == pytest.approx((0 + 2 / 3) / 2)
    assert estimate.n == 4


def test_an_emotion_that_is_only_predicted_is_a_miss_and_no_class_of_its_own() -> None:
    kinds = ["anger>anger", "anger>contempt", "fear>fear", "fear>fear"]
    rows = [row(i, "ab"[i % 2], emotion=kind) for i, kind in enumerate(kinds)]
    # anger 2 * 1 / (2 + 1), fear 1; contempt does not occur
    assert summarise(rows)["ours"]["emotion_macro_f1"].mean == pytest.approx((2 / 3 + 1) / 2)


def test_a_clip_without_emotion_does_not_enter_f1() -> None:
    rows = [row(0, "a", emotion="anger>anger"), row(1, "b", ssim=0.5)]
    assert summarise(rows)["ours"]["emotion_macro_f1"].n == 1


def test_coverage_counts_rows_with_a_reason_as_not_scored() -> None:
    rows = [row(0, "a", ssim=0.5), row(1, "a")]
    rows[1].reasons.append("no frames")
    found = summarise(rows)["ours"]
    assert (found.scored, found.total) == (1, 2)
