"""Blinks as a judge of the protocol, on pictures whose first pixel says how wide the eyes are open."""

import pytest
import torch
from torch import Tensor

from s2v.errors import InputError
from s2v.evaluation.blink_judge import BlinkJudge, load_blink_judge
from s2v.evaluation.clip_rows import GROUND_TRUTH, SHIFTED, STILL, SWAPPED, ClipRow, TestClip
from s2v.evaluation.protocol import Protocol
from s2v.evaluation.report import Report
from s2v.evaluation.scoring import Scoring
from tests.s2v.metrics.test_blinks import face

NO_FACE = 0


def landmarks_of(frames: Tensor) -> Tensor:
    """(T, 3, H, W) -> (T, 68, 2): lids a hundredth of the first pixel apart; none at 0."""
    found = torch.full((len(frames), 68, 2), torch.nan)
    for number, opening in enumerate(frames[:, 0, 0, 0].tolist()):
        if opening != NO_FACE:
            found[number] = face((opening / 100,) * 2, (opening / 100,) * 2)
    return found


def judge() -> BlinkJudge:
    return BlinkJudge(landmarks_of, "eyes", "0" * 64, "made for this")


def clip_of(openings: list[int]) -> Tensor:
    """(T, 3, 32, 32) uint8 with these first pixels."""
    noise = torch.randint(0, 256, (len(openings), 3, 32, 32), generator=torch.Generator().manual_seed(0))
    noise[:, 0, 0, 0] = torch.tensor(openings)
    return noise.to(torch.uint8)


ONE_BLINK = [120] * 20 + [30] * 4 + [120] * 26
TWO_BLINKS = [120] * 10 + [30] * 4 + [120] * 10 + [30] * 4 + [120] * 22


def rows_of(real: list[int], generated: list[int]) -> dict[str, ClipRow]:
    protocol = Protocol("ours", blinks=judge())
    protocol.add(TestClip("a", "ann", "", clip_of(real), clip_of(generated), "no sound"))
    return {row.system: row for row in protocol.finish()}


def test_rates_by_hand() -> None:
    rows = rows_of(ONE_BLINK, TWO_BLINKS)
    rates = {name: row.values["blink_rate"] for name, row in rows.items()}
    assert rates == {"ours": 1.0, GROUND_TRUTH: 0.5, SHIFTED: 0.5, SWAPPED: 0.5, STILL: 0.0}
    differences = {name: row.values["blink_rate_difference"] for name, row in rows.items()}
    assert differences == {"ours": 0.5, GROUND_TRUTH: 0, SHIFTED: 0, SWAPPED: 0, STILL: -0.5}
    assert all(row.scored for row in rows.values())


def test_generated_clip_without_a_face_says_so_and_keeps_its_other_values() -> None:
    rows = rows_of(ONE_BLINK, [NO_FACE] * 26 + [120] * 24)
    assert rows["ours"].reasons == ["blinks can't be counted: a face was found in 24 of 50 frames"]
    assert "blink_rate" not in rows["ours"].values and "ssim" in rows["ours"].values
    assert rows[GROUND_TRUTH].scored and rows[STILL].scored


def test_real_clip_without_a_face_leaves_nothing_to_compare_with() -> None:
    rows = rows_of([NO_FACE] * 50, ONE_BLINK)
    why = "blinks can't be counted: a face was found in 0 of 50 frames"
    assert rows["ours"].values["blink_rate"] == 0.5
    assert "blink_rate_difference" not in rows["ours"].values
    assert rows["ours"].reasons == [f"the real clip's {why}"]
    assert rows[GROUND_TRUTH].reasons == rows[SHIFTED].reasons == rows[SWAPPED].reasons == [why]
    assert rows[STILL].reasons == ["blinks can't be counted: no face was found in the held frame"]


def test_too_short_a_clip() -> None:
    rows = rows_of([120] * 24, [120] * 24)
    assert rows["ours"].reasons == ["blinks can't be counted in 24 frames: 25 are needed"]
    assert rows[STILL].reasons == ["the real clip's blinks can't be counted in 24 frames: 25 are needed"]


def test_report_says_how_to_read_them_and_who_judged() -> None:
    scoring = Scoring(Protocol("ours", blinks=judge()), bootstrap=10)
    for number, made in enumerate((ONE_BLINK, TWO_BLINKS)):
        scoring.add(TestClip(str(number), "ann", "", clip_of(ONE_BLINK), clip_of(made), "no sound"))
    report = scoring.report({}, set())
    assert isinstance(report, Report)
    table = {row[0]: row for row in report.table()}
    assert table["blink_rate"][1:3] == ["as real", table["blink_rate"][2]]
    assert table["blink_rate"][2].startswith("0.750") and table["blink_rate_difference"][2].startswith(
        "0.250"
    )
    assert report.meta["judges"]["blinks"]["file"] == "eyes"
    assert "blink_rate" in report.as_csv().splitlines()[0]
    assert "blinks judge: eyes, made for this" in report.as_markdown()
    report.rich_table()


def test_a_missing_file_is_named() -> None:
    with pytest.raises(InputError, match=r"no file at nowhere\.dat"):
        load_blink_judge("nowhere.dat")
