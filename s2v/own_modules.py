"""What lies in modules of one's own, which configs and command lines name as `package.module.name`."""

import importlib
import os
import sys
from typing import Any

from s2v.errors import InputError, one_line
from s2v.nearest_name import did_you_mean


def find_own_modules() -> None:
    """Let the current folder's modules be found, as with `python -m s2v`, where `s2v` is a script.

    Last, so that no file there stands in for an installed package. Not for commands that read others' files, such as
    export's checkpoints: no class that those name is to be found by chance.
    """
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.append(os.getcwd())


def own_object(path: str, purpose: str, kind: str) -> Any:
    """What the user named; its module is imported, from the current folder too.

    Args:
        path: `package.module.name`, from the user's command line or config and never from a checkpoint.
        purpose: what it is for, in an error.
        kind: "Class" or "function", in an error.

    Raises:
        InputError: it is no such path, the module can't be imported, or has nothing of that name.
    """
    module, _, name = path.rpartition(".")
    if not module or not all(part.isidentifier() for part in path.split(".")):
        raise InputError(f"{purpose}: expected package.module.{kind}, got {path!r}")
    find_own_modules()
    try:
        members = vars(importlib.import_module(module))
    except Exception as error:  # whatever a file of the user's may raise
        raise InputError(
            f"{purpose}: {module} can't be imported ({type(error).__name__}: {one_line(error)}); it must lie in the "
            "current folder, be installed, or be on PYTHONPATH"
        ) from error
    if name not in members:
        raise InputError(f"{purpose}: {module} has no {kind.lower()} {name}{did_you_mean(name, members)}")
    return members[name]


def own_class(path: str, purpose: str) -> type[Any]:
    """The class that the user named; see `own_object`.

    Raises:
        InputError: as there, or it is no class.
    """
    found = own_object(path, purpose, "Class")
    if not isinstance(found, type):
        raise InputError(f"{purpose}: expected a class, {path} is {type(found).__name__}")
    return found
