"""`~/` in configs and options: the home folder, where a shell has not put it already (`--cache=~/x`, any YAML).

Python's own file functions take it for a folder called `~`, which then appears in the current one.
"""

import os
import re
from argparse import Namespace
from typing import Any

from s2v.errors import InputError

_AT_HOME = re.compile(r"(?P<before>(?:[^/~]*[:=])?)(?P<path>~(?:/.*)?)", re.DOTALL)
"""Also behind what some options have before the path: `vggface:~/x.pth`, `NAME=~/videos`, `--cache=~/x`."""


def with_home(value: str) -> str:
    """The text with the home folder for its `~`, if it is such a path; `~someone` is left alone.

    Raises:
        InputError: nobody knows where home is.
    """
    found = _AT_HOME.fullmatch(value)
    if found is None:
        return value
    path = os.path.expanduser(found["path"])
    if path.startswith("~"):
        raise InputError(f"{value}: there is no home folder here (HOME is not set): write the path out")
    return found["before"] + path


def expand_home(value: Any) -> Any:
    """`with_home` of every text in a config; jsonargparse's namespaces are changed in place."""
    if isinstance(value, str):
        return with_home(value)
    if isinstance(value, Namespace):
        for name, held in list(vars(value).items()):
            vars(value)[name] = expand_home(held)
        return value
    if isinstance(value, dict):
        return {name: expand_home(held) for name, held in value.items()}
    if isinstance(value, list):
        return [expand_home(held) for held in value]
    return value
