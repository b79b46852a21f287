"""Paired differences by hand: constant ones, correlated systems, missing clips, one speaker; and as text."""

import math
from typing import Any

import numpy as np
import pytest

from s2v.evaluation.bootstrap import mean_estimate
from s2v.evaluation.paired_difference import (
    ClipScores,
    PairedDifferences,
    clip_scores,
    first_system,
    paired_differences,
)
from s2v.evaluation.paired_table import paired_csv, paired_markdown


def rows(system: str, values: dict[str, float | None], speakers: str = "aabbcc") -> list[dict[str, Any]]:
    """As report.json has them: clip id -> SSIM, the clips' speakers in order."""
    return [
        {"clip_id": clip_id, "speaker": speaker, "system": system, "ssim": ssim, "sharpness": 0.5}
        for (clip_id, ssim), speaker in zip(values.items(), speakers, strict=False)
    ]


def columns(values: dict[str, float | None], speakers: str = "aabbcc") -> ClipScores:
    return clip_scores(rows("x", values, speakers), "x", ["ssim", "sharpness", "psnr"])


def minus(ours: ClipScores, theirs: ClipScores) -> PairedDifferences:
    better = {"ssim": "up", "sharpness": "one", "psnr": "up"}
    return paired_differences({"theirs": theirs, "ours": ours}, "ours", better, 1000, 0)


def test_a_constant_difference_has_no_width() -> None:
    theirs = {"1": 0.1, "2": 0.9, "3": 0.4, "4": 0.2, "5": 0.7, "6": 0.3}
    found = minus(columns({name: ssim + 0.25 for name, ssim in theirs.items()}), columns(dict(theirs)))
    value = found.minus["theirs"]["ssim"]
    assert (value.mean, value.low, value.high, value.by_speaker) == pytest.approx((0.25,) * 4)
    assert value.n == found.clips["theirs"] == 6 and "psnr" not in found.minus["theirs"]
    marginal = mean_estimate(list(theirs.values()), list("aabbcc"), 1000, 0)
    assert marginal.high - marginal.low > 0.1


def test_correlated_systems_differ_within_less_than_each_varies() -> None:
    generator = np.random.default_rng(0)
    hard = generator.normal(0.5, 0.2, 60)
    speakers = [str(clip // 3) for clip in range(60)]
    ours, theirs = (
        ClipScores({str(clip): clip for clip in range(60)}, speakers, {"ssim": values})
        for values in (hard + 0.02 + generator.normal(0, 0.01, 60), hard)
    )
    value = minus(ours, theirs).minus["theirs"]["ssim"]
    apart = [mean_estimate(system.values["ssim"].tolist(), speakers, 1000, 0) for system in (ours, theirs)]
    assert value.mean == pytest.approx(apart[0].mean - apart[1].mean)
    assert 0 < value.low < 0.02 < value.high
    assert all(value.high - value.low < 0.1 * (marginal.high - marginal.low) for marginal in apart)


def test_speakers_are_drawn_whole() -> None:
    """Differences of 0, 0, 1, 1 by speaker a, a, b, b: draws of a alone and of b alone are the bounds."""
    found = minus(columns({"1": 0.0, "2": 0.0, "3": 1.0, "4": 1.0}), columns(dict.fromkeys("1234", 0.0)))
    value = found.minus["theirs"]["ssim"]
    assert (value.low, value.mean, value.high) == (0.0, 0.5, 1.0)


def test_a_clip_that_one_lacks_is_left_out_of_both() -> None:
    """Without a row (5, 6), or without a value (2, 3): of six clips 1 and 4 are left, in whatever order."""
    ours = columns({"1": 0.5, "2": None, "3": 0.9, "4": 0.7, "5": 0.1}, "aabbc")
    theirs = columns({"6": 0.8, "4": 0.3, "3": None, "2": 0.2, "1": 0.4}, "cbbaa")
    found = minus(ours, theirs)
    value = found.minus["theirs"]["ssim"]
    assert value.mean == pytest.approx((0.1 + 0.4) / 2) and value.n == 2 and found.clips["theirs"] == 6
    assert (value.low, value.high) == pytest.approx((0.1, 0.4))
    assert found.minus["theirs"]["sharpness"].n == 4
    assert minus(columns({"1": 0.5}), columns({"2": 0.5})).minus == {}
    assert minus(columns({"1": 0.5}), columns({"1": None})).minus["theirs"].keys() == {"sharpness"}
    assert minus(columns({"1": None}), columns({"1": 0.5})).minus["theirs"].keys() == {"sharpness"}


def test_one_speaker_has_a_mean_but_no_interval() -> None:
    found = minus(columns({"1": 0.5, "2": 0.7}, "aa"), columns({"1": 0.25, "2": 0.25}, "aa"))
    value = found.minus["theirs"]["ssim"]
    assert value.mean == pytest.approx(0.35) and math.isnan(value.low) and math.isnan(value.high)
    text = paired_markdown(found, ["ssim"])
    assert text[-1] == "| ssim | above 0 | +0.350 |" and "without intervals" in text[2]
    assert found.as_json()["minus"]["theirs"]["ssim"] == {
        "mean": pytest.approx(0.35),
        "low": None,
        "high": None,
        "by_speaker": pytest.approx(0.35),
        "n": 2,
    }


def test_what_is_no_row_is_left_out() -> None:
    good = rows("x", {"1": 0.5})
    odd = [3, {"system": "x"}, {"clip_id": 1, "system": "x"}, *rows("another", {"2": 0.5})]
    found = clip_scores([*good, *odd, {"clip_id": "3", "system": "x", "ssim": True}], "x", ["ssim"])
    assert found.places == {"1": 0, "3": 1} and found.speakers == ["a", ""]
    assert found.values["ssim"].tolist() == pytest.approx([0.5, math.nan], nan_ok=True)
    assert clip_scores(None, "x", ["ssim"]) == ClipScores({}, [], {})


def test_who_is_compared() -> None:
    assert first_system(["SDFA", "speech2video, CPC alone", "speech2video"]) == "speech2video"
    assert first_system(["SDFA", "speech2video, CPC alone"]) == "speech2video, CPC alone"
    assert first_system(["SDFA", "S2F+SDFA"]) == "SDFA"


def test_as_text() -> None:
    ours = columns({"1": 0.5, "2": 0.5, "3": 1.0, "4": 0.5}, "aabb")
    theirs = columns({"1": 0.5, "2": 0.5, "3": 0.5}, "aab")
    found = minus(ours, theirs)
    assert paired_markdown(found, ["psnr"]) == []
    assert paired_markdown(found, ["ssim", "psnr", "sharpness"])[-4:] == [
        "| metric | ours better | minus **theirs** |",
        "| --- | --- | --- |",
        "| ssim | above 0 | +0.167 [+0.000, +0.500] (3 of 4) |",
        "| sharpness | - | +0.000 [+0.000, +0.000] (3 of 4) |",
    ]
    assert paired_csv(found).splitlines() == [
        "system,minus,metric,better,mean,low,high,pairs,clips",
        "ours,theirs,ssim,above 0,0.16666666666666666,0.0,0.5,3,4",
        "ours,theirs,sharpness,,0.0,0.0,0.0,3,4",
    ]
