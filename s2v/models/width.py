"""How the paper-size networks are made narrow: one rule, so that every network shrinks the same way."""


def scaled_channels(channels: int, width: float) -> int:
    """Channels of a layer at `width` times the paper's size: at least 8, exactly `channels` at width 1."""
    return max(8, round(channels * width))
