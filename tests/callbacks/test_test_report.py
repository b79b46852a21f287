"""`test` end to end: real networks as judges, files on disk, numbers in the logger."""

import csv
import json
import math
import os
import signal
import sys
from pathlib import Path
from typing import Any

import av
import joblib
import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger, WandbLogger
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from callbacks.test_report import TestReport
from data_modules import CremaD
from s2v.batch import TalkingFaceBatch
from s2v.errors import InputError
from s2v.evaluation.clip_measurement import ClipMeasurement
from s2v.evaluation.clip_rows import CALIBRATION, MP4, OWN_FRAMES, TestClip
from s2v.evaluation.protocol import Protocol
from s2v.evaluation.summary import METRICS
from s2v.files.file_hash import sha256_of_file, sha256_of_list
from s2v.generation.mp4_writer import write_mp4
from s2v.metrics.image_quality import frame_psnr
from s2v.training.step_counters import go_on_logging_at
from tests.callbacks.speaking_squares import SpeakingSquares, Squares, square_batch
from tests.conftest import BuildOnce
from tests.joblib_processes import joblib_processes
from tests.quiet_trainer import trainer
from tests.s2v.evaluation.brightness_metrics import Brightness
from tests.s2v.evaluation.judge_checkpoints import save_alexnet, save_face_teacher, save_syncnet
from tests.s2v.evaluation.talking_squares import COLOURS, EMOTIONS
from tests.s2v.training.wandb_offline import read_offline_run

OURS = "speech2video"
OTHERWISE_TESTED = {
    "fid",
    "blink_rate",
    "blink_rate_difference",
    "mouth_lmd",
    "mouth_correlation",
    "mouth_range",
    "identity_rank5",
    "identity_rank10",
}  # an Inception is slow, squares have no eyes and no mouths, there are three speakers
MEASURED = [metric for metric in METRICS if metric not in OTHERWISE_TESTED]
OF_ANY_FRAMES = [metric for metric in MEASURED if not metric.endswith(MP4)]
"""Calibration rows are of frames that no export has made."""
CLIPS = [(who, how, 10 * i + j) for i, who in enumerate(COLOURS) for j, how in enumerate(EMOTIONS)]


def held_out() -> list[TalkingFaceBatch]:
    return [square_batch([clip], frames=24) for clip in CLIPS]


@pytest.fixture(scope="module")
def judges(build_once: BuildOnce) -> dict[str, str]:
    def fill(folder: Path) -> None:
        folder.mkdir()
        save_face_teacher(folder / "speakers.ckpt", list(COLOURS), "speaker")
        save_face_teacher(folder / "emotions.ckpt", EMOTIONS)
        save_syncnet(folder / "syncnet.ckpt")
        save_alexnet(folder / "alexnet.pth")

    folder = build_once("report_judges", fill)
    return {
        "identity_judge": str(folder / "speakers.ckpt"),
        "emotion_judge": str(folder / "emotions.ckpt"),
        "syncnet": str(folder / "syncnet.ckpt"),
        "lpips": str(folder / "alexnet.pth"),
    }


def run(
    folder: Path,
    report: TestReport,
    system: SpeakingSquares | None = None,
    clips: list[TalkingFaceBatch] | None = None,
    **settings: Any,
) -> pl.Trainer:
    tester = trainer(folder, report, **settings)
    data = Squares(test=held_out() if clips is None else clips)
    tester.test(system or SpeakingSquares(), datamodule=data, verbose=False)
    return tester


@pytest.fixture(scope="module")
def whole(judges: dict[str, str], build_once: BuildOnce) -> tuple[Path, dict[str, Any]]:
    """Folder and report.json of one full run."""

    def fill(folder: Path) -> None:
        logger = CSVLogger(folder, name="log", version="0")
        run(folder, TestReport(str(folder / "report"), bootstrap=50, **judges), logger=logger)

    folder = build_once("whole_report", fill)
    return folder, json.loads((folder / "report" / "report.json").read_text())


