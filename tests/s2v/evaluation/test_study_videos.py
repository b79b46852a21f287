"""The sound of an attention check."""

from pathlib import Path

import pytest
import torch

from s2v.errors import InputError
from s2v.evaluation.study_videos import shift_sound


@pytest.mark.parametrize(("samples", "late"), [(20_000, 10_000), (64_000, 16_000)])
def test_it_comes_late_by_half_its_length_or_a_second(samples: int, late: int) -> None:
    """And not early: what leaves at the end comes first."""
    sound = torch.arange(float(samples))
    shifted = shift_sound(sound, Path("a.mp4"))
    assert torch.equal(shifted[late:], sound[: samples - late])
    assert torch.equal(shifted[:late], sound[samples - late :])


def test_too_short_a_sound_is_refused() -> None:
    with pytest.raises(InputError, match=r"^a\.mp4: too short for an attention check"):
        shift_sound(torch.zeros(1_000), Path("a.mp4"))
