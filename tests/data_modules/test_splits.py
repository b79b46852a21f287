"""Splits: functions of names alone, disjoint, complete, and as even as the names allow."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from data_modules.clip_manifest import ManifestRow
from data_modules.splits import PARTS, make_split, read_split, split_of, write_split
from s2v.errors import InputError


def corpus(speakers: int, sentences: int, takes: int = 1) -> list[ManifestRow]:
    return [
        ManifestRow(f"{1000 + who}_{what:03d}_{take}", "ok", speaker=str(1000 + who), sentence=f"{what:03d}")
        for who in range(speakers)
        for what in range(sentences)
        for take in range(takes)
    ]


@pytest.mark.parametrize("kind", ["seen", "unseen", "sentences"])
def test_parts_are_disjoint_complete_and_independent_of_order(kind: str) -> None:
    rows = corpus(20, 12, 2)
    split = make_split(rows, kind)
    names = [name for part in PARTS for name in split[part]]
    assert sorted(names) == sorted(row.clip_id for row in rows)
    assert len(names) == len(set(names))
    random.Random(0).shuffle(rows)
    assert make_split(rows, kind) == split
    assert len(split["train"]) / len(names) == pytest.approx(0.7, abs=0.05)
    assert len(split["test"]) == len(split["val"])


@pytest.mark.parametrize("clips", [3, 5, 20])
def test_seen_has_every_speaker_in_every_part(clips: int) -> None:
    rows = corpus(7, clips)
    speaker = {row.clip_id: row.speaker for row in rows}
    split = make_split(rows, "seen")
    for part in PARTS:
        assert len({speaker[name] for name in split[part]}) == 7


def test_copies_of_a_file_lie_in_one_part() -> None:
    """Under other names, and in another speaker's folder: no test clip was trained on."""
    rows = [replace(row, sha256=f"bytes of {row.clip_id}") for row in corpus(3, 20)]
    copies = [replace(row, clip_id=f"{row.clip_id}_copy") for row in rows]
    strays = [replace(row, clip_id=f"{row.clip_id}_stray", speaker="1099") for row in rows[:5]]
    split = make_split([*strays, *copies, *rows], "seen")
    content = {row.clip_id: row.sha256 for row in (*rows, *copies, *strays)}
    assert sorted(name for part in PARTS for name in split[part]) == sorted(content)
    parts = [{content[name] for name in split[part]} for part in PARTS]
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    alone = make_split(rows, "seen")
    assert all(set(alone[part]) <= set(split[part]) for part in PARTS)


LABELS = {"unseen": "speaker", "sentences": "sentence", "official": "speaker"}


def hashed(rows: list[ManifestRow]) -> list[ManifestRow]:
    """No two of one file; every fourth speaker is one of the authors' test."""
    return [
        replace(
            row,
            sha256=f"bytes of {row.clip_id}",
            official_split="dev" if int(row.speaker) % 4 else "test",
        )
        for row in rows
    ]


@pytest.mark.parametrize(
    ("kind", "val", "test"),
    [
        ("unseen", {"1000"}, {"1007"}),
        ("sentences", {"005"}, {"000"}),
        ("official", {"1007"}, {"1000", "1004"}),
    ],
)
def test_without_copies_lists_stay_what_they_are(kind: str, val: set[str], test: set[str]) -> None:
    """As made before copies were looked for: published lists, and what was trained by them."""
    rows = hashed(corpus(8, 7))
    label = {row.clip_id: getattr(row, LABELS[kind]) for row in rows}
    split = make_split(rows, kind)
    assert sorted(name for part in PARTS for name in split[part]) == sorted(label)
    parts = {part: {label[name] for name in split[part]} for part in PARTS}
    assert parts == {"train": set(label.values()) - val - test, "val": val, "test": test}
    assert make_split([replace(row, sha256="") for row in rows], kind) == split


@pytest.mark.parametrize("kind", ["unseen", "sentences"])
def test_speakers_and_sentences_that_share_a_file_stay_together(kind: str) -> None:
    """By way of others too: of a chain of three each but the first has a copy of the one before."""
    rows, field = hashed(corpus(8, 7)), LABELS[kind]
    first, second, third = {
        "unseen": ("1007", "1003", "1000"),  # of test, train and val, were there no copies
        "sentences": ("000", "002", "005"),
    }[kind]
    by_label = {value: [row for row in rows if getattr(row, field) == value] for value in (first, second)}
    copies = [
        replace(by_label[first][1], clip_id="copy 1", **{field: second}),
        replace(by_label[second][2], clip_id="copy 2", **{field: third}),
    ]
    split = make_split([*rows, *copies], kind)
    part_of = {name: part for part in PARTS for name in split[part]}
    assert sorted(part_of) == sorted(row.clip_id for row in (*rows, *copies))
    assert (
        len(
            {
                part_of[row.clip_id]
                for row in (*rows, *copies)
                if getattr(row, field) in (first, second, third)
            }
        )
        == 1
    )
    assert all(split.values())
    assert make_split([*reversed(copies), *reversed(rows)], kind) == split