def test_every_metric_of_every_system_is_there(whole: tuple[Path, dict[str, Any]]) -> None:
    content = whole[1]
    assert list(content["systems"]) == [OURS, *CALIBRATION]
    for name, system in content["systems"].items():
        measured = MEASURED if name == OURS else OF_ANY_FRAMES
        assert set(system) == {*measured, "scored", "total"}
        assert (system["scored"], system["total"]) == (6, 6), name
        for metric in measured:
            estimate = system[metric]
            assert estimate["low"] <= estimate["mean"] + 1e-9 and estimate["mean"] <= estimate["high"] + 1e-9
    truth = content["systems"]["ground_truth"]
    assert truth["ssim"]["mean"] == pytest.approx(1) and truth["identity_cosine"]["mean"] == pytest.approx(1)
    assert content["systems"][OURS]["ssim"]["mean"] < 0.99


def alike(one: Any, other: Any, share: float = 1e-4) -> bool:
    """The same but for last digits; through an MP4 they are more, since a rounding there changes pixels."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            alike(one[key], other[key], 5e-2 if str(key).endswith("_mp4") else share) for key in one
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(alike(*pair, share) for pair in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=share, abs_tol=share) or (one != one and other != other)
    return bool(one == other)


def test_workers_measure_the_same(
    whole: tuple[Path, dict[str, Any]], judges: dict[str, str], tmp_path: Path
) -> None:
    run(tmp_path, TestReport(str(tmp_path), bootstrap=50, workers=2, **judges))
    sheet = "contact_sheet.png"
    assert (tmp_path / sheet).read_bytes() == (whole[0] / "report" / sheet).read_bytes()
    # but for the last digits: where a tensor lies in memory decides in which order AVX-512 adds
    content = json.loads((tmp_path / "report.json").read_text())
    for part in ("systems", "clips"):
        assert alike(content[part], whole[1][part])
    assert joblib.Parallel(n_jobs=2)(joblib.delayed(abs)(number) for number in (-1, 2)) == [1, 2]


class KilledWorker(SpeakingSquares):
    """Kills a process that measures, before the third clip; not one of those that were there before."""

    def __init__(self, before: set[int]) -> None:
        super().__init__()
        self.before = before

    def test_step(self, batch: TalkingFaceBatch, batch_idx: int) -> dict[str, Tensor] | None:
        if batch_idx == 2:
            os.kill(
                next(number for number in joblib_processes() if number not in self.before), signal.SIGKILL
            )
        return super().test_step(batch, batch_idx)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
def test_a_killed_worker_is_one_line(judges: dict[str, str], tmp_path: Path) -> None:
    before = set(joblib_processes())
    with pytest.raises(InputError, match=r"a process that measured clips was killed.* try fewer workers"):
        run(tmp_path, TestReport(str(tmp_path), workers=2, **judges), KilledWorker(before))
    assert not (tmp_path / "report.json").exists()
    assert set(joblib_processes()) <= before


def test_numbers_are_those_of_the_frames(whole: tuple[Path, dict[str, Any]]) -> None:
    system, expected = SpeakingSquares(), []
    for batch in held_out():
        made = system.test_step(batch, 0)
        assert made is not None
        expected.append(frame_psnr(made["generated"], made["real"]).mean().item())
    found = whole[1]["systems"][OURS]["psnr"]["mean"]
    assert found == pytest.approx(sum(expected) / len(expected), abs=1e-4)


def test_an_exported_video_is_measured_too(whole: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """Decoded by FFmpeg itself here, by decord in the report."""
    system, expected = SpeakingSquares(), []
    for number, batch in enumerate(held_out()):
        made = system.test_step(batch, 0)
        assert made is not None
        video = tmp_path / f"{number}.mp4"
        write_mp4(video, [made["generated"]], mark=True)
        with av.open(str(video)) as container:
            pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        decoded = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
        expected.append(frame_psnr(decoded, made["real"]).mean().item())
    ours = whole[1]["systems"][OURS]
    assert ours["psnr_mp4"]["mean"] == pytest.approx(sum(expected) / len(expected), abs=0.05)
    assert ours["psnr_mp4"]["mean"] < ours["psnr"]["mean"] - 0.1  # the codec and the mark change something


def test_exported_videos_can_be_left_out(tmp_path: Path) -> None:
    run(tmp_path, TestReport(str(tmp_path), contact_sheet=False, exported=False), clips=held_out()[:2])
    ours = json.loads((tmp_path / "report.json").read_text())["systems"][OURS]
    assert "psnr" in ours and "psnr_mp4" not in ours


def test_files(whole: tuple[Path, dict[str, Any]]) -> None:
    folder = whole[0] / "report"
    assert sorted(path.name for path in folder.iterdir()) == [
        "contact_sheet.png",
        "report.csv",
        "report.html",
        "report.json",
        "report.md",
    ]
    with open(folder / "report.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6 * (1 + len(CALIBRATION))
    assert {row["emotion_reference"] for row in rows} == {"label"}
    assert "| ssim_mouth | higher |" in (folder / "report.md").read_text()
    with Image.open(folder / "contact_sheet.png") as sheet:
        # a strip of two rows of 96 pixels for each of three speakers and two emotions
        assert sheet.height > 6 * 2 * 96 and sheet.width > 8 * 96


def test_meta_says_what_the_numbers_were_made_with(
    whole: tuple[Path, dict[str, Any]], judges: dict[str, str]
) -> None:
    meta = whole[1]["meta"]
    assert (meta["dataset"], meta["split"]) == ("Squares", "test of seen")
    assert (meta["clips"], meta["speakers"], meta["manifest"]) == (6, 3, None)
    assert meta["clip_list_sha256"] == sha256_of_list(f"{who}_{how}_{seed}" for who, how, seed in CLIPS)
    assert meta["judges"]["emotion"]["sha256"] == sha256_of_file(judges["emotion_judge"])
    assert meta["judges"]["identity"]["teacher_used_as_judge"] is False
    assert (meta["image_size"], meta["fps"], meta["checkpoint"]) == ("32 x 32", 25, None)
    assert meta["emotion_references"] == {"label": 6}
    # ann is the only woman: her two clips are not asked
    assert (meta["genders"]["speakers"], meta["genders"]["clips"]) == ({"female": 1, "male": 2}, 4)
    assert whole[1]["systems"][OURS]["gender_agreement"]["n"] == 4
    note = "gender labels: 1 female and 2 male; gender_agreement on 4 clips, by chance 0.500, always the commoner"
    assert note.replace("_", r"\_") in (whole[0] / "report" / "report.md").read_text()
    assert note in (whole[0] / "report" / "report.html").read_text()
    assert meta["seconds"] > 0 and meta["packages"]["torch"]


def test_a_data_module_of_ones_own_may_name_its_cache_by_text(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("clip_id\n")
    data = Squares(test=held_out()[:1])
    data.cache_dir = str(tmp_path)
    report = TestReport(str(tmp_path / "report"), contact_sheet=False)
    trainer(tmp_path, report).test(SpeakingSquares(), datamodule=data, verbose=False)
    assert report.report is not None
    assert report.report.meta["manifest"]["sha256"] == sha256_of_file(tmp_path / "manifest.csv")


def test_the_crop_is_what_the_cache_says(crema_d_cache: Path, tmp_path: Path) -> None:
    """And not what the config calls it."""
    data = CremaD(str(crema_d_cache), image_size=64, num_workers=0, max_clips=1, crop="center")
    report = TestReport(str(tmp_path), contact_sheet=False)
    trainer(tmp_path, report).test(SpeakingSquares(), datamodule=data, verbose=False)
    assert report.report is not None and report.report.meta["crop"] == "none"
    assert "at 25 fps, crop none" in (tmp_path / "report.md").read_text()


def test_means_reach_the_logger(whole: tuple[Path, dict[str, Any]]) -> None:
    folder, content = whole
    with open(folder / "log" / "0" / "metrics.csv", newline="") as file:
        (logged,) = list(csv.DictReader(file))
    for system in (OURS, *CALIBRATION):
        for metric in MEASURED if system == OURS else OF_ANY_FRAMES:
            mean = content["systems"][system][metric]["mean"]
            assert float(logged[f"test/{system}/{metric}"]) == pytest.approx(mean, abs=1e-6)
        assert float(logged[f"test/{system}/scored"]) == 6


def test_without_judges_and_with_failures(tmp_path: Path) -> None:
    system = SpeakingSquares(breaks_on=("ann_happiness_1",))
    clips = held_out()
    clips[0]["emotion"][:] = -1
    report = TestReport(str(tmp_path), contact_sheet=False, system="squares")
    run(tmp_path, report, system, clips)
    content = json.loads((tmp_path / "report.json").read_text())
    ours = content["systems"]["squares"]
    assert (ours["scored"], ours["total"], ours["ssim"]["n"]) == (5, 6, 5)
    assert "identity_rank1" not in ours and "sync_confidence" not in ours
    failed = [row for row in content["clips"] if row["reason"]]
    assert [(row["clip_id"], row["reason"]) for row in failed] == [
        ("ann_happiness_1", "the system made no frames for this clip")
    ]
    assert not (tmp_path / "contact_sheet.png").exists()
    assert "identity judge: none" in (tmp_path / "report.md").read_text()


def test_an_unlabelled_clip_is_judged_against_its_real_frames(judges: dict[str, str], tmp_path: Path) -> None:
    clips = held_out()
    clips[0]["emotion"][:] = -1
    report = TestReport(str(tmp_path), emotion_judge=judges["emotion_judge"], contact_sheet=False)
    run(tmp_path, report, clips=clips)
    assert report.report is not None
    assert report.report.meta["emotion_references"] == {"judge on real frames": 1, "label": 5}
    assert (
        "* emotion: 1 of 6 clips have no label that the judge knows" in (tmp_path / "report.md").read_text()
    )


def test_teachers_of_the_checkpoint_are_marked(judges: dict[str, str], tmp_path: Path) -> None:
    """A system whose hyperparameters name the judge's file as its teacher."""
    system = SpeakingSquares()
    system.hparams["feature_network"] = judges["identity_judge"]
    report = TestReport(str(tmp_path), contact_sheet=False, identity_judge=judges["identity_judge"])
    run(tmp_path, report, system)
    assert report.report is not None
    assert report.report.meta["judges"]["identity"]["teacher_used_as_judge"] is True
    assert "TEACHER USED AS JUDGE" in (tmp_path / "report.md").read_text()


