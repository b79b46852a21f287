"""The spread of a system's speakers over the real one's, worked out by hand."""

import math

import pytest
import torch

from s2v.evaluation.speaker_spread import SpeakerSpread
from s2v.metrics.diversity import mean_picture


def grey(level: int) -> torch.Tensor:
    return mean_picture(torch.full((2, 3, 40, 40), level, dtype=torch.uint8))


def test_generated_over_real() -> None:
    """Real speakers 40, 40 and 80 grey levels apart, generated ones 10, 10 and 20; a speaker is the mean of clips."""
    spread = SpeakerSpread()
    for speaker, made, real in (("a", 95, 60), ("a", 105, 60), ("b", 110, 100), ("c", 120, 140)):
        spread.add("ours", speaker, grey(made), grey(real))
        spread.add("one face", speaker, grey(50), grey(real))
    found = spread.estimate("ours", 200, 0)
    assert found is not None and found.n == 4
    assert found.mean == pytest.approx(40 / 160)
    assert found.low == pytest.approx(40 / 160) and found.high == pytest.approx(
        40 / 160
    )  # alike for every pair
    flat = spread.estimate("one face", 200, 0)
    assert flat is not None and (flat.mean, flat.low, flat.high) == (0, 0, 0)


def test_speakers_that_can_not_be_compared() -> None:
    spread = SpeakerSpread()
    assert spread.estimate("ours", 10, 0) is None
    spread.add("ours", "a", grey(1), grey(2))
    assert spread.estimate("ours", 10, 0) is None
    spread.add("ours", "b", grey(5), grey(2))  # all real speakers look alike
    found = spread.estimate("ours", 10, 0)
    assert found is not None and math.isnan(found.mean)
