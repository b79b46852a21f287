"""Whose frame SDFA(mismatch) is given: fixed, never the speaker's own, written out."""

from pathlib import Path

import pytest

from s2v.errors import InputError
from s2v.evaluation.mismatch import mismatched_clips, read_mismatch, write_mismatch

SPEAKERS = {f"{speaker}/{clip}": speaker for speaker in ("ann", "bob", "cyd", "dan") for clip in range(25)}
PINNED = {"a/1": "c/1", "b/1": "c/1", "b/2": "c/1", "c/1": "b/1"}


def test_never_the_own_speaker_and_all_others_alike() -> None:
    chosen = mismatched_clips(SPEAKERS)
    assert chosen.keys() == SPEAKERS.keys()
    assert all(SPEAKERS[clip] != SPEAKERS[other] for clip, other in chosen.items())
    faces = [SPEAKERS[other] for other in chosen.values()]
    assert all(13 <= faces.count(name) <= 37 for name in ("ann", "bob", "cyd", "dan"))


def test_the_order_of_the_clips_does_not_matter() -> None:
    assert mismatched_clips(dict(reversed(SPEAKERS.items()))) == mismatched_clips(SPEAKERS)


def test_the_list_stays_what_it_is() -> None:
    """A change of the rule would change published lists."""
    assert mismatched_clips({"a/1": "a", "b/1": "b", "b/2": "b", "c/1": "c"}) == PINNED


def test_written_and_read(tmp_path: Path) -> None:
    chosen = mismatched_clips(SPEAKERS)
    write_mismatch(tmp_path / "new" / "mismatch.csv", chosen)
    lines = (tmp_path / "new" / "mismatch.csv").read_text().splitlines()
    assert lines[0] == "clip_id,still_of" and len(lines) == 101
    assert read_mismatch(tmp_path / "new" / "mismatch.csv", SPEAKERS) == chosen


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one speaker only"):
        mismatched_clips({"a": "ann", "b": "ann"})
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="no list of mismatched stills"):
        read_mismatch(tmp_path / "other.csv", SPEAKERS)
    write_mismatch(tmp_path / "own.csv", {"ann/0": "ann/1"})
    with pytest.raises(InputError, match="no clip of another speaker"):
        read_mismatch(tmp_path / "own.csv", {"ann/0": "ann", "ann/1": "ann", "bob/0": "bob"})