def test_checkpoint_is_named_by_its_hash(tmp_path: Path) -> None:
    saver = trainer(tmp_path)
    saver.strategy.connect(SpeakingSquares())
    path = tmp_path / "system.ckpt"
    saver.save_checkpoint(path)
    report = TestReport(str(tmp_path), contact_sheet=False)
    data = Squares(test=held_out()[:1])
    trainer(tmp_path, report).test(SpeakingSquares(), datamodule=data, ckpt_path=str(path), verbose=False)
    assert report.report is not None
    assert report.report.meta["checkpoint"] == {"file": str(path), "sha256": sha256_of_file(str(path))}


def test_published_weights_are_named_where_there_is_no_checkpoint(tmp_path: Path) -> None:
    weights = tmp_path / "sdfa.dat"
    weights.write_bytes(b"weights")
    module = SpeakingSquares()
    module.weights_file = str(weights)  # type: ignore[assignment]
    module.weights_note = "of other crops"  # type: ignore[assignment]
    report = TestReport(str(tmp_path / "report"), contact_sheet=False)
    run(tmp_path, report, module, held_out()[:1])
    assert report.report is not None
    assert report.report.meta["checkpoint"] == {
        "file": str(weights),
        "sha256": sha256_of_file(str(weights)),
        "note": "of other crops",
    }
    (said,) = [note for note in report.report.notes() if note.startswith("checkpoint: ")]
    assert said.endswith("; of other crops")


