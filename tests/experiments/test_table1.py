"""`s2v table1`: its files name what there is, and the whole of it runs tiny, goes on, and does nothing twice."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import pytest
import torch
import yaml
from PIL import Image

from data_modules.synthetic.corpus import write_corpus
from s2v.cli import main
from s2v.evaluation.clip_rows import CALIBRATION
from s2v.evaluation.paper_table import PAPER
from s2v.evaluation.table1_config import read_plan
from tests.experiments.combinations import EXPERIMENTS, FITS, REAL, REPOSITORY, TABLES, stage, tiny
from tests.experiments.conftest import options

SYSTEMS = list(PAPER["crema_d"])


def test_every_table_is_listed() -> None:
    assert sorted(path.stem for path in (EXPERIMENTS / "table1").iterdir()) == sorted(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_a_tables_stages_are_those_of_the_tests(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what is trained here tiny is what the table trains in full."""
    monkeypatch.chdir(REPOSITORY)
    plan = read_plan(f"experiments/table1/{name}.yaml")
    names = [system.name for system in plan.systems]
    assert [name for name in names if "," not in name] == SYSTEMS
    assert {name.partition(",")[0] for name in names} == set(SYSTEMS)
    own = name in ("synthetic", "real_faces", "real_faces_unseen")
    trained = {
        "real_faces_small": "",
        "real_faces_small_unseen": " unseen",
        "real_faces_gpu": " on a GPU",
    }.get(name)
    for part in plan.stages:
        files = {item for item in part.arguments if item.endswith(".yaml")}
        wanted = (
            ["base/trainer", "real_faces/real_faces", *REAL[f"real {part.name}{trained}"]]
            if trained is not None
            else stage(part.name, name.removesuffix("_unseen"), own=own)
        )
        assert files - REFINED == {f"experiments/{file}.yaml" for file in wanted}
        assert part.folder.name == part.name and part.folder.parent == plan.output.parent
    published = {"real_faces": EMOTIONS, "synthetic": set()}.get(name.removesuffix("_unseen"), PRETRAINED)
    if trained is not None:
        published = PRETRAINED | {"distill", "compose"}  # by `make real-faces`, before the table
    if name == "real_faces_gpu":
        published |= {"voice_encoder"}  # likewise
    assert {part.name for part in plan.stages} == set(FITS) - published


EMOTIONS = {"emotion_teacher", "emotion_judge", "identity_judge"}
PRETRAINED = EMOTIONS | {"cpc", "identity_teacher", "syncnet"}
"""Published where they are not trained."""

REFINED = {
    f"experiments/{name}.yaml"
    for name in (
        "data/crema_d_unseen",
        "data/real_faces_unseen",
        "base/seven_emotions",
        "distill/mini_xception",
    )
}
"""What a table adds to a stage."""


def write_plan(path: Path, cache: Path, folder: Path, **changes: Any) -> Path:
    """The tiny stages of `chain`, in a plan of their own."""
    stages = {}
    for name in ("sdfa", "voice_encoder", "s2f_sdfa", "compose"):
        files = [str(EXPERIMENTS / f"{file}.yaml") for file in tiny(name)]
        stages[name] = [*files, *options(name, cache, folder)]
    plan = {
        "root": str(folder),
        "output": str(path.parent / "table"),
        "dataset": "crema_d",
        "stages": stages,
        "systems": {
            "SDFA": {"stage": "sdfa"},
            "S2F+SDFA": {"stage": "s2f_sdfa"},
            "SDFA(mismatch)": {
                "checkpoint": str(folder / "sdfa" / "best.ckpt"),
                "config": str(folder / "sdfa" / "config.yaml"),
                "with": [str(EXPERIMENTS / "baselines" / "mismatch.yaml")],
            },
            "speech2video": {"stage": "compose"},
        },
        "report": [str(EXPERIMENTS / "test" / f"{name}.yaml") for name in ("keep_clips", "own_judges")],
    }
    path.write_text(yaml.safe_dump(plan | changes, sort_keys=False))
    return path


