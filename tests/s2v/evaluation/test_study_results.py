"""Results from strangers: every malformed one is named with its reason, every rule does what it says."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from s2v.errors import InputError
from s2v.evaluation.study_key import StudyKey, read_study_key
from s2v.evaluation.study_results import ExclusionRules, MalformedResult, collect, read_result
from tests.s2v.evaluation.study_files import KEY, result, write_key, write_result


@pytest.fixture
def key(tmp_path: Path) -> StudyKey:
    return read_study_key(write_key(tmp_path))


def test_a_result_is_read(key: StudyKey, tmp_path: Path) -> None:
    person = read_result(write_result(tmp_path, "a.json", result("ann")), key)
    assert (person.name, person.answers["rate2"], person.seconds["real1"]) == ("ann", 5, 5.0)


def answer(**entry: Any) -> dict[str, Any]:
    return {**result("ann"), "answers": [{"item": "rate1", "answer": 3, "ms": 5, **entry}]}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b"9" * 5000, "not JSON"),
        (b"cos\nsystem\n(S'touch /tmp/pwned'\ntR.", "not JSON"),
        (b'"' + b"x" * (1 << 20), "larger than"),
        ([], "not of the format"),
        ({**result("ann"), "format": 3}, "not of the format"),
        ({**result("ann"), "study": "s2"}, "another study"),
        (result("<script>alert(1)</script>"), "participant's name"),
        (result("../../etc/passwd"), "participant's name"),
        (result("x" * 65), "participant's name"),
        (result("ann\n"), "participant's name"),
        ({**result("ann"), "participant": None}, "participant's name"),
        ({**result("ann"), "answers": {}}, "no list of answers"),
        ({**result("ann"), "answers": [None]}, "answer 1 is to no item"),
        (answer(item="nothing"), "answer 1 is to no item"),
        (answer(item=[]), "answer 1 is to no item"),
        ({**result("ann"), "answers": result("ann")["answers"] * 2}, "answer 8 is to an item answered"),
        (answer(answer=6), "none of those offered"),
        (answer(answer=True), "none of those offered"),
        (answer(answer=3.0), "none of those offered"),
        (answer(answer="3"), "none of those offered"),
        (answer(item="real1", answer="o2.mp4"), "none of those offered"),
        (answer(item="real1", answer=["r1.mp4"]), "none of those offered"),
        (answer(item="name1", answer="joy"), "none of those offered"),
        (answer(ms=-1), "no time"),
        (answer(ms=float("nan")), "no time"),
        (answer(ms=10**12), "no time"),
    ],
)
def test_a_malformed_result_is_left_out_with_its_reason(
    content: Any, reason: str, key: StudyKey, tmp_path: Path
) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(MalformedResult, match=reason) as error:
        read_result(path, key)
    assert "script" not in str(error.value)  # the reason repeats nothing of the stranger's text
    good = write_result(tmp_path, "good.json", result("ben"))
    collected = collect([path, good], key, ExclusionRules())
    assert [person.name for person in collected.kept] == ["ben"]
    assert collected.left_out == [("bad.json", f"malformed: {error.value}")]


def test_what_is_no_file_is_malformed(key: StudyKey, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")  # reading it would wait for ever
    collected = collect([tmp_path / "none.json", tmp_path / "pipe.json"], key, ExclusionRules())
    assert {reason for _, reason in collected.left_out} == {"malformed: no such file"}
    folder = collect([tmp_path], key, ExclusionRules())
    assert folder.left_out == [(tmp_path.name, "malformed: a folder: give the files in it, as FOLDER/*.json")]


def test_rules(key: StudyKey, tmp_path: Path) -> None:
    paths = [
        write_result(tmp_path, "a.json", result("ann")),
        write_result(tmp_path, "b.json", result("ben", check="x1.mp4")),
        write_result(tmp_path, "c.json", result("cem", ms=1900)),
        write_result(tmp_path, "d.json", result("dee", rate1=None, rate2=None)),
        write_result(tmp_path, "e.json", result("ann", rate1=1)),
    ]
    collected = collect(paths, key, ExclusionRules())
    assert [person.file for person in collected.kept] == ["a.json"]
    assert collected.left_out == [
        ("b.json", "attention: 1 of 1 checks are wrong, at most 0 may be"),
        ("c.json", "too fast: median 1.9 s an item, expected 2 s or more"),
        ("d.json", "incomplete: 2 of 7 items have no answer"),
        ("e.json", "second file of the participant of a.json"),
    ]
    distracted = result("fay", ms=1000)
    distracted["answers"][0]["ms"] = 60_000  # which makes the mean 9.4 s
    (_, reason), *_ = collect([write_result(tmp_path, "f.json", distracted)], key, ExclusionRules()).left_out
    assert reason == "too fast: median 1.0 s an item, expected 2 s or more"
    lenient = collect(paths, key, ExclusionRules(least_seconds=1.9, wrong_checks=1))
    assert [person.name for person in lenient.kept] == ["ann", "ben", "cem"]
    assert any("2 s" in sentence for sentence in ExclusionRules().sentences())


def test_of_two_files_the_first_by_name_counts_in_whatever_folder(key: StudyKey, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    second = write_result(tmp_path / "a", "2.json", result("ann"))
    first = write_result(tmp_path / "b", "1.json", result("ann", rate1=1))
    collected = collect([second, first], key, ExclusionRules())
    assert [person.file for person in collected.kept] == ["1.json"]


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"videos": {}},
        {"items": [{"id": "a", "kind": "choice", "question": "sync", "videos": ["o1.mp4"]}]},
        {"items": [{"id": "a", "kind": "guess", "question": "sync", "videos": ["o1.mp4"]}]},
        {"systems": ["other", "real"]},
        {"emotions": ["joy"]},
        {"systems": None},
    ],
)
def test_what_is_no_key_is_refused_in_one_line(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps({**KEY, **change}))
    with pytest.raises(InputError, match="not a key that s2v study create wrote"):
        read_study_key(path)
    with pytest.raises(InputError, match="No such file"):
        read_study_key(tmp_path / "none.json")