def test_frames_of_other_clips_can_be_left_out(tmp_path: Path) -> None:
    run(tmp_path, TestReport(str(tmp_path), contact_sheet=False, other_frames=False), clips=held_out()[:2])
    systems = json.loads((tmp_path / "report.json").read_text())["systems"]
    assert list(systems) == [OURS, *OWN_FRAMES]


def test_the_pass_beforehand_draws_no_random_numbers_of_the_test(tmp_path: Path) -> None:
    drawn = []

    class Drawing(SpeakingSquares):
        def test_step(self, batch: TalkingFaceBatch, batch_idx: int) -> Any:
            drawn.append(torch.rand(()).item())
            return super().test_step(batch, batch_idx)

    for other_frames in (True, False):
        torch.manual_seed(0)
        report = TestReport(str(tmp_path), contact_sheet=False, other_frames=other_frames)
        run(tmp_path, report, Drawing(), clips=held_out()[:2])
    assert drawn[:2] == drawn[2:]


def _as_it_is(items: list[TalkingFaceBatch]) -> TalkingFaceBatch:
    return items[0]


def test_loader_workers_serve_the_test_and_the_pass_beforehand(crema_d_cache: Path, tmp_path: Path) -> None:
    """Workers that are kept serve one pass at a time: the second one used to leave the test without clips."""
    kept = DataLoader(held_out()[:2], collate_fn=_as_it_is, num_workers=1, persistent_workers=True)
    ours = CremaD(str(crema_d_cache), image_size=64, num_workers=1, max_clips=2)
    for served in ({"dataloaders": kept}, {"datamodule": ours}):
        report = TestReport(str(tmp_path), contact_sheet=False)
        trainer(tmp_path, report).test(SpeakingSquares(), verbose=False, **served)
        systems = json.loads((tmp_path / "report.json").read_text())["systems"]
        assert systems[OURS]["total"] == 2 and "mean_image" in systems


