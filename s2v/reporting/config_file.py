"""A run's config.yaml as flat keys, and what differs between runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from s2v.errors import InputError

MOST_BYTES = 4 * 2**20
MOST_KEYS = 20_000
MOST_LEVELS = 50


def read_config(path: Path) -> dict[str, str]:
    """Dotted key -> value as YAML writes it.

    An element of a list that names a class has the class's name in its key (`trainer.callbacks.TestReport.system`),
    so that two runs' callbacks meet whatever else is in their lists; any other list is one value.

    Raises:
        InputError: no YAML mapping, or one of absurd size (aliases can make kilobytes into gigabytes).
    """
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path}: larger than {MOST_BYTES >> 20} MB, not what `s2v fit` writes")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: no YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected keys and values, as `s2v fit` writes them")
    flat: dict[str, str] = {}
    for key, value in _leaves("", content, 0):
        flat[key] = value
        if len(flat) > MOST_KEYS:
            raise InputError(f"{path}: more than {MOST_KEYS} keys, not what `s2v fit` writes")
    return flat


def differing_keys(configs: list[dict[str, str] | None]) -> dict[str, list[str]]:
    """Key -> each run's value, for the keys that not all runs with a config agree on; a missing one is empty."""
    known = [config for config in configs if config is not None]
    keys = dict.fromkeys(key for config in known for key in config)
    return {
        key: ["" if config is None else config.get(key, "") for config in configs]
        for key in keys
        if len({config.get(key) for config in known}) > 1
    }


def _leaves(prefix: str, value: Any, level: int) -> Iterator[tuple[str, str]]:
    if level > MOST_LEVELS:
        raise InputError(f"a config nested deeper than {MOST_LEVELS} levels: not what `s2v fit` writes")
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(f"{prefix}.{key}" if prefix else str(key), inner, level + 1)
    elif isinstance(value, list) and any(isinstance(element, dict) for element in value):
        seen: dict[str, int] = {}
        for element in value:
            name = _class_name(element)
            seen[name] = seen.get(name, 0) + 1
            number = f"#{seen[name]}" if seen[name] > 1 else ""
            yield from _leaves(f"{prefix}.{name}{number}", element, level + 1)
    else:
        yield prefix, _text(value)


def _class_name(element: Any) -> str:
    path = element.get("class_path") if isinstance(element, dict) else None
    return str(path).rpartition(".")[2] if path else "element"


def _text(value: Any) -> str:
    """As YAML writes it on one line."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, list):
        return "[" + ", ".join(map(_scalar, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "..." if isinstance(value, list | dict) and value else str(value)
