"""What of a run gets to W&B, and which run it is: by reading back what offline mode wrote."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import wandb
import yaml

from s2v.cli import main
from s2v.training.wandb_run import (
    RUN_ID,
    continued_run,
    ended_run,
    newest_run_id,
    run_id_of_checkpoint,
    run_id_to_continue,
)
from tests.conftest import REPOSITORY
from tests.s2v.training.test_training_cli import BASE, STAGE
from tests.s2v.training.wandb_offline import OfflineRun, read_offline_run

WANDB = """
trainer:
  log_every_n_steps: 1
  logger:
    - class_path: lightning.pytorch.loggers.WandbLogger
      init_args: {save_dir: "${trainer.default_root_dir}"}
"""


@pytest.fixture
def configs(tmp_path: Path) -> list[str]:
    texts = {"base": BASE.format(folder=tmp_path / "run"), "stage": STAGE, "wandb": WANDB}
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return [part for name in texts for part in ("--config", str(tmp_path / f"{name}.yaml"))]


def fit(*args: str) -> None:
    assert main(["fit", *args]) == 0


def offline_runs(folder: Path) -> list[OfflineRun]:
    return [read_offline_run(path) for path in sorted((folder / "wandb").glob("offline-run-*"))]


def test_a_resumed_fit_goes_on_with_its_run(configs: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    fit(*configs)
    (folder / "wandb" / "run-20990101_000000-failedtest").mkdir()  # begun since, by another command
    fit(*configs, "--trainer.max_steps", "8", "--ckpt_path", str(folder / "gan" / "last.ckpt"))
    first, resumed = offline_runs(folder)
    assert first.run_id == resumed.run_id
    assert run_id_of_checkpoint(folder / "gan" / "last.ckpt") == first.run_id
    assert first.config["model"]["init_args"]["lr"] == 0.002
    assert (first.config["trainer"]["max_steps"], resumed.config["trainer"]["max_steps"]) == (4, 8)
    assert max(first.values("trainer/global_step")) == 3
    steps = resumed.values("trainer/global_step")
    assert min(steps) >= 4 and max(steps) == 8
    assert len(first.values("health/diversity")) == 4
    saved = yaml.safe_load((folder / "gan" / "config.yaml").read_text())
    (logger,) = saved["trainer"]["logger"]
    assert logger["init_args"]["id"] is None  # a fit with this config begins a run of its own


def test_what_is_measured_of_a_checkpoint_is_logged_where_it_was_written(
    configs: list[str], tmp_path: Path
) -> None:
    """At step 0 a curve would have a second beginning, and the run's summary an old step."""
    folder = tmp_path / "run"
    fit(*configs)
    last = str(folder / "gan" / "last.ckpt")
    assert main(["validate", "--config", str(folder / "gan" / "config.yaml"), "--ckpt_path", last]) == 0
    first, measured = offline_runs(folder)
    assert first.run_id == measured.run_id
    assert set(measured.values("trainer/global_step")) == {4}
    assert set(measured.values("epoch")) == {max(first.values("epoch"))}


def newest_warnings(folder: Path) -> list[list[Any]]:
    """The rows of health/warnings that a run's page shows: the table that was logged last."""
    written = max((folder / "wandb").glob("offline-run-*"))
    path = read_offline_run(written).values("health/warnings.path")[-1]
    return json.loads((written / "files" / path).read_text())["data"]


@pytest.mark.slow
def test_a_resumed_fit_has_all_warnings_in_its_table(configs: list[str], tmp_path: Path) -> None:
    ill, quiet = tmp_path / "ill.yaml", tmp_path / "quiet.yaml"
    for path, warmup in ((ill, 0), (quiet, 99)):
        health = f"every_n_steps: 1, patience: 2, warmup_steps: {warmup}"
        text = STAGE.replace('every_n_steps: "${model.init_args.batches_a_step}"', health)
        path.write_text(text + "    - class_path: callbacks.reproducible_randomness.ReproducibleRandomness\n")
    place = configs.index(str(tmp_path / "stage.yaml"))
    whole, stopped = tmp_path / "run", tmp_path / "stopped"

    def part(config: Path, folder: Path, steps: int, *more: str) -> list[list[Any]]:
        configs[place] = str(config)
        time.sleep(1.1)  # W&B names a run's folder by the second
        fit(*configs, f"--trainer.default_root_dir={folder}", f"--trainer.max_steps={steps}", *more)
        return newest_warnings(folder)

    going_on = ("--ckpt_path", str(stopped / "gan" / "last.ckpt"))
    expected = part(ill, whole, 7)
    first = part(ill, stopped, 3)  # within an epoch: what was warned of is not to be warned of again
    assert 0 < len(first) < len(expected)
    assert part(ill, stopped, 7, *going_on) == expected
    assert part(quiet, stopped, 8, *going_on) == expected  # other settings, no warning more