class SquaresOfParts(SpeakingSquares):
    def test_step(self, batch: TalkingFaceBatch, batch_idx: int, dataloader_idx: int = 0) -> Any:
        return super().test_step(batch, batch_idx)


def test_several_loaders_are_one_test(tmp_path: Path) -> None:
    def served(clips: list[TalkingFaceBatch]) -> Any:
        return DataLoader(clips, collate_fn=_as_it_is)  # type: ignore[arg-type]

    def made(loaders: Any) -> Any:
        report = TestReport(str(tmp_path), contact_sheet=False, exported=False, bootstrap=0)
        trainer(tmp_path, report, limit_test_batches=3).test(SquaresOfParts(), loaders, verbose=False)
        return json.loads((tmp_path / "report.json").read_text())["systems"]

    clips = held_out()
    whole = made(served(clips[:3] + clips[-3:]))
    assert whole[OURS]["total"] == 3
    assert made([served(clips)]) == made(served(clips))
    parts = made([served(clips[:3]), served(clips[-3:])])
    assert parts[OURS]["total"] == 6
    assert parts["another_speaker"]["scored"] == 6  # the other part lends its frames


def test_the_manifests_sentences_reach_the_protocol(
    crema_d_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: dict[str, str] = {}
    measure = Protocol.measure

    def noted(protocol: Protocol, clip: TestClip) -> ClipMeasurement:
        said[clip.clip_id] = clip.sentence
        return measure(protocol, clip)

    monkeypatch.setattr(Protocol, "measure", noted)
    data = CremaD(str(crema_d_cache), image_size=64, num_workers=0, max_clips=2)
    report = TestReport(str(tmp_path), contact_sheet=False, other_frames=False)
    trainer(tmp_path, report).test(SpeakingSquares(), datamodule=data, verbose=False)
    assert said == {row.clip_id: row.clip_id.split("_")[1] for row in data.clips("test")}


class InnerSquares(SpeakingSquares):
    """Is tested on the middle of the frames, which it gets right."""

    system_name = "inner"

    def fitted(self, frames: Tensor) -> Tensor:
        return frames[..., 4:28, 4:28]

    def test_step(self, batch: TalkingFaceBatch, batch_idx: int) -> dict[str, Tensor]:
        real = self.fitted(batch["frames"][0])
        return {"generated": real, "real": real}


def test_a_module_names_itself_and_the_part_of_the_frames_it_is_tested_on(tmp_path: Path) -> None:
    report = TestReport(contact_sheet=False, exported=False, bootstrap=0)
    logger = CSVLogger(tmp_path, name="log", version="0")
    data = Squares(test=held_out())
    data.speakers = None  # type: ignore[assignment]
    trainer = pl.Trainer(
        accelerator="cpu",
        default_root_dir=tmp_path,
        enable_progress_bar=False,
        callbacks=[report],
        logger=logger,
    )
    go_on_logging_at(trainer, 7)  # as after a fit
    trainer.test(InnerSquares(), datamodule=data, verbose=False)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]  # the report is in the log's folder
    content = json.loads((tmp_path / "log" / "0" / "report.json").read_text())
    assert list(content["systems"]) == ["inner", *CALIBRATION]
    assert content["systems"]["inner"]["ssim"]["mean"] == pytest.approx(1)
    assert (content["meta"]["image_size"], content["meta"]["bootstrap_resamples"]) == ("24 x 24", 0)
    assert content["systems"]["mean_image"]["scored"] == 6  # of the same size
    assert {row["speaker"] for row in content["clips"]} == {"0", "1", "2"}  # the data has no names
    with open(tmp_path / "log" / "0" / "metrics.csv", newline="") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["7"]


