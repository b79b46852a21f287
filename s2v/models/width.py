"""How the paper-size networks are made narrow: one rule, so that every network shrinks the same way."""

import math

from s2v.errors import InputError


def scaled_channels(channels: int, width: float) -> int:
    """Channels of a layer at `width` times the paper's size: at least 8, exactly `channels` at width 1.

    Raises:
        InputError: the width is no positive number.
    """
    if not 0 < width < math.inf:
        raise InputError(f"a width must be above 0 and finite, got {width}")
    return max(8, round(channels * width))
