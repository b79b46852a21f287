"""Landmarks in the protocol, on pictures whose first pixel says how wide eyes and mouth are open."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from s2v.errors import InputError
from s2v.evaluation.clip_rows import GROUND_TRUTH, SHIFTED, STILL, SWAPPED, ClipRow, TestClip
from s2v.evaluation.landmark_judge import LandmarkJudge, load_landmark_judge
from s2v.evaluation.protocol import Protocol
from s2v.evaluation.report import Report
from s2v.evaluation.scoring import Scoring
from tests.s2v.metrics.test_blinks import face
from tests.s2v.metrics.test_mouth_landmarks import BETWEEN_EYES, mouth

NO_FACE = 0


def landmarks_of(frames: Tensor) -> Tensor:
    """(T, 3, H, W) -> (T, 68, 2): lids a hundredth of the first pixel's red apart, lips of its green; none at 0."""
    found = torch.full((len(frames), 68, 2), torch.nan)
    for number, (lids, lips, _) in enumerate(frames[:, :, 0, 0].tolist()):
        if lids != NO_FACE:
            found[number] = mouth(lips / 100)
            found[number, 36:48] = face((lids / 100,) * 2, (lids / 100,) * 2)[36:48]
    return found


def judge() -> LandmarkJudge:
    return LandmarkJudge(landmarks_of, "eyes", "0" * 64, "made for this")


def clip_of(lids: list[int], lips: list[int] | None = None) -> Tensor:
    """(T, 3, 32, 32) uint8 with these first pixels; where nothing is said of lips, they open by noise."""
    noise = torch.randint(0, 256, (len(lids), 3, 32, 32), generator=torch.Generator().manual_seed(0))
    noise[:, 0, 0, 0] = torch.tensor(lids)
    if lips is not None:
        noise[:, 1, 0, 0] = torch.tensor(lips)
    return noise.to(torch.uint8)


ONE_BLINK = [120] * 20 + [30] * 4 + [120] * 26
TWO_BLINKS = [120] * 10 + [30] * 4 + [120] * 10 + [30] * 4 + [120] * 22


def rows_of(real: list[int], generated: list[int]) -> dict[str, ClipRow]:
    return rows_of_clips(clip_of(real), clip_of(generated))


def rows_of_clips(real: Tensor, generated: Tensor) -> dict[str, ClipRow]:
    protocol = Protocol("ours", landmarks=judge())
    protocol.add(TestClip("a", "ann", "", real, generated, "no sound"))
    return {row.system: row for row in protocol.finish()}


def test_rates_by_hand() -> None:
    rows = rows_of(ONE_BLINK, TWO_BLINKS)
    rates = {name: row.values["blink_rate"] for name, row in rows.items()}
    assert rates == {"ours": 1.0, GROUND_TRUTH: 0.5, SHIFTED: 0.5, SWAPPED: 0.5, STILL: 0.0}
    differences = {name: row.values["blink_rate_difference"] for name, row in rows.items()}
    assert differences == {"ours": 0.5, GROUND_TRUTH: 0, SHIFTED: 0, SWAPPED: 0, STILL: -0.5}
    assert all(row.scored for row in rows.values())


LIPS = [20 * (frame % 7) for frame in range(50)]


