"""Modules of one's own, in the current folder, for commands that name something in them."""

import os
import sys


def find_own_modules() -> None:
    """Modules of the current folder can be imported, as with `python -m s2v`, where `s2v` is a script.

    Last, so that no file there stands in for an installed package. Not for commands that read others' files, such as
    export's checkpoints: no class that those name is to be found by chance.
    """
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.append(os.getcwd())
