"""Rows come back as they were put in, and take a tenth of the memory."""

import math
import tracemalloc

import pytest

from s2v.evaluation.clip_rows import CALIBRATION, ClipRow
from s2v.evaluation.row_table import RowTable
from s2v.evaluation.summary import CLIP_METRICS


def rows_of(clip: int) -> list[ClipRow]:
    """Eight rows whose names and values are no two the same object, as a test's are."""
    return [
        ClipRow(
            "".join(["clip ", str(clip)]),
            f"speaker {clip % 7}",
            system,
            {metric: math.sin(clip) * place for place, metric in enumerate(CLIP_METRICS)},
            "anger",
            "fear",
            "label",
            ["too short"] if clip % 50 == 0 else [],
        )
        for system in ("ours", *CALIBRATION)
    ]


def test_rows_come_back_whole() -> None:
    given = [
        ClipRow("a", "ann", "ours", {"psnr": 30.1, "ssim": 1 / 3}, "anger", "fear", "label", gender="female"),
        ClipRow("b", "", "ours", {}, reasons=["no sound", "too dark"], adjusted="resized"),
        ClipRow("a", "ann", "still_frame", {"motion": 0.1}, reasons=["no sound"]),
    ]
    table = RowTable(given)
    assert list(table) == given and len(table) == 3
    assert table[-1] == given[-1] and table[1:] == given[1:]
    with pytest.raises(IndexError):
        table[3]


def test_an_absent_value_is_none_and_nan_is_nan() -> None:
    table = RowTable([ClipRow("a", "", "ours", {"ssim": math.nan}), ClipRow("b", "", "ours", {"psnr": 1.0})])
    assert list(table[0].values) == ["ssim"] and math.isnan(table[0].values["ssim"])
    assert table[1].values == {"psnr": 1.0}


def test_a_row_changes_when_it_is_put_back() -> None:
    table = RowTable([ClipRow("a", "", "ours", {"ssim": 0.5}), ClipRow("b", "", "ours", {"ssim": 0.25})])
    changed = table[0]
    changed.values = {"psnr": 20.0}
    changed.reasons.append("dark")
    assert table[0] == ClipRow("a", "", "ours", {"ssim": 0.5})
    table[0] = changed
    assert table[0] == ClipRow("a", "", "ours", {"psnr": 20.0}, reasons=["dark"])
    assert table[1] == ClipRow("b", "", "ours", {"ssim": 0.25})


def test_a_clip_takes_little_more_than_its_numbers() -> None:
    clips = 500
    table = RowTable(row for clip in range(20) for row in rows_of(clip))
    tracemalloc.start()
    try:
        for clip in range(20, 20 + clips):
            for row in rows_of(clip):
                table.append(row)
        of_table = tracemalloc.get_traced_memory()[0] / clips
        tracemalloc.clear_traces()
        kept = [rows_of(clip) for clip in range(20, 20 + clips)]
        of_rows = tracemalloc.get_traced_memory()[0] / clips
    finally:
        tracemalloc.stop()
    assert len(kept) == clips and len(table) == 8 * (20 + clips)
    assert of_table < 8 * 8 * len(CLIP_METRICS) + 768  # eight systems, float64
    assert of_rows > 5 * of_table
