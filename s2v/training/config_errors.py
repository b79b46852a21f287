"""jsonargparse's many-line complaints about a config or an option, in one line for whoever typed it."""

import importlib
import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import yaml

from s2v.errors import InputError
from s2v.files.unique_keys import UniqueKeys
from s2v.nearest_name import did_you_mean

CONFIGS = {"representation": "experiments/base/representation.yaml"}
"""Where the configs keep what is most often forgotten."""


def explain(message: str, options: Iterable[str]) -> str:
    """One line: which key or option, what is wrong with it, the nearest name where one is misspelt.

    Args:
        message: what jsonargparse says.
        options: the command's option names, `--trainer.max_epochs` and so on.
    """
    options = [option for option in options if option.startswith("--")]
    if found := re.match(r"unrecognized arguments: ([^\s=]+)", message):
        return f"unknown option {found[1]}{did_you_mean(found[1], options)}"
    if found := re.match(r"the following arguments are required: (.+)", message):
        names = re.sub(r"\b(fit|validate|test|predict)\.", "", found[1])
        return f"nothing given for {names}: add the configs that define it, --config FILE --config FILE"
    if found := re.search(r"File does not exist: '(.+?)'", message):
        return f"--config {found[1]}: no such file"

    # Where a list may hold several classes, their base class, tried last, complains too.
    at_fault, *others = re.split(r"^(?=    - Problem with given class_path)", message, flags=re.MULTILINE)
    message = "".join([at_fault, *others[:1]])

    # A chain of keys leads to the fault: model, inside it a class, inside that a key of the class, and so on.
    keys = ".init_args.".join(re.findall(r'[Pp]arser key "(.+?)":', message))
    classes = re.findall(r"Problem with given class_path '(.+?)'", message)
    unknown = r"Group '(.+?)' does not accept option '(.+?)'|unrecognized arguments: --([^\s=]+)"
    if classes and (found := re.search(unknown, message)):
        return _unknown_field(keys, classes[-1], found[3] or f"{found[1]}.{found[2]}")
    if found := re.search(r"does not accept option '(.+?)'", message):
        hint = did_you_mean(found[1], [option[2:] for option in options])
        return f"the config has an unknown key {found[1]}{hint}"
    if classes and (found := re.search(r"Option '(.+?)' is not accepted", message)):
        name = classes[-1].rsplit(".", 1)[-1]
        if name in ("LightningModule", "LightningDataModule"):  # configs are read in order
            return (
                f"{keys}.init_args come before {keys}.class_path: give the config that names the class first"
            )
        known = _parameters(_class(classes[-1]))
        if found[1] in known:
            return (
                f"{keys}: {name} has no option {found[1]!r}, which the class that it extends has: let it take that "
                f"too, or name {name} in the last config file, after the one that sets {found[1]!r}"
            )
        return f"{keys}: {name} has no option {found[1]!r}{did_you_mean(found[1], known)}"
    if classes and (found := re.search(r"(?:No module named|has no attribute) '(.+?)'", message)):
        return f"{keys}: there is no class {classes[-1]} ({found[0]})"
    if classes and (
        found := re.search(r"the following arguments are required: ([\w.]+(?:, [\w.]+)*)", message)
    ):
        return f"{classes[-1].rsplit('.', 1)[-1]} lacks {found[1]}: {_remedy(found[1], keys)}"
    if line := _import_fault(message, keys):
        return line
    return _wrong_value(message, keys) or " ".join(message.split())


def _unknown_field(keys: str, class_path: str, path: str) -> str:
    """A misspelt key inside an argument that is a dataclass; `path` leads there from the class's arguments."""
    holder: type | None = _class(class_path)
    *groups, name = path.split(".")
    inner = ".init_args"  # of the class; a dataclass has its fields without
    for group in groups:
        parameters = _parameters(holder) if holder else {}
        if holder and group not in parameters:
            name = group
            break
        keys, inner = f"{keys}{inner}.{group}", ""
        annotation = parameters.get(group)
        kinds = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
        holder = next(filter(is_dataclass, kinds), None)
    if holder is None:
        return f"{keys} has no option {name!r}"
    return f"{keys}: {holder.__name__} has no option {name!r}{did_you_mean(name, _parameters(holder))}"


def _wrong_value(message: str, keys: str) -> str:
    """A value of the wrong type, or none of those allowed; empty where it is neither."""
    kinds = [kind for kind in re.findall(r"Expected an? <class '(.+?)'>", message) if kind != "NoneType"]
    literals = re.findall(r"Expected a typing\.Literal\[(.+?)\]", message)
    allowed = [value.strip("'") for literal in literals for value in literal.split(", ")]
    found = re.search(r"(?:Got|Given) value: (.*)", message)
    if found and (kinds or allowed):
        expected = f"one of {', '.join(dict.fromkeys(allowed))}" if allowed else ""
        expected = " or ".join(filter(None, [expected, *dict.fromkeys(kinds)]))
        if nested := re.match(r"NestedArg\(key='(.+?)'", found[1]):
            return f"{keys}: expected {expected}, which has no key {nested[1]}"
        return f"{keys}: expected {expected}, got {found[1]}{did_you_mean(found[1], allowed)}"
    if found := re.search(r'Parser key "([^"]+)":\s+Unable to load config \'(.+?)\'', message):
        return f"{keys.partition(found[1])[0]}{found[1]}: expected keys and values, got {found[2]}"
    if found := re.search(r"Expected a dot import path string: (.*)", message):
        return f"{keys}: expected a class, package.module.Class, got {found[1]}"
    return ""


