"""What a misspelt name was probably meant to be."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """An error line's end, `": did you mean fit?"`, where one of `known` resembles `name`, else nothing."""
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f": did you mean {nearest[0]}?" if nearest else ""
