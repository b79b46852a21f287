"""W&B's sweep files mean here what they mean there, or are refused in one line."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from s2v.errors import InputError
from s2v.sweeping.sweep_file import distribution, read_sweep_file
from s2v.sweeping.trial import trial_command
from tests.experiments.combinations import EXPERIMENTS

FILE: dict[str, Any] = {
    "method": "bayes",
    "metric": {"name": "val/loss"},
    "parameters": {"lr": {"min": 0.0, "max": 1.0}},
    "command": ["${env}", "${interpreter}", "-m", "s2v", "--run_dir=runs/${oc.env:WANDB_RUN_ID}", "${args}"],
}


def read(tmp_path: Path, content: Any) -> Any:
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(content))
    return read_sweep_file(tmp_path / "sweep.yaml")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"value": 3}, CategoricalDistribution([3])),
        ({"values": [0.1, "a", True]}, CategoricalDistribution([0.1, "a", True])),
        ({"min": 1, "max": 5}, IntDistribution(1, 5)),
        ({"distribution": "int_uniform", "min": 1.0, "max": 5}, IntDistribution(1, 5)),
        ({"min": 1, "max": 5.0}, FloatDistribution(1, 5)),
        ({"distribution": "uniform", "min": 0, "max": 1}, FloatDistribution(0, 1)),
        ({"distribution": "q_uniform", "min": 0, "max": 4}, FloatDistribution(0, 4, step=1)),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.25}, FloatDistribution(0, 1, step=0.25)),
        (
            {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-3},
            FloatDistribution(1e-5, 1e-3, log=True),
        ),
    ],
)
def test_distributions(spec: dict[str, Any], expected: Any) -> None:
    assert distribution("lr", spec) == expected


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (3, "expected value, values, or min and max"),
        ({"distribution": "log_uniform_value", "min": 1, "max": 2}, r"not supported.*log_uniform_values"),
        ({"distribution": "beta", "a": 1}, "distribution 'beta' is not supported"),
        ({"distribution": ["beta"]}, r"distribution \['beta'\] is not supported"),
        ({"min": 1}, "uniform lacks max"),
        ({"min": 1, "max": "1e-3"}, "max must be a number, got '1e-3'"),
        ({"min": True, "max": 2}, "min must be a number, got True"),
        ({"min": 0.0, "max": math.inf}, "max must be a number, got inf"),
        ({"min": 2.0, "max": 1.0}, "parameters.lr: "),
        ({"distribution": "q_uniform", "min": 0.0, "max": 1e308, "q": 0.1}, "parameters.lr: "),
        (
            {"distribution": "int_uniform", "min": 0.5, "max": 3},
            "min of int_uniform must be a whole number, got 0.5",
        ),
        ({"distribution": "log_uniform_values", "min": 0, "max": 1}, "parameters.lr: "),
        ({"values": []}, "at least one"),
        ({"values": [[1]]}, "must be numbers, words"),
        ({"values": [1, 2], "probabilities": [0.1, 0.9]}, "unknown key: probabilities"),
    ],
)
def test_what_is_no_distribution(spec: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        distribution("lr", spec)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("method", "bayesian", "expected bayes, random, grid"),
        ("method", "grid", "grid needs `values`"),
        ("metric", "val/loss", "expected a name and a goal"),
        ("metric", {"name": "a", "goal": "max"}, "minimize or maximize"),
        ("parameters", {}, "at least one"),
        ("command", "s2v fit", "expected a list"),
        ("command", ["s2v", 3, "${args}"], "expected a list of words"),
        ("command", ["--run_dir=runs/${oc.env:WANDB_RUN_ID}"], r"\$\{args\} is missing"),
        ("command", ["${args}", "--run_dir=runs/one"], "every trial has its own folder"),
        ("command", ["${args_json}"], r"\$\{args_json\} is not supported"),
        ("command", ["${args}"], "every trial has its own folder"),
        ("command", [*FILE["command"], "--run_dir=runs/one"], "every trial has its own folder"),
        ("command", [*FILE["command"], "${program}"], r"program: expected what the command's .* got None"),
    ],
)
def test_what_is_no_sweep(key: str, value: Any, reason: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"sweep.yaml: .*{reason}"):
        read(tmp_path, copy.deepcopy(FILE) | {key: value})


def test_the_program_stands_for_its_macro(tmp_path: Path) -> None:
    command = ["${interpreter}", "${program}", *FILE["command"][-2:]]
    sweep = read(tmp_path, FILE | {"command": command, "program": "train.py"})
    assert sweep.command[:2] == ["${interpreter}", "train.py"] and sweep.notes == []


def test_no_file_and_no_yaml(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_sweep_file(tmp_path / "sweep.yaml")
    with pytest.raises(InputError, match="expected W&B's sweep keys"):
        read(tmp_path, [1])
    (tmp_path / "sweep.yaml").write_text("a: [")
    with pytest.raises(InputError, match="no YAML"):
        read_sweep_file(tmp_path / "sweep.yaml")
    (tmp_path / "sweep.yaml").write_text("parameters:\n  lr: {value: 1}\n  lr: {value: 2}\n")
    with pytest.raises(InputError, match=r"no YAML \(the key 'lr' is in line 2 already"):
        read_sweep_file(tmp_path / "sweep.yaml")


@pytest.mark.parametrize("path", sorted((EXPERIMENTS / "sweeps").iterdir()), ids=lambda path: path.stem)
def test_the_command_is_the_one_of_wandb_s_agent(path: Path) -> None:
    from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

    sweep = read_sweep_file(path)
    drawn = {
        name: one.choices[0] if isinstance(one, CategoricalDistribution) else 1e-5
        for name, one in sweep.space.items()
    }
    agent = create_sweep_command_args({"args": {name: {"value": value} for name, value in drawn.items()}})
    command = trial_command(sweep, drawn)
    assert command[-len(drawn) :] == agent["args"]
    assert command[0] == "/usr/bin/env" and command[2:5] == ["-m", "s2v", "fit"]
    assert sweep.notes == ["not done here, every trial runs to its end: early_terminate"]
