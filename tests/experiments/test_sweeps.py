"""A sweep's agent command, built by W&B's own code from values of the sweep's file, run, and read back from W&B."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import av
import pytest
import wandb
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from s2v.cli import main
from s2v.generation.speech_file import read_speech
from tests.conftest import BuildOnce
from tests.experiments.combinations import EXPERIMENTS, OWN, TINY, arguments
from tests.experiments.conftest import options
from tests.s2v.training.wandb_offline import read_offline_run

SWEEPS = sorted(path.stem for path in (EXPERIMENTS / "sweeps").iterdir())
RUN_ID = "abc123"
WATCHED: dict[str, list[dict[str, Any]]] = {
    "distill": [],
    "compose": [
        {
            "class_path": "callbacks.gan_health.GANHealth",
            "init_args": {"every_n_steps": 1, "patience": 1, "warmup_steps": 0},  # untrained, it looks ill
        }
    ],
}
TERM = {"distill": "loss", "compose": "loss/generator"}


def sweep(name: str) -> dict[str, Any]:
    return yaml.safe_load((EXPERIMENTS / "sweeps" / f"{name}.yaml").read_text(encoding="utf-8"))


def drawn(parameter: dict[str, Any]) -> Any:
    """A value that the sweep may draw, and that is not the config's own."""
    return parameter["values"][-1] if "values" in parameter else parameter["min"]


def values_of(name: str) -> dict[str, Any]:
    return {key: drawn(parameter) for key, parameter in sweep(name)["parameters"].items()}


def agent_command(name: str, values: dict[str, Any]) -> list[str]:
    """What W&B's agent runs for these values (wandb_agent.Agent._command_run)."""
    made = create_sweep_command_args({"args": {key: {"value": value} for key, value in values.items()}})
    made |= {"env": ["/usr/bin/env"], "interpreter": ["python"]}
    command: list[str] = []
    for part in create_sweep_command(list(sweep(name)["command"])):
        macro = part.startswith("${") and part.endswith("}")
        command += made.get(part[2:-1]) or [] if macro else [part]
    return command


def run_alone(command: list[str]) -> None:
    """As a process of its own would: W&B's service keeps the folder it was started in, and run folders are relative."""
    wandb.teardown()
    assert main(command) == 0
    wandb.finish()
    wandb.teardown()


@pytest.fixture(scope="session")
def swept(build_once: BuildOnce, chain: Path, crema_d_cache: Path) -> Callable[[str], Path]:
    """`swept(name)`: where the agent's command ran once, in W&B's offline mode, with the loggers that every fit has."""

    def run(name: str, folder: Path) -> None:
        folder.mkdir()
        loggers = yaml.safe_load((EXPERIMENTS / "base/trainer.yaml").read_text())["trainer"]["logger"]
        (folder / "watched.yaml").write_text(
            yaml.safe_dump({"trainer": {"logger": loggers, "callbacks+": WATCHED[name]}})
        )
        # published judges are not shipped
        command = [
            part.replace("test/report", "test/own_judges") for part in agent_command(name, values_of(name))
        ]
        assert command[:5] == ["/usr/bin/env", "python", "-m", "s2v", "fit"]
        # the tiny networks and the corpus of the tests, before what the sweep has drawn
        key, value = next(iter(values_of(name).items()))
        place = command.index(f"--{key}={value}")
        smaller = [*arguments([*OWN[name], "debug/tiny", *TINY[name]]), "--config", "watched.yaml"]
        command[place:place] = [*smaller, *options(name, crema_d_cache, chain)]
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)  # where a clone would be
            patch.setenv("WANDB_MODE", "offline")
            patch.setenv("WANDB_RUN_ID", RUN_ID)  # as the agent sets it
            (folder / "experiments").symlink_to(EXPERIMENTS)
            run_alone(command[4:])

    return lambda name: build_once(f"sweep_{name}", partial(run, name))


def run_folder(place: Path) -> Path:
    return place / "runs" / "crema_d" / "sweeps" / RUN_ID


def report_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))


def logged_table(path: Path, key: str) -> dict[str, Any]:
    """The table of this key that was logged last, as a run's page shows it."""
    return json.loads((path / "files" / read_offline_run(path).values(f"{key}.path")[-1]).read_text())


def of_nested(config: dict[str, Any], key: str) -> Any:
    found: Any = config
    for part in key.split("."):
        found = found[part]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", SWEEPS)
