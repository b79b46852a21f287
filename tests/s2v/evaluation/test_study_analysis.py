"""`s2v study analyze` on results written by hand, against numbers worked out by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from s2v.cli import main
from s2v.evaluation.study_analysis import analyze
from s2v.evaluation.study_key import read_study_key
from s2v.evaluation.study_report import Section
from s2v.evaluation.study_results import ExclusionRules, collect
from s2v.evaluation.study_statistics import wilson_interval
from tests.s2v.evaluation.study_files import KEY, result, write_key, write_result


def write_three(folder: Path) -> list[Path]:
    """Three people: real chosen 5 times of 6; `ours` graded 2, 3, 4; anger named right 3 of 3, sadness 1 of 3."""
    return [
        write_result(folder, "a.json", result("ann")),
        write_result(folder, "b.json", result("ben", rate1=3, name2="sadness")),
        write_result(folder, "c.json", result("cem", rate1=4, real1="o1.mp4")),
    ]


def numbers(folder: Path, paths: list[Path]) -> dict[str, Any]:
    key = read_study_key(write_key(folder))
    return analyze(key, collect(paths, key, ExclusionRules()).kept, resamples=200)


def test_numbers_by_hand(tmp_path: Path) -> None:
    found = numbers(tmp_path, write_three(tmp_path))
    realism = found["choices"]["realism"]
    (pair,) = realism["pairs"]
    assert (pair["first"], pair["second"]) == ("ours", "real")
    assert (pair["first_chosen"], pair["choices"], pair["share"]) == (1, 6, pytest.approx(1 / 6))
    assert (pair["low"], pair["high"]) == wilson_interval(1, 6)
    # Half a win more for both: 1.5 to 5.5 wins are strengths of 1.5 / 7 and 5.5 / 7.
    ours, real = realism["strengths"]
    assert (ours["strength"], real["strength"]) == pytest.approx((1.5 / 7, 5.5 / 7))
    # The bootstrap draws cem 0 to 3 times: `ours` has 0 to 3 of 6 wins, so 0.5 / 7 to 3.5 / 7.
    assert ours["low"] == pytest.approx(0.5 / 7, abs=1e-4)
    assert 1.5 / 7 <= ours["high"] <= 3.5 / 7 + 1e-4
    # Items: (1 ours, 2 real) and (3 real, 0 ours), as (first, second) planned: rows (1, 2) and (3, 0).
    # Agreement in each 1/3 and 1, mean 2/3; shares 4/6 and 2/6, chance 20/36.
    assert realism["agreement"] == pytest.approx((2 / 3 - 20 / 36) / (16 / 36))
    # Nothing was asked about sync but the check.
    sync = found["choices"]["sync"]
    assert sync["pairs"][0]["choices"] == 0 and sync["pairs"][0]["share"] is None
    assert sync["strengths"] is None and sync["agreement"] is None

    ours, real = found["ratings"]["systems"]
    assert (ours["mean"], ours["counts"]) == (3, [0, 1, 1, 1, 0])
    assert 2 <= ours["low"] <= 3 <= ours["high"] <= 4
    assert (real["mean"], real["low"], real["high"], real["counts"]) == (5, 5, 5, [0, 0, 0, 0, 3])

    ours, real = found["naming"]["systems"]
    assert ours["confusion"] == {
        "anger": {"anger": 3, "sadness": 0},
        "sadness": {"anger": 2, "sadness": 1},
    }
    assert (ours["right"], ours["named"], ours["share"]) == (4, 6, pytest.approx(4 / 6))
    assert (real["named"], real["share"]) == (0, None)
    # Rows (3, 0) and (2, 1): agreement mean 2/3, chance 26/36.
    assert found["naming"]["agreement"] == pytest.approx((2 / 3 - 26 / 36) / (10 / 36))


def test_intervals_are_of_people_and_wider_for_few(tmp_path: Path) -> None:
    """Whoever answers much is still one of three or four; as many answers of strangers would tell far more."""
    content = json.loads(json.dumps(KEY))
    more = [{**content["items"][2], "id": f"rate1{number}"} for number in range(8)]
    content["items"] += more
    (tmp_path / "key.json").write_text(json.dumps(content))
    key = read_study_key(tmp_path / "key.json")
    people = []
    for name, grade, chosen in (
        ("ann", 1, "o1.mp4"),
        ("ben", 3, "r1.mp4"),
        ("cem", 5, "r1.mp4"),
        ("dee", 3, "r1.mp4"),
    ):
        answers: dict[str, Any] = {"rate1": grade, "real1": chosen, **{item["id"]: grade for item in more}}
        people.append(write_result(tmp_path, f"{name}.json", result(name, **answers)))
    found = analyze(key, collect(people, key, ExclusionRules()).kept, resamples=1000)
    ours, _ = found["ratings"]["systems"]
    assert (ours["mean"], ours["counts"]) == (3, [9, 0, 18, 0, 9])
    assert ours["low"] == pytest.approx(1, abs=0.1) and ours["high"] == pytest.approx(5, abs=0.1)
    # ann, the one of four with a win for `ours`, is drawn four times in one resample of 256: 4 of 8 wins, 4.5 / 9.
    ours, _ = found["choices"]["realism"]["strengths"]
    assert ours["high"] == pytest.approx(0.5, abs=0.02)


def test_one_participant_has_no_intervals_and_no_agreement(tmp_path: Path) -> None:
    found = numbers(tmp_path, write_three(tmp_path)[:1])
    ours, real = found["choices"]["realism"]["strengths"]
    assert (ours["strength"], real["strength"]) == pytest.approx(
        (0.5 / 3, 2.5 / 3)
    )  # finite, though real won all
    assert ours["low"] is None and found["choices"]["realism"]["agreement"] is None
    assert found["ratings"]["systems"][0]["low"] is None


def test_the_command_writes_json_and_markdown_and_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    results.mkdir()
    write_three(results)
    (results / "z_[x](javascript:1)|<img src=x>\x1b[31m.json").write_text("{")
    key, output = write_key(tmp_path), tmp_path / "out"
    args = [*map(str, sorted(results.iterdir())), "--key", str(key), "--output", str(output)]
    assert main(["study", "analyze", *args, "--bootstrap", "50"]) == 0
    written = json.loads((output / "study.json").read_text())
    assert written["kept"] == 3 and [one["reason"] for one in written["left_out"]] == ["malformed: not JSON"]
    text = (output / "study.md").read_text()
    assert "| ours over real | 1/6 | 0.167 |" in text
    assert "malformed: not JSON" in text and "below 2 s is left out as too fast" in text
    assert "<img" not in text and "\x1b" not in text and "[x](" not in text
    printed = capsys.readouterr().out
    assert "0.167" in printed and "0.214" in printed and "\x1b" not in printed


def test_when_nobody_counts_the_reasons_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = write_result(tmp_path, "a.json", result("ann", check="x1.mp4"))
    assert main(["study", "analyze", str(bad), "--key", str(write_key(tmp_path))]) == 2
    assert "'a.json': attention: 1 of 1 checks are wrong" in capsys.readouterr().out


def test_a_cell_is_text_in_markdown() -> None:
    section = Section("t", ["a"], [["<script>alert(1)</script>|`x`\n[l](u)"]])
    assert section.markdown().splitlines()[4] == (
        "| &lt;script&gt;alert(1)&lt;/script&gt;\\|\\`x\\`\ufffd\\[l\\](u) |"
    )


def test_the_key_s_names_are_text_in_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "[red]x[/nothing]"
    key = json.loads(json.dumps(KEY).replace('"ours"', json.dumps(evil)))
    (tmp_path / "key.json").write_text(json.dumps(key))
    paths = [str(path) for path in write_three(tmp_path)]
    assert main(["study", "analyze", *paths, "--key", str(tmp_path / "key.json"), "--bootstrap", "0"]) == 0
    assert evil in capsys.readouterr().out
