"""Classes of one's own, which configs and command lines name as `package.module.Class`."""

import importlib
import os
import sys
from typing import Any

from s2v.errors import InputError


def find_own_modules() -> None:
    """Let the current folder's modules be found, as with `python -m s2v`, where `s2v` is a script.

    Last, so that no file there stands in for an installed package. Not for commands that read others' files, such as
    export's checkpoints: no class that those name is to be found by chance.
    """
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.append(os.getcwd())


def own_class(path: str, purpose: str) -> type[Any]:
    """The class that the user named; its module is imported, from the current folder too.

    Args:
        path: `package.module.Class`, from the user's command line or config and never from a checkpoint.
        purpose: what it is for, in an error.

    Raises:
        InputError: no such module or class, or the module can't be imported.
    """
    find_own_modules()
    module, _, name = path.rpartition(".")
    if not module:
        raise InputError(f"{purpose}: expected package.module.Class, got {path!r}")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{purpose}: {module} of {path} can't be imported ({type(error).__name__}: {reason}); it must lie in the "
            "current folder, be installed, or be on PYTHONPATH"
        ) from error
    if not isinstance(found, type):
        raise InputError(f"{purpose}: {module} has no class {name}")
    return found
