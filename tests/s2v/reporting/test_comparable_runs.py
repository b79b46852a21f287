"""Which runs' clips are paired: a test of one's own model, and another system's videos of the same clips."""

import json
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
from torch import Tensor

from callbacks.test_report import TestReport
from data_modules import CremaD
from data_modules.clip_manifest import read_manifest
from s2v.batch import TalkingFaceBatch
from s2v.cli import main
from s2v.evaluation.paired_difference import ClipScores
from s2v.evaluation.summary import CLIP_METRICS
from s2v.reporting.comparable_runs import incomparable, is_judged_by, why_not_paired
from s2v.reporting.run_folder import Run, read_run
from tests.quiet_trainer import trainer

SCORED = {"dataset": "videos/real", "crop": "none: whole pictures", "generated": "videos/wav2lip"}
TESTED = {"dataset": "CremaD", "crop": "none"}


def run(*names: str, **meta: Any) -> Run:
    scores = ClipScores({name: place for place, name in enumerate(names)}, [], {"ssim": np.ones(len(names))})
    known = {"image_size": "128 x 128", "clip_list_sha256": " ".join(names)}
    return Run("a", report={"systems": {}, "meta": known | meta}, clips=scores)


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        (run("a", "b", **TESTED), run("b", "c", **TESTED), ""),
        (run("a", **TESTED), run("b", **TESTED), "no clip that both have"),
        (run("a", **TESTED), run("a", **TESTED | {"crop": "face"}), "cropped in another way"),
        (run("a", **TESTED), run("a", **TESTED, image_size="64 x 64"), "pictures of 64 x 64 against 128 x 128"),
        (run("a", **TESTED), run("a", **TESTED | {"dataset": "VideoFolder"}), ""),
        (run("a", "b", **TESTED), run("a", dataset="VideoFolder", crop="none"), "other data, and another list"),
        (run("a", **SCORED), run("a", **SCORED | {"dataset": "/home/me/videos/real"}), ""),
        (run("a", **TESTED), run("a", **SCORED), ""),
        (run("a", **TESTED | {"crop": "face"}), run("a", **SCORED), ""),
        (run("a", **TESTED | {"crop": "face"}), run("a", **SCORED | {"crop": "face: one box"}), ""),
        (run("a", **TESTED), run("a", **SCORED | {"crop": "face: one box"}), "cropped to the face, the other not"),
        (run("a", "b", **TESTED), run("a", **SCORED), "and not on the same list of clips"),
    ],
)  # fmt: skip
def test_why_runs_are_not_paired(one: Run, other: Run, reason: str) -> None:
    for pair in ((one, other), (other, one)):
        said = why_not_paired(*pair)
        assert said == reason or (reason and (reason in said or "128 x 128 against 64 x 64" in said))


def test_pictures_that_were_compared_in_other_ways_are_told() -> None:
    alike = [run("a", trim=0, resize=False), run("a", trim=0, resize=False), run("a")]
    assert incomparable(alike) == []
    (told,) = incomparable([*alike, run("a", trim=0, resize=True)])
    assert "brought to the real ones' size in some only: what compares pixels doesn't compare" in told
    assert "different sizes" in incomparable([*alike, run("a", image_size="64 x 64", trim=2)])[0]
    assert "other limits" in incomparable([*alike, run("a", image_size="64 x 64", trim=2)])[1]


@pytest.mark.parametrize(
    ("judge", "metrics"),
    [
        ("identity", ["identity_rank1", "identity_cosine_mp4", "gender_agreement"]),
        ("emotion", ["emotion_accuracy"]),
        ("sync", ["sync_distance", "sync_prefers_true_mp4"]),
        ("perceptual", ["lpips"]),
        ("landmarks", ["blink_rate", "mouth_lmd"]),
        ("of ones own", []),
    ],
)
def test_what_another_judge_measured_is_known_by_its_name(judge: str, metrics: list[str]) -> None:
    known = [metric for metric in CLIP_METRICS if is_judged_by(metric, judge)]
    assert set(metrics) <= set(known)
    assert not {"ssim_mouth", "psnr", "sharpness", "motion"} & set(known)


class Darker(pl.LightningModule):
    """A system that needs no speech: the real frames at half of their brightness."""

    def test_step(self, batch: TalkingFaceBatch, batch_idx: int) -> dict[str, Tensor]:
        return {"generated": batch["frames"][0] // 2, "real": batch["frames"][0]}


@pytest.mark.slow
def test_a_report_of_the_test_is_paired_with_a_score_of_the_clips_that_were_written(
    crema_d_cache: Path, tmp_path: Path
) -> None:
    tested, scored, clips, lists = (tmp_path / name for name in ("ours", "theirs", "clips", "lists"))
    lists.mkdir()
    names = [row.clip_id for row in read_manifest(crema_d_cache / "manifest.csv") if row.cache_file][:2]
    for part in ("train", "val", "test"):
        (lists / f"{part}.txt").write_text("\n".join(names) if part == "test" else "")
    report = TestReport(str(tested), contact_sheet=False, exported=False, bootstrap=0)
    data = CremaD(str(crema_d_cache), split=str(lists), image_size=64, num_workers=0)
    trainer(tmp_path, report).test(Darker(), datamodule=data, verbose=False)
    written = ["clips", "--cache", str(crema_d_cache), "--split", str(lists), "--output", str(clips)]
    assert main(written) == 0
    where = ["--real", str(clips), "--generated", str(clips), "--output", str(scored)]
    assert main(["score", *where, "--bootstrap", "0"]) == 0
    ours, theirs = (read_run(folder.name, folder) for folder in (tested, scored))
    assert ours.clips is not None and theirs.clips is not None
    assert ours.clips.places == theirs.clips.places and ours.clips.speakers == theirs.clips.speakers
    # what tells of the real frames alone is the same: they are the same pictures
    rows = [json.loads((folder / "report.json").read_text())["clips"] for folder in (tested, scored)]
    stills = [[row["ssim"] for row in found if row["system"] == "still_frame"] for found in rows]
    assert len(stills[0]) == len(ours.clips.places)
    np.testing.assert_allclose(stills[0], stills[1], atol=1e-6)
    page = tmp_path / "page.html"
    assert main(["report", str(tested), str(scored), "--output", str(page)]) == 0
    section = page.read_text().partition("<h3>Paired differences</h3>")[2].partition("<h3>")[0]
    assert "minus theirs" in section and ">ssim<" in section and "left out" not in section
