"""Turns of speakers' clips: those of the lists of clips that they were drawn from before."""

from bisect import bisect_right
from itertools import accumulate

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data_modules.speaker_turns import SpeakerTurns


@given(
    st.lists(st.integers(-1, 5), min_size=1, max_size=20),
    st.integers(1, 5),
    st.sampled_from([0.0, 0.25, 0.5, 1.0]),
)
def test_as_lists_of_clips_have_it(speakers: list[int], windows: int, exponent: float) -> None:
    of_speaker: dict[int | str, list[int]] = {}
    for place, speaker in enumerate(speakers):
        of_speaker.setdefault(speaker if speaker >= 0 else f"clip {place}", []).append(place)
    groups = list(of_speaker.values())
    ends = list(accumulate(max(1, round(windows * len(group) ** exponent)) for group in groups))
    turns = SpeakerTurns(np.array(speakers, np.int32), windows, exponent)
    assert len(turns) == ends[-1]
    for epoch in range(3):
        for index in range(ends[-1]):
            which = bisect_right(ends, index)
            first = ends[which - 1] if which else 0
            turn = epoch * (ends[which] - first) + index - first
            assert turns.place(epoch, index) == groups[which][turn % len(groups[which])]