def test_clips_that_are_not_tested_lend_no_frames(tmp_path: Path) -> None:
    report = TestReport(str(tmp_path), contact_sheet=False, exported=False, bootstrap=0)
    run(tmp_path, report, limit_test_batches=2)  # both are ann's
    systems = json.loads((tmp_path / "report.json").read_text())["systems"]
    assert {name: (system["scored"], system["total"]) for name, system in systems.items()} == {
        **dict.fromkeys((OURS, *CALIBRATION), (2, 2)),
        "another_speaker": (0, 2),
    }


def test_running_twice_starts_anew(tmp_path: Path) -> None:
    report = TestReport(str(tmp_path), contact_sheet=False)
    tester = run(tmp_path, report)
    tester.test(SpeakingSquares(), datamodule=Squares(test=held_out()[:2]), verbose=False)
    assert json.loads((tmp_path / "report.json").read_text())["systems"][OURS]["total"] == 2


def test_nothing_but_numbers_and_thumbnails_is_kept(tmp_path: Path) -> None:
    report = TestReport(str(tmp_path), bootstrap=0, max_strips=2)
    run(tmp_path, report)
    assert report._scoring is not None and len(report._scoring.strips) == 2
    kept = [frames for strip in report._scoring.strips.values() for frames in strip.rows.values()]
    assert all(frames.shape == (8, 3, 96, 96) for frames in kept)


def test_wrong_use_is_one_line(judges: dict[str, str], tmp_path: Path) -> None:
    attempts: list[tuple[TestReport, list[TalkingFaceBatch], str]] = [
        (TestReport(str(tmp_path), syncnet=str(tmp_path / "none.ckpt")), held_out(), "no file at"),
        (TestReport(emotion_judge=judges["identity_judge"]), held_out(), "classify emotions"),
        (TestReport(fid=str(tmp_path / "none.pth")), held_out(), "FID's Inception: no file at"),
        (TestReport(landmarks=str(tmp_path / "none.dat")), held_out(), "landmarks: no file at"),
        (TestReport(str(tmp_path)), [square_batch(CLIPS[:2], 24)], "one whole clip a batch"),
        (TestReport(str(tmp_path), system="still_frame"), held_out(), "calibration"),
        (TestReport(str(tmp_path), workers=-1), held_out(), "workers is -1, but must be 0 or more"),
        (TestReport(str(tmp_path), workers=1, metrics=[Brightness()]), held_out(), "set its workers to 0"),
    ]
    (tmp_path / "file").touch()
    nowhere = TestReport(str(tmp_path / "file" / "report"))
    attempts.append((nowhere, held_out(), r"output_dir .*: expected a folder, but .*file is a file"))
    with pytest.raises(InputError, match=r"output_dir .*: expected a folder"):
        nowhere.check_judges()
    for report, clips, says in attempts:
        with pytest.raises(InputError, match=says):
            run(tmp_path, report, clips=clips)
    assert not (tmp_path / "report.json").exists()


def test_a_report_needs_one_device(tmp_path: Path) -> None:
    report = TestReport(str(tmp_path))
    parallel = trainer(tmp_path, devices=2, strategy="ddp_fork")
    with pytest.raises(InputError, match=r"trainer\.devices=1"):
        report.setup(parallel, SpeakingSquares(), "test")


def test_weights_and_biases_get_the_table(tmp_path: Path) -> None:
    logger = WandbLogger(project="s2v", save_dir=tmp_path, offline=True)
    run(tmp_path, TestReport(str(tmp_path / "report"), bootstrap=50), logger=logger)
    logger.experiment.finish()
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    found = read_offline_run(folder)
    content = json.loads((tmp_path / "report" / "report.json").read_text())
    assert found.values(f"test/{OURS}/ssim") == [content["systems"][OURS]["ssim"]["mean"]]
    (path,) = (folder / "files" / "media" / "table").rglob("*.table.json")
    table = json.loads(path.read_text())
    assert table["columns"] == ["metric", "better", OURS, *CALIBRATION]
    row = next(row for row in table["data"] if row[0] == "ssim")
    assert row[1] == "higher" and row[2].startswith(f"{content['systems'][OURS]['ssim']['mean']:.3f} [")
