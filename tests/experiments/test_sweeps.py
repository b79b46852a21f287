"""A sweep's agent command, built by W&B's own code from values of the sweep's file, and run."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from s2v.cli import main
from tests.experiments.combinations import EXPERIMENTS, OWN, TINY, arguments
from tests.experiments.conftest import options

SWEEPS = sorted(path.stem for path in (EXPERIMENTS / "sweeps").iterdir())


def sweep(name: str) -> dict[str, Any]:
    return yaml.safe_load((EXPERIMENTS / "sweeps" / f"{name}.yaml").read_text(encoding="utf-8"))


def drawn(parameter: dict[str, Any]) -> Any:
    """A value that the sweep may draw, and that is not the config's own."""
    return parameter["values"][-1] if "values" in parameter else parameter["min"]


def agent_command(name: str, values: dict[str, Any]) -> list[str]:
    """What W&B's agent runs for these values (wandb_agent.Agent._command_run)."""
    made = create_sweep_command_args({"args": {key: {"value": value} for key, value in values.items()}})
    made |= {"env": ["/usr/bin/env"], "interpreter": ["python"]}
    command: list[str] = []
    for part in create_sweep_command(list(sweep(name)["command"])):
        macro = part.startswith("${") and part.endswith("}")
        command += made.get(part[2:-1]) or [] if macro else [part]
    return command


@pytest.mark.parametrize("name", SWEEPS)
def test_the_agents_command_runs(
    name: str, chain: Path, crema_d_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_RUN_ID", "abc123")  # as the agent sets it
    monkeypatch.chdir(tmp_path)  # where a clone would be
    (tmp_path / "experiments").symlink_to(EXPERIMENTS)
    values = {key: drawn(parameter) for key, parameter in sweep(name)["parameters"].items()}
    command = agent_command(name, values)
    assert command[:5] == ["/usr/bin/env", "python", "-m", "s2v", "fit"]
    # the tiny networks and the corpus of the tests, before what the sweep has drawn
    place = command.index(f"--{next(iter(values))}={next(iter(values.values()))}")
    smaller = arguments([*OWN[name], "debug/tiny", *TINY[name]])
    command[place:place] = [*smaller, *options(name, crema_d_cache, chain)]
    assert main(command[4:]) == 0

    folder = tmp_path / "runs" / "crema_d" / "sweeps" / "abc123"
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    for key, value in values.items():
        found: Any = config
        for part in key.split("."):
            found = found[part]
        assert found == pytest.approx(value) if isinstance(value, float) else found == value, key
    metrics = (folder / "csv" / "version_0" / "metrics.csv").read_text().splitlines()[0].split(",")
    assert sweep(name)["metric"]["name"] in metrics
    assert os.environ["WANDB_MODE"] == "offline"


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
    config = yaml.safe_load((tmp_path / "runs/crema_d/sweeps/small-0000/config.yaml").read_text("utf-8"))
    assert 1e-5 <= best["model"]["init_args"]["lr"] <= 3e-3
    assert config["model"]["init_args"]["lr"] == best["model"]["init_args"]["lr"]
