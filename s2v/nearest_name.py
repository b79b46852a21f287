"""What a misspelt name was probably meant to be."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """An error line's end, `": did you mean fit?"`, where one of `known` resembles `name`, else nothing."""
    # a base class's argument, which the class itself does not take, would be the name itself
    others = [other for other in known if other != name]
    nearest = difflib.get_close_matches(name, others, n=1, cutoff=0.6)
    return f": did you mean {nearest[0]}?" if nearest else ""
