"""The weights that a fit was made from, as its saved config names them: teachers, CPC, the stage before it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from s2v.weight_files.weight_source import contents_of_sources

SAVED_CONFIG = "config.yaml"
"""What a fit saves in its folder, interpolations resolved."""


def weights_read(folder: Path) -> dict[str, str]:
    """Source -> its content, see `content_of_source`, for each file that the saved config's `model` names.

    Callbacks are left out: their judges watch a fit, nothing is learnt from them.

    Args:
        folder: of the fit; nothing where it has saved no config that can be read.
    """
    try:
        text = (folder / SAVED_CONFIG).read_text(encoding="utf-8")
        content = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    model = content.get("model") if isinstance(content, dict) else None
    return contents_of_sources(dict.fromkeys(filter(None, strings_of(model))))


def strings_of(value: Any) -> Iterator[str]:
    """All texts among nested dicts' and lists' values, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings_of(item)
