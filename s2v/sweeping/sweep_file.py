"""A W&B sweep file, read as far as a sweep on one machine can do what it says."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from s2v.errors import InputError, one_line
from s2v.files.home_paths import expand_home
from s2v.files.unique_keys import UniqueKeys
from s2v.nearest_name import did_you_mean

METHODS = ("bayes", "random", "grid")
RUN_ID = "${oc.env:WANDB_RUN_ID}"
"""What makes one trial's folder another than the next one's; W&B's agent sets the variable, and so does ours."""
MACROS = ("${env}", "${interpreter}", "${program}", "${args}")


@dataclass(frozen=True)
class SweepFile:
    """What is to be tried.

    Attributes:
        method: bayes (Optuna's tree-structured Parzen estimator), random or grid.
        metric: its name in metrics.csv.
        maximize: whether more of it is better.
        space: parameter -> what it is drawn from.
        command: with W&B's macros.
        run_dir: the command's --run_dir, with RUN_ID in it.
        notes: what the file asks for that is not done here.
    """

    method: str
    metric: str
    maximize: bool
    space: dict[str, BaseDistribution]
    command: list[str]
    run_dir: str
    notes: list[str]


def read_sweep_file(path: Path) -> SweepFile:
    """Read a sweep file.

    Raises:
        InputError: no such file, or something in it that is not understood.
    """
    try:
        content = expand_home(yaml.load(path.read_text(encoding="utf-8"), UniqueKeys))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: no YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected W&B's sweep keys: method, metric, parameters, command")
    try:
        return _parse(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _parse(content: dict[str, Any]) -> SweepFile:
    method = content.get("method")
    if method not in METHODS:
        raise InputError(f"method: expected {', '.join(METHODS)}, got {method!r}")
    metric = content.get("metric")
    if not isinstance(metric, dict) or not isinstance(metric.get("name"), str):
        raise InputError("metric: expected a name and a goal")
    goal = metric.get("goal", "minimize")
    if goal not in ("minimize", "maximize"):
        raise InputError(f"metric.goal: expected minimize or maximize, got {goal!r}")
    parameters = content.get("parameters")
    if not isinstance(parameters, dict) or not parameters:
        raise InputError("parameters: expected at least one")
    space = {str(name): distribution(str(name), spec) for name, spec in parameters.items()}
    if method == "grid" and not all(isinstance(one, CategoricalDistribution) for one in space.values()):
        raise InputError("method grid needs `values` for every parameter")
    command, run_dir = _command(content.get("command"), content.get("program"))
    known = {"method", "metric", "parameters", "command", "program", "project", "name", "description"}
    ignored = sorted(set(map(str, content)) - known)
    notes = [f"not done here, every trial runs to its end: {', '.join(ignored)}"] if ignored else []
    return SweepFile(method, metric["name"], goal == "maximize", space, command, run_dir, notes)


def distribution(name: str, spec: Any) -> BaseDistribution:
    """What W&B's description of a parameter is to Optuna; raises InputError for what is not supported."""
    if not isinstance(spec, dict):
        raise InputError(f"parameters.{name}: expected value, values, or min and max")
    kind = spec.get("distribution") or _implied(spec)
    if not isinstance(kind, str) or kind not in _MADE:
        hint = did_you_mean(str(kind), _MADE)
        raise InputError(
            f"parameters.{name}: distribution {kind!r} is not supported{hint} ({', '.join(_MADE)})"
        )
    needed, optional, make = _MADE[kind]
    unknown = set(spec) - {*needed, *optional, "distribution"}
    missing = [key for key in needed if key not in spec]
    if missing or unknown:
        what = (
            f"lacks {', '.join(missing)}"
            if missing
            else f"has an unknown key: {', '.join(map(str, unknown))}"
        )
        raise InputError(f"parameters.{name}: {kind} {what}")
    for key in ("min", "max", "q"):
        if key in spec and not _is_number(spec[key]):
            raise InputError(f"parameters.{name}: {key} must be a number, got {spec[key]!r}")
        if key in spec and kind == "int_uniform" and spec[key] % 1:  # Optuna would round 0.5 down to 0
            raise InputError(f"parameters.{name}: {key} of {kind} must be a whole number, got {spec[key]!r}")
    try:
        return make(spec)
    # ArithmeticError: more steps than Python's decimals have digits
    except (ValueError, TypeError, ArithmeticError) as error:
        raise InputError(f"parameters.{name}: {one_line(error, 160)}") from error


def _implied(spec: dict[str, Any]) -> str:
    """The distribution that W&B takes where none is named."""
    if "value" in spec:
        return "constant"
    if "values" in spec:
        return "categorical"
    bounds = (spec.get("min"), spec.get("max"))
    return "int_uniform" if all(isinstance(bound, int) for bound in bounds) else "uniform"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _choices(values: Any) -> CategoricalDistribution:
    if not isinstance(values, list) or not values:
        raise ValueError("values must be a list of at least one")
    if not all(isinstance(value, str | int | float | bool) for value in values):
        raise ValueError("values must be numbers, words, true or false")
    return CategoricalDistribution(values)


_Maker = Callable[[dict[str, Any]], BaseDistribution]

_MADE: dict[str, tuple[tuple[str, ...], tuple[str, ...], _Maker]] = {
    "constant": (("value",), (), lambda spec: _choices([spec["value"]])),
    "categorical": (("values",), (), lambda spec: _choices(spec["values"])),
    "int_uniform": (("min", "max"), (), lambda spec: IntDistribution(spec["min"], spec["max"])),
    "uniform": (("min", "max"), (), lambda spec: FloatDistribution(spec["min"], spec["max"])),
    "q_uniform": (
        ("min", "max"),
        ("q",),
        lambda spec: FloatDistribution(spec["min"], spec["max"], step=spec.get("q", 1.0)),
    ),
    "log_uniform_values": (
        ("min", "max"),
        (),
        lambda spec: FloatDistribution(spec["min"], spec["max"], log=True),
    ),
}
"""W&B's distribution -> its needed keys, its optional ones, and Optuna's."""


def _command(command: Any, program: Any) -> tuple[list[str], str]:
    """The command and its --run_dir."""
    if not isinstance(command, list) or not all(isinstance(part, str) for part in command):
        raise InputError("command: expected a list of words, as in experiments/sweeps")
    if "${program}" in command and not isinstance(program, str):
        raise InputError(f"program: expected what the command's ${{program}} stands for, got {program!r}")
    command = [str(program) if part == "${program}" else part for part in command]
    for part in command:
        if part.startswith("${") and part.endswith("}") and part not in MACROS:
            raise InputError(f"command: {part} is not supported ({', '.join(MACROS)})")
    if "${args}" not in command:
        raise InputError("command: ${args} is missing, so that no parameter would reach the trials")
    folders = [part.partition("=")[2] for part in command if part.startswith("--run_dir=")]
    if len(folders) != 1 or RUN_ID not in folders[0]:
        raise InputError(
            f"command: expected --run_dir=FOLDER/{RUN_ID}, so that every trial has its own folder"
        )
    return command, folders[0]
