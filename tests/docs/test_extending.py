"""docs/extending.md: its commands run as they are written, on its own example file."""

import csv
import json
import re
import sys
from pathlib import Path

import pytest
import yaml

from data_modules.synthetic.corpus import write_corpus
from s2v.models.identity_branch import aligned_channels
from tests.docs.page_commands import run_commands
from tests.experiments.combinations import REPOSITORY

PAGE = REPOSITORY / "docs" / "extending.md"


@pytest.mark.slow
def test_own_loss_term_discriminator_data_set_system_metric_and_teacher(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 100
    write_corpus(tmp_path / "corpus", "voxceleb2", speakers=3, clips_per_speaker=5, seed=0, size=64)
    (tmp_path / "data" / "interviews").mkdir(parents=True)
    for number, path in enumerate(sorted((tmp_path / "corpus").rglob("*.mp4"))):
        name = f"{20240101 + number}_{path.parts[-3]}_{('calm', 'glad')[number % 2]}.mp4"
        path.rename(tmp_path / "data" / "interviews" / name)
    for folder in ("docs", "experiments"):
        (tmp_path / folder).symlink_to(REPOSITORY / folder)
    # a script, as pip installs it: the current folder is not on its path
    heeded = "warnings.filterwarnings('error', '.* has no effect')"  # no option on the page is overruled
    script = (
        f"#!{sys.executable}\nimport sys, warnings\nfrom s2v.cli import main\n{heeded}\nsys.exit(main())\n"
    )
    commands = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    run_commands([*commands, "s2v fit $STAGE $MINE --print_config > real.yaml"], tmp_path, script)

    run = tmp_path / "runs" / "interviews" / "mine"
    config = yaml.safe_load((run / "config.yaml").read_text())["model"]
    assert config["class_path"] == "mine.ComposerWithMotion"
    assert config["init_args"]["frame_discriminator"] == {
        "class_path": "mine.PatchDiscriminator",
        "init_args": {"width": 0.0625},
    }
    assert config["init_args"]["generator"]["init_args"]["image_size"] == 64  # interpolated
    with (run / "csv" / "version_0" / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["train/loss/motion"]]
    assert len(rows) == 4 and float(rows[0]["train/loss/motion"]) > 0
    assert float(rows[0]["train/loss/identity"]) > 0  # D_ID, on the teacher's maps
    assert float(rows[0]["train/loss/matching"]) > 0  # on the own discriminator's maps
    assert config["init_args"]["feature_network"] == "class:mine.SmallFace"
    real = yaml.safe_load((tmp_path / "real.yaml").read_text())["model"]["init_args"]
    assert real["feature_network"] == "class:mine.SmallFace"
    assert real["generator"]["init_args"]["width"] == 0.5  # not the tiny one; yet as SmallFace's maps:
    for part in ("generator", "identity_discriminator"):
        assert aligned_channels(real[part]["init_args"]["feature_width"]) == [16, 16, 8]
    with (run.parent / "stage1" / "csv" / "version_0" / "metrics.csv").open(newline="") as file:
        assert any(row["train/loss/identity_distill"] for row in csv.DictReader(file))
    with (tmp_path / "data" / "cache" / "interviews" / "manifest.csv").open(newline="") as file:
        clips = list(csv.DictReader(file))
    assert len(clips) == 15 and {clip["emotion"] for clip in clips} == {"calm", "glad"}
    report = json.loads((run.parent / "frozen" / "report" / "report.json").read_text())
    assert 0 < report["systems"]["frozen face"]["ssim"]["mean"] < 1
    assert report["systems"]["frozen face"]["flicker"]["mean"] == 0
    assert report["systems"]["ground_truth"]["flicker"]["mean"] == 1
    assert report["meta"]["own_metrics"]["flicker"]["class"] == "mine.Flicker"
    scored = json.loads((run.parent / "score" / "report.json").read_text())
    assert scored["systems"]["generated"]["flicker"]["mean"] == 1
    assert scored["systems"]["generated"]["flicker_peak"]["n"] == 15
