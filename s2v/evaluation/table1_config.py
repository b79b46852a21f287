"""What `s2v table1 --config FILE` is told: stages to train, systems to test, and how."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from s2v.errors import InputError, one_line
from s2v.evaluation.paper_table import PAPER
from s2v.files.home_paths import expand_home
from s2v.nearest_name import did_you_mean
from s2v.training.config_errors import config_files


@dataclass(frozen=True)
class Stage:
    """A fit, whose run folder is `<root>/<name>`.

    Attributes:
        name: of the stage.
        folder: where it writes best.ckpt, last.ckpt and config.yaml.
        arguments: of `s2v fit`.
    """

    name: str
    folder: Path
    arguments: list[str]

    @property
    def checkpoint(self) -> Path:
        """What is tested, and what other stages read."""
        return self.folder / "best.ckpt"


@dataclass(frozen=True)
class System:
    """A row of the table.

    Attributes:
        name: as its report calls it.
        checkpoint: what is tested; None: the weights that its configs name.
        arguments: of `s2v test`, without the checkpoint.
    """

    name: str
    checkpoint: Path | None
    arguments: list[str]

    @property
    def slug(self) -> str:
        """Name of its folder; a plan has no two systems of one."""
        return "".join(c if c.isalnum() else "_" for c in self.name.lower()).strip("_")


@dataclass(frozen=True)
class TablePlan:
    """All of a table's parts, in order."""

    output: Path
    dataset: str | None
    stages: list[Stage] = field(default_factory=list)
    systems: list[System] = field(default_factory=list)


KEYS = {"root", "output", "dataset", "fit", "stages", "systems", "report"}
SYSTEM_KEYS = {"stage", "checkpoint", "config", "with"}

JUDGES = ("identity_judge", "emotion_judge", "syncnet", "lpips", "fid")
"""TestReport's options that name weights."""


def as_arguments(items: Any, where: str) -> list[str]:
    """Config files, and options that begin with --, as `s2v fit` takes them.

    Raises:
        InputError: it is no list, or a file is missing.
    """
    if not isinstance(items, list):
        raise InputError(f"{where}: expected a list of config files and --options, got {items!r}")
    arguments: list[str] = []
    for item in map(str, items):
        if item.startswith("--"):
            arguments.append(item)
        elif Path(item).is_file():
            arguments += ["--config", item]
        else:
            raise InputError(f"{where}: there is no file {item}")
    return arguments


def read_plan(path: str) -> TablePlan:
    """The plan in a YAML file; paths in it are relative to where the command runs, as in the other configs.

    `root`: folder of the stages' runs. `fit`: config files before each stage's. `stages`: name -> its files.
    `systems`: name -> {stage: NAME} or {checkpoint: FILE, config: FILE}, and `with`: files for its test alone. The name
    is what its report calls it, and may go on after a comma: "speech2video, CPC alone". `checkpoint: null`: published
    weights, which the configs name.
    `report`: files after each system's. `dataset`: whose numbers of the paper stand beside. `output`: a folder.

    Raises:
        InputError: naming the key that is wrong.
    """
    if not Path(path).is_file():
        raise InputError(f"--config {path}: no such file")
    try:
        loaded = OmegaConf.load(path)
        if isinstance(loaded, DictConfig):  # a stage's config refers to what it lacks alone
            _check_keys({str(key): None for key in loaded}, KEYS, f"--config {path}")
        content = expand_home(OmegaConf.to_container(loaded, resolve=True))
    except UnicodeError:
        raise InputError(
            f"--config {path} is no text: a YAML file as those in experiments/table1 was expected"
        ) from None
    except (OmegaConfBaseException, YAMLError, OSError) as error:
        raise InputError(f"--config {path}: {one_line(error, 160)}") from error
    if not isinstance(content, dict):
        raise InputError(f"--config {path}: expected keys {', '.join(sorted(KEYS))}")
    given = {str(key): value for key, value in content.items()}
    if missing := {"root", "systems", "report"} - given.keys():
        raise InputError(f"--config {path}: missing {', '.join(sorted(missing))}")
    dataset = given.get("dataset")
    if dataset is not None and str(dataset) not in PAPER:
        raise InputError(
            f"--config {path}: dataset is {dataset!r}, the paper has {' and '.join(PAPER)}: or leave it out"
        )
    root = Path(str(given["root"]))
    before = as_arguments(given.get("fit", []), f"{path}: fit")
    stages = {
        name: Stage(name, root / name, [*before, *as_arguments(files, f"{path}: stages.{name}")])
        for name, files in _named(given.get("stages"), f"{path}: stages").items()
    }
    report = as_arguments(given["report"], f"{path}: report")
    systems = [
        _system(name, value, stages, report, path)
        for name, value in _named(given["systems"], f"{path}: systems").items()
    ]
    if not systems:
        raise InputError(f"--config {path}: systems is empty")
    _check_folders(systems, path)
    return TablePlan(Path(str(given.get("output", root / "table1"))), dataset, list(stages.values()), systems)