def test_mouths_by_hand() -> None:
    """Ours opens half as far as the real one, always. Mouths repeat every 7 frames, so 10 frames later is no match."""
    open_eyes = [120] * 50
    rows = rows_of_clips(clip_of(open_eyes, LIPS), clip_of(open_eyes, [lips // 2 for lips in LIPS]))
    ours, truth, shifted, still = (rows[name].values for name in ("ours", GROUND_TRUTH, SHIFTED, STILL))
    assert ours["mouth_correlation"] == pytest.approx(1)
    assert ours["mouth_range"] == pytest.approx(0.5, rel=1e-5)
    # two points of twenty are a quarter of the opening away
    mean_opening = sum(LIPS) / len(LIPS) / 100
    assert ours["mouth_lmd"] == pytest.approx(2 / 20 * mean_opening / 4 / BETWEEN_EYES, rel=1e-4)
    assert still["mouth_lmd"] == pytest.approx(2 / 20 * mean_opening / 2 / BETWEEN_EYES, rel=1e-4)
    assert (truth["mouth_lmd"], truth["mouth_correlation"]) == (0, pytest.approx(1))
    later = torch.tensor(LIPS, dtype=torch.float)
    expected = float(torch.corrcoef(torch.stack([later[:-10], later[10:]]))[0, 1])
    assert shifted["mouth_correlation"] == pytest.approx(expected, abs=1e-5)
    assert (still["mouth_range"], "mouth_correlation" in still) == (0, False)
    assert not any(name.startswith("mouth_") for name in rows[SWAPPED].values)
    assert all(row.scored for row in rows.values())


def test_a_frozen_mouth_follows_nothing() -> None:
    """Left out, such clips would better a system's mean; of a real mouth that is still nothing can be said."""
    open_eyes = [120] * 50
    frozen, moving = clip_of(open_eyes, [40] * 50), clip_of(open_eyes, LIPS)
    values = rows_of_clips(moving, frozen)["ours"].values
    assert (values["mouth_correlation"], values["mouth_range"]) == (0, 0)
    assert not {"mouth_correlation", "mouth_range"} & rows_of_clips(frozen, moving)["ours"].values.keys()
    assert not {"mouth_correlation", "mouth_range"} & rows_of_clips(frozen, frozen)["ours"].values.keys()


def test_mouths_of_clips_of_other_size_and_length() -> None:
    """The first 40 frames are the same mouths."""
    rows = rows_of_clips(clip_of([120] * 50, LIPS), clip_of([120] * 40, LIPS[:40])[..., :24, :24])
    values = rows["ours"].values
    assert (values["mouth_lmd"], values["mouth_correlation"]) == (0, pytest.approx(1))
    assert "ssim" not in values


def test_generated_clip_without_a_face_says_so_and_keeps_its_other_values() -> None:
    rows = rows_of(ONE_BLINK, [NO_FACE] * 26 + [120] * 24)
    assert rows["ours"].reasons == ["landmarks can't be compared: a face was found in 24 of 50 frames"]
    assert "blink_rate" not in rows["ours"].values and "ssim" in rows["ours"].values
    assert rows[GROUND_TRUTH].scored and rows[STILL].scored


def test_real_clip_without_a_face_leaves_nothing_to_compare_with() -> None:
    rows = rows_of([NO_FACE] * 50, ONE_BLINK)
    why = "landmarks can't be compared: a face was found in 0 of 50 frames"
    assert rows["ours"].values["blink_rate"] == 0.5
    assert "blink_rate_difference" not in rows["ours"].values
    assert rows["ours"].reasons == [f"the real clip's {why}"]
    assert rows[GROUND_TRUTH].reasons == rows[SHIFTED].reasons == rows[SWAPPED].reasons == [why]
    assert rows[STILL].reasons == ["landmarks can't be compared: no face was found in the held frame"]


def test_faces_that_are_never_seen_at_once_say_so() -> None:
    """Real ones in one half, made ones in the other: each half is enough for blinks, no frame is there to compare."""
    rows = rows_of([120] * 30 + [NO_FACE] * 30, [NO_FACE] * 30 + [120] * 30)
    made = rows["ours"]
    assert made.reasons == ["mouths can't be compared: both have a face in 0 of 60 frames"]
    assert {"blink_rate", "blink_rate_difference"} <= made.values.keys()
    assert not made.values.keys() & {"mouth_lmd", "mouth_correlation", "mouth_range"}
    enough = rows_of([120] * 45 + [NO_FACE] * 15, [NO_FACE] * 20 + [120] * 40)["ours"]  # 25 together
    assert enough.reasons == [] and "mouth_lmd" in enough.values


def test_too_short_a_clip() -> None:
    rows = rows_of([120] * 24, [120] * 24)
    assert rows["ours"].reasons == ["landmarks can't be compared in 24 frames: 25 are needed"]
    assert rows[STILL].reasons == ["the real clip's landmarks can't be compared in 24 frames: 25 are needed"]


def test_report_says_how_to_read_them_and_who_judged(tmp_path: Path) -> None:
    scoring = Scoring(Protocol("ours", landmarks=judge()), bootstrap=10)
    for number, made in enumerate((ONE_BLINK, TWO_BLINKS)):
        scoring.add(TestClip(str(number), "ann", "", clip_of(ONE_BLINK), clip_of(made), "no sound"))
    report = scoring.report({}, set())
    assert isinstance(report, Report)
    table = {row[0]: row for row in report.table()}
    assert table["blink_rate"][1:3] == ["as real", table["blink_rate"][2]]
    assert table["blink_rate"][2].startswith("0.750") and table["blink_rate_difference"][2].startswith(
        "0.250"
    )
    assert report.meta["judges"]["landmarks"]["file"] == "eyes"
    report.write(tmp_path)
    assert "blink_rate" in (tmp_path / "report.csv").read_text().splitlines()[0]
    assert "landmarks judge: eyes, made for this" in report.as_markdown()
    report.rich_table()


def test_a_missing_file_is_named() -> None:
    with pytest.raises(InputError, match=r"no file at nowhere\.dat"):
        load_landmark_judge("nowhere.dat")