@pytest.mark.slow
def test_the_table_of_finished_stages(
    chain: Path, crema_d_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = write_plan(tmp_path / "plan.yaml", crema_d_cache, chain)
    assert main(["table1", "--config", str(plan), "--train", "never"]) == 0
    said = capsys.readouterr().out
    assert f"sdfa: kept {chain / 'sdfa' / 'best.ckpt'}" in said and "| **SDFA** |" in said

    made = json.loads((tmp_path / "table" / "table1.json").read_text())
    assert list(made["systems"])[:4] == SYSTEMS
    assert list(made["systems"])[4:] == list(CALIBRATION)
    assert made["systems"]["SDFA(mismatch)"]["paper"] == {
        "ssim": 0.521,
        "psnr": 20.024,
        "sync_confidence": 5.0,
    }
    assert all(made["systems"][name]["total"] == 3 for name in SYSTEMS)
    lines = (tmp_path / "table" / "table1.md").read_text().splitlines()
    assert lines[2] == "| system | SSIM | paper | PSNR | paper | confidence | paper | scored |"
    with (tmp_path / "table" / "table1.csv").open(newline="") as file:
        rows = {(row["system"], row["metric"]): row for row in csv.DictReader(file)}
    assert rows["speech2video", "ssim"]["paper"] == "0.541"
    assert rows["ground_truth", "ssim"]["mean"] == "1.0" and rows["ground_truth", "ssim"]["paper"] == ""

    with Image.open(tmp_path / "table" / "figure.png") as figure:
        assert figure.height > 3 * 5 * 64  # three clips, five rows of 64 pixels each
    videos = sorted((tmp_path / "table" / "side_by_side").glob("*.mp4"))
    with av.open(str(videos[0])) as video:
        assert len(videos) == 3 and video.streams.video[0].width == 5 * 64 and video.streams.audio

    hashed = json.loads((tmp_path / "table" / "sdfa" / "tested.json").read_text())["files"]
    judges = {str(chain / name / "best.ckpt") for name in ("identity_judge", "emotion_judge", "syncnet")}
    assert set(hashed) >= judges | {str(chain / "sdfa" / "config.yaml")}
    before = (tmp_path / "table" / "sdfa" / "report" / "report.json").stat().st_mtime_ns
    assert main(["table1", "--config", str(plan)]) == 0
    again = capsys.readouterr().out
    assert again.count(": kept ") == 8 and "testing" not in again and "training" not in again
    assert (tmp_path / "table" / "sdfa" / "report" / "report.json").stat().st_mtime_ns == before


def test_what_is_missing_is_trained_and_a_stopped_fit_goes_on(
    crema_d_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    plan = write_plan(tmp_path / "plan.yaml", crema_d_cache, runs)
    content = yaml.safe_load(plan.read_text())
    content["stages"] = {"sdfa": content["stages"]["sdfa"]}
    content["systems"] = {"SDFA": {"stage": "sdfa"}}
    content["report"] = [str(write_report(tmp_path))]
    plan.write_text(yaml.safe_dump(content, sort_keys=False))

    assert main(["table1", "--config", str(plan), "--train", "never"]) == 2
    assert "no finished fit" in capsys.readouterr().err
    assert main(["table1", "--config", str(plan)]) == 0
    assert "sdfa: training" in capsys.readouterr().out
    note = runs / "sdfa" / "table1.json"
    assert json.loads(note.read_text())["state"] == "finished"

    # as a stop after step 4 of 6 leaves it
    note.write_text(json.dumps(json.loads(note.read_text()) | {"state": "started"}))
    content["stages"]["sdfa"].append("--trainer.max_steps=6")
    plan.write_text(yaml.safe_dump(content, sort_keys=False))
    assert main(["table1", "--config", str(plan)]) == 0
    said = capsys.readouterr().out
    assert f"sdfa: goes on from {runs / 'sdfa' / 'last.ckpt'}" in said
    state = torch.load(runs / "sdfa" / "last.ckpt", map_location="cpu", weights_only=True)
    assert state["global_step"] == 6


@pytest.mark.slow
def test_a_fit_of_two_processes_is_tested_by_one(crema_d_cache: Path, tmp_path: Path) -> None:
    """As with base/ddp.yaml in `fit`, which the saved config then has as well."""
    plan = write_plan(
        tmp_path / "plan.yaml", crema_d_cache, tmp_path / "runs", report=[str(write_report(tmp_path))]
    )
    content = yaml.safe_load(plan.read_text())
    two = [str(EXPERIMENTS / "base" / "ddp.yaml"), "--trainer.devices=2", "--trainer.sync_batchnorm=false"]
    content["stages"] = {"sdfa": [*content["stages"]["sdfa"], *two, "--trainer.limit_train_batches=1"]}
    content["systems"] = {"SDFA": {"stage": "sdfa"}}
    plan.write_text(yaml.safe_dump(content, sort_keys=False))
    done = subprocess.run(
        [sys.executable, "-m", "s2v", "table1", "--config", str(plan)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "MEMBER: 2/2" in done.stderr  # the fit's second process
    assert [done.stdout.count(word) for word in ("sdfa: training", "SDFA: testing", "wrote ")] == [1, 1, 3]


@pytest.mark.slow
def test_voxceleb2s_table_from_nothing(
    chain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One command on a corpus in VoxCeleb2's layout, official test speakers: every stage tiny, no weights published.

    The emotion teacher comes from CREMA-D, since VoxCeleb2 has no labels.
    """
    corpus, cache, runs = tmp_path / "corpus", tmp_path / "cache", tmp_path / "runs"
    write_corpus(corpus, "voxceleb2", speakers=5, clips_per_speaker=4, seed=0, size=64)
    assert (
        main(
            ["prepare", "--root", str(corpus), "--layout", "voxceleb2", "--cache", str(cache), "--size", "64"]
        )
        == 0
    )

    more = {
        "identity_teacher": ["--model.init_args.network.init_args.num_classes=5"],
        "distill": [f"--model.init_args.emotion_teacher={chain}/emotion_teacher/best.ckpt"],
    }
    stages = {}
    for name in ("cpc", "identity_teacher", "distill", "compose", "sdfa", "voice_encoder", "s2f_sdfa"):
        files = [str(EXPERIMENTS / f"{file}.yaml") for file in tiny(name, "voxceleb2")]
        stages[name] = [*files, *options(name, cache, runs), *more.get(name, [])]
    plan = tmp_path / "plan.yaml"
    files = [str(EXPERIMENTS / "test" / "keep_clips.yaml"), str(write_report(tmp_path))]
    report = [*files, "--trainer.limit_test_batches=8"]
    write_plan(plan, cache, runs, stages=stages, dataset="voxceleb2", report=report)
    assert main(["table1", "--config", str(plan)]) == 0
    assert capsys.readouterr().out.count(": training") == len(stages)
    made = json.loads((tmp_path / "table" / "table1.json").read_text())
    assert list(made["systems"])[:4] == SYSTEMS
    for name in SYSTEMS:
        assert (made["systems"][name]["scored"], made["systems"][name]["total"]) == (8, 8)
        assert made["systems"][name]["paper"]["ssim"] == PAPER["voxceleb2"][name][0]
    speakers = {clip["speaker"] for clip in json.loads(
        (tmp_path / "table" / "speech2video" / "report" / "report.json").read_text())["clips"]}  # fmt: skip
    assert speakers == {"id00002", "id00005"}


def write_report(folder: Path) -> Path:
    """A report without judges."""
    settings = {"output_dir": "${run_dir}/report"}
    callback = {"class_path": "callbacks.test_report.TestReport", "init_args": settings}
    (folder / "report.yaml").write_text(yaml.safe_dump({"trainer": {"callbacks+": [callback]}}))
    return folder / "report.yaml"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dataset": "grid"}, "dataset is 'grid', the paper has crema_d and voxceleb2"),
        ({"stage": {}}, "unknown key stage: did you mean stages?"),
        (
            {"run_dir": "${trainer.root}/a"},
            "unknown key run_dir: expected dataset, fit, output",
        ),  # of a stage
        ({"systems": {"SDFA": {"stage": "sdaf"}}}, "there is no stage sdaf"),
        ({"systems": {"SDFA": {}}}, "expected stage: NAME, or checkpoint: FILE and config: FILE"),
        ({"systems": {}}, "systems is empty"),
        ({"systems": ["a", "b"]}, "systems: expected NAME: ..., one a line, got ['a', 'b']"),
        ({"stages": ["a"]}, "stages: expected NAME: ..., one a line, got ['a']"),
        ({"systems": {1: {"stage": [1]}}}, "systems.1: there is no stage [1]"),
        ({"dataset": [1]}, "dataset is [1], the paper has"),
        (
            {
                "systems": {
                    name: {"checkpoint": "a.ckpt", "config": "a.yaml"}
                    for name in ("SDFA", "SDFA, w=1", "SDFA, w-1")
                }
            },
            "the systems 'SDFA, w=1' and 'SDFA, w-1' would share the folder sdfa__w_1: name one otherwise",
        ),
        ({"report": ["none.yaml"]}, "report: there is no file none.yaml"),
        ({"stages": {}, "systems": {"A": {"checkpoint": "no.ckpt", "config": "c"}}}, "no checkpoint no.ckpt"),
    ],
)
def test_a_wrong_plan_is_one_line(
    changes: dict[str, Any], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = write_plan(tmp_path / "plan.yaml", tmp_path, tmp_path, **changes)
    assert main(["table1", "--config", str(plan)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and words in error
