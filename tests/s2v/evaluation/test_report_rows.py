"""What is written row by row is what json and csv write of all rows at once."""

import csv
import io
import json
import math

import pytest

from s2v.evaluation.clip_rows import ClipRow
from s2v.evaluation.report_rows import write_csv, write_json
from s2v.evaluation.summary import CLIP_METRICS

ROWS = [
    ClipRow(
        "Zoë [] \n\u2028 1", "ann", "ours", {"ssim": 1 / 3, "motion": math.nan}, "anger", "fear", "label"
    ),
    ClipRow("=1+1", "", "still_frame", {}, reasons=["no sound", "too dark"], gender="female"),
]
HEAD = {"systems": {"ours": {"ssim": None}}, "meta": {"note": "[]", "empty": []}}


@pytest.mark.parametrize("count", [0, 1, 2])
def test_json_is_that_of_the_whole(count: int) -> None:
    stream = io.StringIO()
    write_json(stream, HEAD, ROWS[:count])
    content = json.loads(stream.getvalue())
    assert stream.getvalue() == json.dumps(content, indent=1) + "\n"
    assert list(content) == ["systems", "meta", "clips"] and len(content["clips"]) == count
    assert {key: content[key] for key in HEAD} == HEAD
    for row, written in zip(ROWS[:count], content["clips"], strict=True):
        assert (written["clip_id"], written["scored"]) == (row.clip_id, not row.reasons)
        assert written["reason"] == "; ".join(row.reasons) and written["gender"] == row.gender
        values = {metric: written[metric] for metric in CLIP_METRICS if written[metric] is not None}
        assert values == {metric: value for metric, value in row.values.items() if value == value}


def test_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(io.StringIO(), {"meta": math.nan}, [])


def test_csv_has_a_line_a_row() -> None:
    stream = io.StringIO()
    write_csv(stream, ROWS)
    first, second = csv.DictReader(io.StringIO(stream.getvalue()))
    assert (first["clip_id"], first["ssim"], first["motion"]) == (ROWS[0].clip_id, str(1 / 3), "")
    assert (second["clip_id"], second["scored"], second["reason"]) == ("'=1+1", "False", "no sound; too dark")