def test_official_trains_on_no_copy_of_a_test_clip() -> None:
    """And validates by none of a training clip: speakers of dev that share a file are held out together, or not."""
    rows = hashed(corpus(8, 7))
    of = {name: [row for row in rows if row.speaker == name] for name in ("1000", "1003", "1007")}
    tested = replace(of["1000"][0], clip_id="of test", speaker="1003", official_split="dev")
    split = make_split([tested, *rows], "official")
    assert split == make_split(rows, "official")  # the authors' test is complete, the copy left out
    shared = replace(of["1007"][0], clip_id="of val", speaker="1003")
    split = make_split([shared, *rows], "official")
    part_of = {name: part for part in PARTS for name in split[part]}
    assert len(part_of) == len(rows) + 1
    assert len({part_of[name] for name in ("of val", *(row.clip_id for row in of["1003"] + of["1007"]))}) == 1
    assert split["val"] and split["train"]


def test_seen_is_stable_when_other_speakers_come() -> None:
    few, many = make_split(corpus(3, 10), "seen"), make_split(corpus(9, 10), "seen")
    assert all(set(few[part]) <= set(many[part]) for part in PARTS)


def test_unseen_parts_share_no_speaker_and_sentences_no_sentence() -> None:
    rows = corpus(10, 12)
    for kind, label in (("unseen", "speaker"), ("sentences", "sentence")):
        value = {row.clip_id: getattr(row, label) for row in rows}
        parts = [{value[name] for name in names} for names in make_split(rows, kind).values()]
        assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    speaker = {row.clip_id: row.speaker for row in rows}
    for names in make_split(rows, "sentences").values():
        assert len({speaker[name] for name in names}) == 10


def test_tiny_corpora() -> None:
    assert {part: len(names) for part, names in make_split(corpus(1, 1), "seen").items()} == {
        "train": 1,
        "val": 0,
        "test": 0,
    }
    assert {part: len(names) for part, names in make_split(corpus(1, 2), "seen").items()} == {
        "train": 1,
        "val": 0,
        "test": 1,
    }


def test_official_follows_the_folders() -> None:
    rows = [
        ManifestRow(
            f"id{k:03d}/v/{n}", "ok", speaker=f"id{k:03d}", official_split="test" if k >= 40 else "dev"
        )
        for k in range(50)
        for n in range(3)
    ]
    split = make_split(rows, "official")
    assert split["test"] == [row.clip_id for row in rows if row.official_split == "test"]
    train, val = ({name.split("/")[0] for name in split[part]} for part in ("train", "val"))
    assert (len(train), len(val)) == (38, 2)
    assert not train & val
    with pytest.raises(InputError, match=r"dev/ or test/.*below dev/ and its test set's mp4/ below test/"):
        make_split(corpus(2, 2), "official")


def test_refused_clips_are_in_no_part() -> None:
    split = make_split([*corpus(1, 5), ManifestRow("bad", "refused", "silent")], "seen")
    assert all("bad" not in names for names in split.values())


def test_missing_labels_and_unknown_kinds() -> None:
    with pytest.raises(InputError, match="needs a sentence"):
        make_split([ManifestRow("a", "ok", speaker="x")], "sentences")
    with pytest.raises(InputError, match="unknown split 'random'"):
        make_split(corpus(2, 2), "random")


def test_lists_are_written_and_read(tmp_path: Path) -> None:
    rows = [
        *corpus(2, 8),
        *(ManifestRow(name, "ok", speaker="odd") for name in ("a b", "ü\n漢", "back\\slash")),
    ]
    split = make_split(rows, "seen")
    write_split(tmp_path, split)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["test.txt", "train.txt", "val.txt"]
    assert read_split(tmp_path, rows) == split
    before = (tmp_path / "train.txt").stat().st_mtime_ns
    write_split(tmp_path, split)
    assert (tmp_path / "train.txt").stat().st_mtime_ns == before


def test_clips_that_change_parts_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    write_split(tmp_path, {"train": ["a", "b", "ü", "gone"], "val": ["c"], "test": ["d"]})
    write_split(tmp_path, {"train": ["a", "b", "ü", "new"], "val": ["c"], "test": ["d"]})
    assert not caplog.messages
    write_split(tmp_path, {"train": ["a", "c"], "val": ["b", "ü"], "test": ["d", "another"]})
    (said,) = caplog.messages
    assert "since clips came or went: 2 went from train to val, 1 went from val to train; for runs" in said


