"""Numbers of a config that a network or an optimizer would take, and then compute nonsense with."""

import math
from collections.abc import Mapping

from s2v.errors import InputError


def check_not_negative(numbers: Mapping[str, float | None], place: str = "") -> None:
    """Whether each of `numbers` is 0 or more and finite, or None.

    Args:
        numbers: name -> value.
        place: before the names, as "weights.".

    Raises:
        InputError: naming the first that is not.
    """
    for name, value in numbers.items():
        if value is not None and not 0 <= value < math.inf:
            raise InputError(f"{place}{name} must be 0 or more and finite, got {value}")


def check_positive(numbers: Mapping[str, float]) -> None:
    """Whether each of `numbers` is above 0 and finite; otherwise as `check_not_negative`."""
    for name, value in numbers.items():
        if not 0 < value < math.inf:
            raise InputError(f"{name} must be above 0 and finite, got {value}")


def check_at_least_one(numbers: Mapping[str, int | None], place: str = "") -> None:
    """Whether each of `numbers` is 1 or more, or None; otherwise as `check_not_negative`."""
    for name, value in numbers.items():
        if value is not None and not value >= 1:
            raise InputError(f"{place}{name} must be at least 1, got {value}")