def judges_named(arguments: list[str]) -> list[str]:
    """The weights that a test's last TestReport names as they are, from its config files and options.

    Of what is interpolated nothing is known yet; what is wrong with a file its own command says.
    """
    found: dict[str, Any] = {}
    for file in filter(os.path.isfile, config_files(arguments)):
        try:
            content = expand_home(OmegaConf.to_container(OmegaConf.load(file), resolve=False))
        except (OmegaConfBaseException, YAMLError, OSError, UnicodeError):
            continue
        trainer = _dict(_dict(content).get("trainer"))
        for listed in (trainer.get("callbacks"), trainer.get("callbacks+")):
            for callback in map(_dict, listed if isinstance(listed, list) else []):
                if str(callback.get("class_path")).endswith("TestReport"):
                    found = _dict(callback.get("init_args"))
    for argument in arguments:  # of the last callback in the list, which a report's file makes its own
        name, _, value = argument.removeprefix("--trainer.callbacks.init_args.").partition("=")
        if name != argument:
            found = found | {name: None if value == "null" else expand_home(value)}
    given = [str(found[name]) for name in JUDGES if found.get(name)]
    return [source for source in given if "${" not in source]


def _dict(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _named(value: Any, where: str) -> dict[str, Any]:
    """Text -> value; none where nothing is given."""
    if not isinstance(value or {}, dict):
        raise InputError(f"{where}: expected NAME: ..., one a line, got {value!r}")
    return {str(name): inner for name, inner in (value or {}).items()}


def _system(name: str, value: Any, stages: dict[str, Stage], report: list[str], path: str) -> System:
    where = f"{path}: systems.{name}"
    checkpoint: Path | None
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected stage: NAME, or checkpoint: FILE and config: FILE")
    _check_keys(value, SYSTEM_KEYS, where)
    if "checkpoint" in value and "config" in value:
        given = value["checkpoint"]
        checkpoint = None if given is None else Path(str(given))
        config = str(value["config"])
    elif str(value.get("stage")) in stages:
        stage = stages[str(value["stage"])]
        checkpoint, config = stage.checkpoint, str(stage.folder / "config.yaml")
    elif "stage" in value:
        raise InputError(
            f"{where}: there is no stage {value['stage']}{did_you_mean(str(value['stage']), stages)}"
        )
    else:
        raise InputError(f"{where}: expected stage: NAME, or checkpoint: FILE and config: FILE")
    more = as_arguments(value.get("with", []), where)
    return System(name, checkpoint, ["--config", config, *more, *report])


def _check_folders(systems: list[System], path: str) -> None:
    """One system's test would overwrite another's where their names differ in punctuation alone."""
    names: dict[str, str] = {}
    for system in systems:
        other = names.setdefault(system.slug, system.name)
        if other != system.name:
            raise InputError(
                f"--config {path}: the systems {other!r} and {system.name!r} would share the folder "
                f"{system.slug}: name one otherwise"
            )


def _check_keys(given: dict[str, Any], known: set[str], where: str) -> None:
    for key in given:
        if key not in known:
            hint = did_you_mean(str(key), sorted(known)) or f": expected {', '.join(sorted(known))}"
            raise InputError(f"{where}: unknown key {key}{hint}")