def test_a_folder_called_like_a_kind_does_not_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = corpus(2, 3)
    own = {"train": [rows[0].clip_id], "val": [], "test": []}
    write_split(tmp_path / "seen", own)
    assert split_of(rows, "seen") == make_split(rows, "seen") != own
    assert split_of(rows, "./seen") == split_of(rows, str(tmp_path / "seen")) == own


def test_a_list_that_leaks_is_refused(tmp_path: Path) -> None:
    rows = corpus(1, 3)
    write_split(tmp_path, {"train": [rows[0].clip_id], "val": [rows[1].clip_id], "test": [rows[0].clip_id]})
    with pytest.raises(InputError, match="already in"):
        read_split(tmp_path, rows)
    (tmp_path / "val.txt").unlink()
    with pytest.raises(InputError, match=r"no list .*val\.txt"):
        read_split(tmp_path, rows)


def test_lists_of_other_editors(tmp_path: Path) -> None:
    """A byte-order mark is no part of the first name; what is not UTF-8 is one line."""
    rows = corpus(1, 3)
    split = {part: [row.clip_id] for part, row in zip(("train", "val", "test"), rows, strict=True)}
    write_split(tmp_path, split)
    for path in tmp_path.glob("*.txt"):
        path.write_text(path.read_text(), encoding="utf-8-sig", newline="\r\n")
    assert read_split(tmp_path, rows) == split
    for content in ("M\u00fcller\n".encode("latin-1"), b"a\\N\n"):
        (tmp_path / "val.txt").write_bytes(content)
        with pytest.raises(InputError, match=r"val\.txt can't be read .* in UTF-8 was expected"):
            read_split(tmp_path, rows)


def test_spaces_round_a_name_are_no_part_of_it_unless_the_clip_is_called_so(tmp_path: Path) -> None:
    rows = [ManifestRow(name, "ok") for name in ("plain", "ends ", " begins", "b", "b ", " ")]
    (tmp_path / "train.txt").write_text("plain  \n\t\n   \nends \n begins\n")
    (tmp_path / "val.txt").write_text("b\n \n")
    (tmp_path / "test.txt").write_text("b \n")
    split = {"train": [" begins", "ends ", "plain"], "val": [" ", "b"], "test": ["b "]}
    assert read_split(tmp_path, rows) == split
    write_split(tmp_path, split)
    assert read_split(tmp_path, rows) == split
    (tmp_path / "val.txt").write_text("plain\t\n")
    with pytest.raises(InputError, match=r"val\.txt repeats clip 'plain'"):
        read_split(tmp_path, rows)


def test_names_of_no_clip_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One line for a list; a refused clip is known, and no misspelling."""
    rows = [*corpus(1, 3), ManifestRow("bad", "refused", "silent")]
    first, second, third = (row.clip_id for row in rows[:3])
    strangers = ["1", "2 ", "3", "4"]
    (tmp_path / "train.txt").write_text("\n".join([first, "bad", *strangers]))
    (tmp_path / "val.txt").write_text(f"{second}\n")
    (tmp_path / "test.txt").write_text(f"{third}\n")
    with caplog.at_level("INFO"):
        split = read_split(tmp_path, rows)
    assert split == {"train": [first], "val": [second], "test": [third]}
    (line,) = caplog.messages
    path = tmp_path / "train.txt"
    assert line.startswith(f"{path} names 4 clips of 6 that the manifest does not have: '1', '2', '3', ...;")
    assert "\n" not in line
    (tmp_path / "train.txt").write_text(f"{first}\nbad\n")
    assert read_split(tmp_path, rows)["train"] == [first]
    assert caplog.messages == [line]


def test_a_list_of_other_names_altogether_is_refused(tmp_path: Path) -> None:
    """Files' names for clips', say; an empty list is an empty part."""
    rows = corpus(1, 3)
    for part, text in (("train", rows[0].clip_id), ("val", ""), ("test", f"{rows[1].clip_id}.mp4\n")):
        (tmp_path / f"{part}.txt").write_text(text)
    with pytest.raises(
        InputError, match=r"test\.txt names 1 clips of 1 .*: '1000_001_0\.mp4'; .*clip_id"
    ) as told:
        read_split(tmp_path, rows)
    assert "\n" not in str(told.value)
    (tmp_path / "test.txt").write_text("")
    assert read_split(tmp_path, rows) == {"train": [rows[0].clip_id], "val": [], "test": []}