def test_the_agents_command_runs(name: str, swept: Callable[[str], Path]) -> None:
    folder = run_folder(swept(name))
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    (path,) = (folder / "wandb").glob("offline-run-*")
    run = read_offline_run(path)
    assert run.run_id == RUN_ID
    for key, value in values_of(name).items():
        for found in (of_nested(config, key), of_nested(run.config, key)):
            assert found == pytest.approx(value) if isinstance(value, float) else found == value, key
    assert run.config["trainer"]["max_steps"] == 4  # resolved: not the sweep's, but of the files before it
    metric = sweep(name)["metric"]["name"]
    rows = (folder / "csv" / "version_0" / "metrics.csv").read_text().splitlines()[0].split(",")
    assert metric in rows
    assert run.values(metric) and len(run.values(f"train/{TERM[name]}")) == 4
    assert all(isfinite(value) for value in run.values(metric))


@pytest.mark.slow
def test_what_wandb_shows_of_a_run(swept: Callable[[str], Path]) -> None:
    folder = run_folder(swept("compose"))
    (path,) = (folder / "wandb").glob("offline-run-*")
    run = read_offline_run(path)

    (videos,) = run.values("samples.videos")
    assert len(videos) == 4
    for video in videos:
        file = path / "files" / video["path"]
        assert read_speech(file).abs().max() > 0.01
        with av.open(str(file)) as container:
            assert len(list(container.decode(video=0))) >= 25

    warnings = logged_table(path, "health/warnings")
    assert warnings["columns"] == ["step", "sign", "value", "likely cause"]
    for step, sign, value, _ in warnings["data"]:
        assert run.values(sign)[step - 1] == pytest.approx(value)

    mean = report_of(folder)["systems"]["speech2video"]["ssim"]["mean"]
    assert run.values("test/speech2video/ssim") == [mean]
    assert run.values("trainer/global_step")[-1] == 4
    content = logged_table(path, "test/report")
    row = next(row for row in content["data"] if row[0] == "ssim")
    assert content["columns"][2] == "speech2video" and row[2].startswith(f"{mean:.3f} [")


@pytest.mark.slow
def test_a_stage_1_run_s_test_is_a_table_too(swept: Callable[[str], Path]) -> None:
    (path,) = (run_folder(swept("distill")) / "wandb").glob("offline-run-*")
    run, table = read_offline_run(path), logged_table(path, "test/metrics")
    assert table["columns"] == ["metric", "value"]
    assert {name for name, _ in table["data"]} >= {"test/loss", "test/identity_cosine"}
    for name, value in table["data"]:
        assert run.values(name) == [pytest.approx(value)]


def numbers(content: Any) -> dict[str, float]:
    """All numbers in nested dictionaries, by where they lie."""
    if isinstance(content, dict):
        return {f"{key}.{where}": n for key, inner in content.items() for where, n in numbers(inner).items()}
    return {"": content} if isinstance(content, int | float) else {}


@pytest.mark.slow
def test_a_fit_s_own_test_is_the_one_given_afterwards(
    swept: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "clone"
    shutil.copytree(swept("compose"), place, symlinks=True)
    monkeypatch.chdir(place)
    folder = Path("runs", "crema_d", "sweeps", RUN_ID)
    first = report_of(folder)
    shutil.rmtree(folder / "report")
    best = folder / "best.ckpt"
    assert first["meta"]["checkpoint"]["file"] == str(best)
    run_alone(["test", "--config", str(folder / "config.yaml"), "--ckpt_path", str(best)])
    again = report_of(folder)
    # to rounding: the fit has laid its generator out in memory another way
    assert numbers(again["systems"]) == pytest.approx(numbers(first["systems"]), rel=1e-4, abs=1e-6)
    assert [clip["clip_id"] for clip in again["clips"]] == [clip["clip_id"] for clip in first["clips"]]
    paths = (folder / "wandb").glob("offline-run-*")
    assert [read_offline_run(path).run_id for path in paths] == [RUN_ID] * 2


@pytest.mark.slow
def test_the_same_file_is_searched_without_wandb(
    chain: Path, crema_d_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(EXPERIMENTS.parent))
    (tmp_path / "experiments").symlink_to(EXPERIMENTS)
    content = sweep("distill")
    smaller = arguments([*OWN["distill"], "debug/tiny", *TINY["distill"]])
    content["command"][-1:-1] = [*smaller, *options("distill", crema_d_cache, chain)]
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    assert main(["sweep", "small.yaml", "--trials", "1"]) == 0
    best = yaml.safe_load((tmp_path / "runs" / "sweeps" / "small" / "best.yaml").read_text(encoding="utf-8"))
    (run,) = (tmp_path / "runs/crema_d/sweeps").iterdir()
    config = yaml.safe_load((run / "config.yaml").read_text("utf-8"))
    metrics = (run / "csv/version_0/metrics.csv").read_text("utf-8")
    assert "test/loss" in metrics.splitlines()[0].split(",")  # each trial ends with its test, too
    assert 1e-5 <= best["model"]["init_args"]["lr"] <= 3e-3
    assert config["model"]["init_args"]["lr"] == best["model"]["init_args"]["lr"]
