"""clips.csv: what it says counts, of clips whose names say nothing; a damaged one is one line."""

from pathlib import Path

import pytest

from data_modules.clip_labels import read_clip_labels, write_clip_labels
from data_modules.clip_manifest import ManifestRow
from s2v.errors import InputError
from s2v.evaluation.video_pairs import find_pairs


def test_labels_come_back(tmp_path: Path) -> None:
    """Of names that a spreadsheet would take for a formula, too; and with what it does not say."""
    rows = [
        ManifestRow("20240611_anna_calm", "ok", speaker="anna", emotion="calm", gender="female"),
        ManifestRow("=1+1/a,b", "ok", speaker="=1+1", sentence="DFA"),
    ]
    write_clip_labels(tmp_path, rows)
    assert "\n'=1+1/a,b" not in (tmp_path / "clips.csv").read_text()
    assert '"\'=1+1/a,b"' in (tmp_path / "clips.csv").read_text()
    assert read_clip_labels(tmp_path) == {
        "20240611_anna_calm": {"speaker": "anna", "emotion": "calm", "sentence": "", "gender": "female"},
        "=1+1/a,b": {"speaker": "=1+1", "emotion": "", "sentence": "DFA", "gender": ""},
    }


def test_the_table_counts_and_names_say_the_rest(tmp_path: Path) -> None:
    real, generated = tmp_path / "real", tmp_path / "generated"
    for path in (real / "1001_DFA_ANG_XX.mp4", real / "x/clip.mp4", generated / "1002_ITH_SAD_XX.mp4"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    # a spreadsheet's byte-order mark, another column, an empty line
    (real / "clips.csv").write_bytes(
        b"\xef\xbb\xbfclip_id,take, speaker,gender,emotion\r\n"
        b"1001_DFA_ANG_XX,1,anna,F,\r\n\r\nx/clip,2,ben,,calm\r\ny/gone,3,cem,male,calm\r\n"
    )
    said = {
        pair.clip_id: (pair.speaker, pair.emotion, pair.sentence, pair.gender)
        for pair in find_pairs(real, generated)
    }
    assert said == {
        "1001_DFA_ANG_XX": ("anna", "", "DFA", "female"),
        "x/clip": ("ben", "calm", "", ""),
        "1002_ITH_SAD_XX": ("1002", "sadness", "ITH", ""),  # no real video, and no row
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "clip_id and some of speaker, emotion, sentence, gender were expected"),
        ("clip_id\na\n", "clip_id and some of"),
        ("clip,speaker\na,ann\n", "clip_id and some of"),
        ("clip_id,speaker,speaker\na,ann,ann\n", "each once"),
        ("clip_id,speaker\na\n", "row 2: 2 cells were expected, 1 came"),
        ("clip_id,speaker\na,Lee, Ann\n", "row 2: 2 cells were expected, 3 came"),
        ("clip_id,speaker\na,ann\n,ben\n", "row 3: a clip_id was expected"),
        ("clip_id,speaker\na,ann\na,ben\n", "row 3: clip 'a' has a row already"),
        ("clip_id,gender\na,x\n", "row 2: male, female or nothing was expected, 'x' came"),
        ("clip_id,speaker,gender\na,ann,f\nb,ann,m\n", "row 3: speaker 'ann' has two genders"),
        pytest.param(f"clip_id\n{'n' * 200_000}", "can't be read: field larger than", id="a long cell"),
        ("clip_id,speaker\na.mp4,ann\n", "has no row for 1 of 1 videos, such as a: clip_id is the path"),
    ],
)
def test_a_damaged_table_is_one_line(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "clips.csv").write_text(content)
    with pytest.raises(InputError, match=words) as caught:
        find_pairs(tmp_path, tmp_path)
    assert str(tmp_path / "clips.csv") in str(caught.value) and "\n" not in str(caught.value)