def test_a_fit_that_begins_anew_has_a_run_of_its_own(configs: list[str], tmp_path: Path) -> None:
    fit(*configs)
    fit(*configs)
    assert len({run.run_id for run in offline_runs(tmp_path / "run")}) == 2


def test_commands_of_one_process_have_a_run_each(configs: list[str], tmp_path: Path) -> None:
    """As the stages and tests of `s2v table1`, whichever of them fails."""
    first, poisoned, second = (tmp_path / name for name in ("first", "poisoned", "second"))
    fit(*configs, f"--trainer.default_root_dir={first}")
    assert wandb.run is None
    fails = ["fit", *configs, f"--trainer.default_root_dir={poisoned}", "--model.init_args.poison_at=2"]
    assert main(fails) == 2
    assert wandb.run is None
    fit(*configs, f"--trainer.default_root_dir={second}")
    runs = [run for folder in (first, poisoned, second) for run in offline_runs(folder)]
    assert len({run.run_id for run in runs}) == len(runs) == 3
    assert [run.exit_code for run in runs] == [0, 1, 0]
    assert [run.config["trainer"]["default_root_dir"] for run in runs] == [
        str(first),
        str(poisoned),
        str(second),
    ]
    assert len(runs[2].values("health/diversity")) == 4


@pytest.mark.parametrize(("status", "failed"), [(0, 0), (143, 1)])
def test_a_run_that_is_ended_from_outside_has_failed(status: int, failed: int, tmp_path: Path) -> None:
    with pytest.raises(SystemExit), ended_run():
        wandb.init(project="mine", dir=str(tmp_path))
        raise SystemExit(status)
    assert [run.exit_code for run in offline_runs(tmp_path)] == [failed]


def test_a_run_that_the_caller_opened_stays_open(configs: list[str], tmp_path: Path) -> None:
    with wandb.init(project="mine", dir=str(tmp_path)) as mine:
        fit(*configs)
        assert wandb.run is mine


@pytest.mark.slow
def test_other_ranks_start_no_run(configs: list[str], tmp_path: Path) -> None:
    two = [
        "--trainer.devices=2",
        "--trainer.use_distributed_sampler=false",
        "--trainer.strategy=ddp_find_unused_parameters_true",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "s2v", "fit", *configs, *two],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (run,) = offline_runs(tmp_path / "run")
    assert len(run.values("health/diversity")) == 4


def test_ids_by_the_time_they_began(tmp_path: Path) -> None:
    assert newest_run_id(tmp_path) is None
    for name in ("run-20250102_000000-old", "offline-run-20260102_030405-a-b", "latest-run", "run-x-y"):
        (tmp_path / "wandb" / name).mkdir(parents=True)
    assert newest_run_id(tmp_path) == "a-b"


def test_the_run_that_wrote_the_checkpoint(tmp_path: Path) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("run-20261101_000000-thefit", "run-20261102_000000-failedtest"):
        (run / "wandb" / name).mkdir(parents=True)
    for folder in (run, elsewhere):
        torch.save({"state_dict": {}, RUN_ID: "thefit"}, folder / "best.ckpt")
        torch.save({"state_dict": {}, RUN_ID: "gone"}, folder / "moved.ckpt")
        torch.save({"state_dict": {}}, folder / "old.ckpt")
        (folder / "damaged.ckpt").write_bytes(b"PK damaged")
    found = {
        str(path.relative_to(tmp_path)): run_id_to_continue(run, path) for path in tmp_path.glob("*/*.ckpt")
    }
    assert found == {
        "run/best.ckpt": "thefit",
        "elsewhere/best.ckpt": "thefit",
        "run/moved.ckpt": "gone",  # the run's own folder was synchronised and deleted
        "elsewhere/moved.ckpt": None,  # a run of its own begins from another's checkpoint
        "run/old.ckpt": "failedtest",
        "elsewhere/old.ckpt": "failedtest",
        "run/damaged.ckpt": "failedtest",
        "elsewhere/damaged.ckpt": "failedtest",
    }
    assert run_id_to_continue(run, None) == "failedtest"
    assert run_id_to_continue(tmp_path / "new", elsewhere / "old.ckpt") is None


def test_an_id_that_is_named_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wandb" / "run-20250102_000000-old").mkdir(parents=True)
    made = {"save_dir": str(tmp_path), "id": None}
    named = {"save_dir": str(tmp_path), "id": "mine"}
    versioned = {"save_dir": str(tmp_path), "version": "first"}
    path = "lightning.pytorch.loggers.WandbLogger"
    loggers = [SimpleNamespace(class_path=path, init_args=options) for options in (made, named, versioned)]
    with continued_run([*loggers, SimpleNamespace(class_path="x.CSVLogger", init_args={}), False], None):
        assert (made["id"], named["id"], versioned.get("id")) == ("old", "mine", None)
    assert (made["id"], named["id"]) == (None, "mine")
    monkeypatch.setenv("WANDB_RUN_ID", "the sweep's")
    with continued_run(loggers[0], None):
        assert made["id"] is None
    with continued_run(None, None):
        pass
