"""Clips as columns: what comes out is what was put in, in another process too."""

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_modules.clip_columns import Clip, ClipColumns

NUMBERS = st.integers(-1, 2**31 - 1)
# any text, names of files that are not UTF-8 included
NAMES = st.text(st.characters(exclude_categories=()), max_size=8)
CLIPS = st.lists(
    st.builds(Clip, NAMES, NAMES.map(lambda name: Path("cache/é", name)), NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    max_size=6,
)


@given(CLIPS)
def test_equal_to_the_list_they_were_made_of(clips: list[Clip]) -> None:
    columns = ClipColumns.of(clips)
    assert len(columns) == len(clips)
    assert list(columns) == clips == list(reversed(list(reversed(columns))))
    assert [columns[place] for place in range(-len(clips), 0)] == clips
    assert columns[1:-1] == clips[1:-1] and columns[::-2] == clips[::-2]
    assert columns.speakers.tolist() == [clip.speaker for clip in clips]
    assert list(pickle.loads(pickle.dumps(columns))) == clips
    assert ClipColumns.of(columns) is columns


def test_numbers_are_pythons_and_no_place_is_made_up() -> None:
    columns = ClipColumns.of([Clip("a", Path("a"), 5, 25, 0, -1)])
    assert [type(value) for value in (columns[0].frames, columns[0].fps, columns[0].emotion)] == [int] * 3
    for place in (1, -2):
        with pytest.raises(IndexError):
            columns[place]
