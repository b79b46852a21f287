"""Whose frame SDFA(mismatch) is given: fixed, never the speaker's own, written out."""

import hashlib
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from s2v.errors import InputError
from s2v.evaluation.mismatch import mismatched_clips, read_mismatch, write_mismatch

SPEAKERS = {f"{speaker}/{clip}": speaker for speaker in ("ann", "bob", "cyd", "dan") for clip in range(25)}
PINNED = {"a/1": "c/1", "b/1": "a/1", "b/2": "a/1", "c/1": "a/1"}


def test_never_the_own_speaker_and_all_others_alike() -> None:
    chosen = mismatched_clips(SPEAKERS)
    assert chosen.keys() == SPEAKERS.keys()
    assert all(SPEAKERS[clip] != SPEAKERS[other] for clip, other in chosen.items())
    faces = [SPEAKERS[other] for other in chosen.values()]
    assert all(13 <= faces.count(name) <= 37 for name in ("ann", "bob", "cyd", "dan"))


def test_any_clip_of_the_other_speaker_may_be_drawn() -> None:
    chosen = mismatched_clips(SPEAKERS)
    assert len(set(chosen.values())) > 50  # of 100 drawn with replacement 63 in the mean


def test_the_order_of_the_clips_does_not_matter() -> None:
    assert mismatched_clips(dict(reversed(SPEAKERS.items()))) == mismatched_clips(SPEAKERS)


def test_a_hash_a_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash a pair of clips took half an hour for VoxCeleb2's 36,237."""
    hashed: list[bytes] = []
    sha256 = hashlib.sha256

    def counted(text: bytes) -> Any:
        hashed.append(text)
        return sha256(text)

    monkeypatch.setattr(hashlib, "sha256", counted)
    speakers = {f"id{clip % 100:05d}/{clip}": f"id{clip % 100:05d}" for clip in range(20_000)}
    shuffled = list(speakers.items())
    random.Random(0).shuffle(shuffled)
    chosen = mismatched_clips(speakers)
    assert len(hashed) <= 20_000
    assert mismatched_clips(dict(shuffled)) == chosen
    assert chosen.keys() == speakers.keys()
    assert all(speakers[clip] != speakers[other] for clip, other in chosen.items())
    faces = Counter(speakers[other] for other in chosen.values())
    assert len(faces) == 100 and min(faces.values()) >= 140 and max(faces.values()) <= 260  # 200 in the mean


def test_a_list_of_the_old_rule_stays_valid(tmp_path: Path) -> None:
    old = {"a/1": "c/1", "b/1": "c/1", "b/2": "c/1", "c/1": "b/1"}
    write_mismatch(tmp_path / "mismatch.csv", old)
    assert read_mismatch(tmp_path / "mismatch.csv", {name: name[0] for name in old}) == old


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
    write_mismatch(tmp_path / "gone.csv", {"ann/0": "bob/7", "bob/0": "ann/0"})
    with pytest.raises(InputError, match="clip ann/0 the still of bob/7, which is no clip of another"):
        read_mismatch(tmp_path / "gone.csv", {"ann/0": "ann", "bob/0": "bob"})
    (tmp_path / "short.csv").write_text("clip_id,still_of\nann/0,bob/0\nbob/0\n")
    with pytest.raises(InputError, match="clip bob/0 the still of none, which is no clip of another"):
        read_mismatch(tmp_path / "short.csv", {"ann/0": "ann", "bob/0": "bob"})


@pytest.mark.parametrize("speakers", [{"k": "", "l": ""}, {"ann/0": "ann", "bob/0": "bob", "k": ""}])
def test_a_clip_without_a_speaker_has_no_other_one(speakers: dict[str, str], tmp_path: Path) -> None:
    """It may be anybody's, the other clip's speaker too."""
    words = (
        rf"{sum(not name for name in speakers.values())} of {len(speakers)} clips .* have no speaker, .* 'k'"
    )
    with pytest.raises(InputError, match=words):
        mismatched_clips(speakers)
    write_mismatch(tmp_path / "list.csv", {"k": "ann/0", "ann/0": "k", "bob/0": "k", "l": "k"})
    with pytest.raises(InputError, match=words):
        read_mismatch(tmp_path / "list.csv", speakers)