def _import_fault(message: str, keys: str) -> str:
    """A class that is of another kind, or whose file is no Python; empty where it is neither."""
    given = re.findall(r"Expected a path but (\S+) either|Import path (\S+\.\S+) does not", message)
    path = next((name for names in reversed(given) for name in names if name), "")
    if not path and (found := re.search(r"NestedArg\(key='(.+?)', val='(.+?)'\)", message)):
        keys, path = f"{keys}.init_args.{found[1]}", found[2]
    if found := re.search(r"does not correspond to a subclass of (\w+)", message):
        return f"{keys}: {path} is no subclass of {found[1]}"
    if found := re.search(r"(?:^|- )([^-\n]+ \(\S+\.py, line \d+\))", message, re.MULTILINE):
        return f"{keys}: {path} can't be imported: {found[1].strip()}"
    return ""


def _remedy(names: str, keys: str) -> str:
    if file := CONFIGS.get(names.split(", ")[0]):
        return f"add -c {file}"
    if names == "save_dir":  # of a logger; base/trainer.yaml takes it from run_dir
        stage = "experiments/compose/compose.yaml"
        return f"no config names a run_dir: add a stage's, such as -c {stage}, or --run_dir FOLDER"
    return " and ".join(f"set {keys}.init_args.{name}" for name in names.split(", "))


def explain_interpolation(key: str, reason: str) -> str:
    """One line for what OmegaConf says.

    Args:
        key: whose value refers to another key.
        reason: the first line of its complaint.
    """
    for name, file in CONFIGS.items():
        if re.search(rf"Error trying to access {name}\.", reason):
            return f"the config's {key} needs a {name}, and there is none: add -c {file}"
    if found := re.search(r"not found \(resolved to '(?:fit|validate|test|predict)\.(.+)'\)", reason):
        # a class of one's own has other arguments
        return f"the config's {key} is {found[1]}'s value, but that is not set: give {key} a value of its own"
    return f"the config's {key}: {reason}"


def _class(class_path: str) -> type:
    module, _, name = class_path.rpartition(".")
    cls: type = getattr(importlib.import_module(module), name)
    return cls


def _parameters(cls: type) -> dict[str, Any]:
    """Name -> annotation of what its constructor and its bases' take."""
    constructors = [vars(base)["__init__"] for base in reversed(cls.__mro__[:-1]) if "__init__" in vars(base)]
    return {
        name: parameter.annotation
        for constructor in constructors
        for name, parameter in inspect.signature(constructor).parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


def overruled_options(args: list[str], configs: Mapping[str, dict]) -> dict[str, str]:
    """Option -> the config after it that sets its key to something else: it has no effect, as the order decides.

    Args:
        args: a command's arguments.
        configs: their configs, from `read_configs`.
    """
    stated: dict[str, Any] = {}
    overruled: dict[str, str] = {}
    for arg, after in pairwise([*args, ""]):
        option, is_set, value = arg.partition("=")
        value = value if is_set else after
        if option in ("--config", "-c"):
            for name, said in stated.items():
                # what an option appends to a list, a config that appends too leaves in place
                if _differs(configs.get(value), name[2:].removesuffix("+").split("."), said):
                    overruled[name] = value
        elif option.startswith("--"):
            overruled.pop(option, None)
            try:
                stated[option] = yaml.safe_load(value)
            except yaml.YAMLError:
                stated[option] = value
    return overruled


def _differs(content: Any, parts: list[str], value: Any) -> bool:
    """Whether a config has the key of these parts, with another value."""
    for part in parts:
        if not isinstance(content, dict) or part not in content:
            return False
        content = content[part]
    return bool(content != value)


def config_files(args: list[str]) -> list[str]:
    """The config files among a command's arguments, `--config FILE`, `-c FILE` or `--config=FILE`."""
    after = [value for option, value in pairwise(args) if option in ("--config", "-c")]
    return after + [arg.removeprefix("--config=") for arg in args if arg.startswith("--config=")]


def read_configs(args: list[str]) -> dict[str, dict]:
    """Path -> content of every config that `args` name, to say which file and line is not YAML (jsonargparse does not).

    Raises:
        InputError: a file can't be read, or is not a YAML mapping.
    """
    configs = {}
    for path in config_files(args):
        try:
            content = yaml.load(Path(path).read_text(encoding="utf-8"), UniqueKeys)
        except FileNotFoundError:
            raise InputError(f"--config {path}: no such file") from None
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--config {path}: can't be read ({error})") from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
            raise InputError(
                f"--config {path} is not YAML: {place}{getattr(error, 'problem', None) or error}"
            ) from None
        if not isinstance(content, dict):
            raise InputError(f"--config {path}: expected keys and values (trainer:, model:, data:), got none")
        configs[path] = content
    return configs
