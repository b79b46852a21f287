"""The three files: schema, nan, reasons, marks."""

import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from s2v.evaluation.clip_rows import CALIBRATION, ClipRow
from s2v.evaluation.report import Report, _four_digits
from s2v.evaluation.summary import CLIP_METRICS, METRICS, summarise
from tests.conftest import fill_disk

OURS = "speech2video"


def judge(taught: bool | None) -> dict[str, Any]:
    return {
        "file": "judge.ckpt",
        "sha256": "ab" * 32,
        "origin": "trained here",
        "teacher_used_as_judge": taught,
    }


@pytest.fixture
def report() -> Report:
    rows = []
    for number, speaker in enumerate(("ann", "ben")):
        for system in (OURS, *CALIBRATION):
            values = {metric: 0.25 + number / 2 for metric in CLIP_METRICS}
            rows.append(ClipRow(f"clip,{number}", speaker, system, values, "anger", "anger", "label"))
    rows[0].values = {"ssim": 0.5, "motion": float("nan")}
    rows[0].reasons = ["no sound", "too dark"]
    rows[0].emotion_true = rows[0].emotion_predicted = rows[0].emotion_reference = ""
    meta = {
        "dataset": "CremaD",
        "split": "test of seen",
        "clips": 2,
        "speakers": 2,
        "clip_list_sha256": "c0ffee" * 10,
        "checkpoint": {"file": "last.ckpt", "sha256": "d" * 64},
        "judges": {"identity": judge(True), "emotion": judge(False), "sync": judge(None), "other": None},
        "image_size": "64 x 64",
        "fps": 25,
    }
    return Report(rows, summarise(rows, resamples=100), meta)


def test_json_schema(report: Report, tmp_path: Path) -> None:
    paths = report.write(tmp_path / "deep" / "folder")
    assert [path.name for path in paths] == ["report.json", "report.csv", "report.md", "report.html"]

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    content = json.loads(paths[0].read_text(), parse_constant=refuse)
    assert list(content) == ["systems", "meta", "clips"]
    assert list(content["systems"]) == [OURS, *CALIBRATION]
    truth = content["systems"]["ground_truth"]
    assert set(truth) == {*METRICS, "scored", "total"} - {"speaker_spread", "fid"}  # rows hold no pictures
    assert truth["ssim"] == {"mean": 0.5, "low": 0.25, "high": 0.75, "by_speaker": 0.5, "n": 2}
    assert (truth["scored"], truth["total"]) == (2, 2)
    ours = content["systems"][OURS]
    assert (ours["scored"], ours["total"]) == (1, 2)
    assert ours["ssim"]["n"] == 2
    assert ours["psnr"] == {"mean": 0.75, "low": None, "high": None, "by_speaker": 0.75, "n": 1}
    assert content["meta"]["dataset"] == "CremaD"
    assert "ssim" in content["meta"]["definitions"]
    assert len(content["clips"]) == 16
    assert content["clips"][0]["motion"] is None and content["clips"][0]["psnr"] is None
    assert list((tmp_path / "deep" / "folder").glob(".*")) == []


def test_csv_has_a_row_a_clip_and_system(report: Report, tmp_path: Path) -> None:
    report.write(tmp_path)
    with open(tmp_path / "report.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16
    assert {*CLIP_METRICS, "clip_id", "speaker", "system", "reason", "emotion_reference"} <= set(rows[0])
    failed = rows[0]
    assert (failed["clip_id"], failed["scored"], failed["reason"]) == (
        "clip,0",
        "False",
        "no sound; too dark",
    )
    assert (failed["ssim"], failed["psnr"], failed["motion"]) == ("0.5", "", "")
    assert (rows[1]["scored"], rows[1]["reason"], rows[1]["psnr"]) == ("True", "", "0.25")


def test_markdown_marks_calibration_and_teachers(report: Report) -> None:
    text = report.as_markdown()
    lines = text.splitlines()
    header = next(line for line in lines if line.startswith("| metric"))
    assert header.count("(calibration)") == 7 and f"**{OURS}**" in header
    table = [line for line in lines if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1
    assert any(
        line.startswith("| ssim | higher | 0.625 [0.500, 0.750] | 0.500 [0.250, 0.750] |") for line in table
    )
    assert any(line.startswith("| sync_distance | lower |") for line in table)
    assert any(line.startswith("| scored |  | 1/2 | 2/2 |") for line in table)
    by_judge = {line.split()[1]: line for line in lines if " judge: " in line}
    assert "TEACHER USED AS JUDGE" in by_judge["identity"]
    assert "TEACHER" not in by_judge["emotion"] and "trained here" in by_judge["emotion"]
    assert "not known" in by_judge["sync"]
    assert "left out" in by_judge["other"]
    assert "* clip,0, speech2video: no sound; too dark" in lines


@pytest.mark.parametrize("padding", [None, "zeros", "none"])
def test_the_report_says_how_lips_were_compared(report: Report, padding: str | None, tmp_path: Path) -> None:
    """Without a word on it: a report from before there was one."""
    report.meta["judges"]["sync"] |= {} if padding is None else {"padding": padding}
    said = (
        "without padding: this judge's embeddings have length 1, and a zero would lie nearer than any "
        "unrelated speech"
    )
    report.write(tmp_path)
    definition = json.loads((tmp_path / "report.json").read_text())["meta"]["definitions"]["sync"]
    assert (said in definition) == (padding == "none") != ("zero padding" in definition)
    assert "vshift 15" in definition
    assert report.as_markdown().count(said) == (padding == "none")
    (note,) = [note for note in report.notes() if said in note] or [""]
    assert note.startswith("sync judge: " if padding == "none" else "")


def test_without_intervals_the_report_says_so(report: Report) -> None:
    assert "Mean over clips with 95 % bootstrap interval" in report.as_markdown()
    alone = Report(report.rows, summarise(report.rows, resamples=0), report.meta)
    for text in (alone.as_markdown(), alone.as_html()):
        assert "Mean over clips, without intervals" in text and "bootstrap interval" not in text


def test_a_full_disk_leaves_the_older_report_as_it_was(report: Report, small_disk: Path) -> None:
    folder = small_disk / "score"
    before = {path: path.read_bytes() for path in report.write(folder)}
    report.meta["dataset"] = "Another"
    fill_disk(small_disk, sum(map(len, before.values())) - len(report.as_html()) // 2)
    with pytest.raises(OSError):
        report.write(folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_rows_that_say_the_same_fill_no_page(report: Report) -> None:
    for row in report.rows:
        row.reasons = ["no sound"]
    report.rows *= 20
    listed = [line for line in report.as_markdown().splitlines() if line.endswith("no sound")]
    assert len(listed) == 50
    assert "## Not measured (320 rows)" in report.as_markdown()


def test_a_number_that_rests_on_fewer_clips_says_so(report: Report) -> None:
    lines = report.as_markdown().splitlines()
    assert any(line.startswith("| psnr | higher | 0.750 (1 of 2) | 0.500 [0.250, 0.750] |") for line in lines)
    cells = "<td>0.750<small>(1 of 2)</small></td><td>0.500<small>[0.250, 0.750]</small></td>"
    assert f"<td>psnr<small>higher</small></td>{cells}" in report.as_html()
    estimate = report.systems[OURS]["ssim"]
    report.systems[OURS].total = 3
    assert "| ssim | higher | 0.625 [0.500, 0.750] (2 of 3) |" in report.as_markdown()
    report.systems[OURS]["ssim"] = replace(estimate, n=3)
    assert "| ssim | higher | 0.625 [0.500, 0.750] |" in report.as_markdown()


def test_the_terminal_marks_what_rests_on_fewer_clips(report: Report) -> None:
    def shown(report: Report) -> list[str]:
        console = Console(width=80, file=io.StringIO())
        console.print(report.rich_table())
        return console.file.getvalue().splitlines()  # type: ignore[attr-defined]

    rows = {words[0]: words[1:] for words in map(str.split, shown(report)) if words}
    assert rows["ssim"][1] == "0.625" and rows["psnr"][1:3] == ["0.750*", "0.500"]
    assert [line.strip() for line in shown(report)[-2:-1]] == [
        "*: not on all clips, the report says on how many"
    ]
    whole = [row for row in report.rows if row.clip_id != report.rows[0].clip_id]
    assert "*" not in "".join(shown(Report(whole, summarise(whole, resamples=100), report.meta)))


@pytest.mark.parametrize("width", [80, 120])
def test_terminal_table_has_what_is_read_first_a_column_a_system(report: Report, width: int) -> None:
    table = report.rich_table()
    assert len(table.columns) == 1 + 1 + len(CALIBRATION)
    console = Console(width=width, file=io.StringIO())
    console.print(table)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    cells = {words[0]: words[1:] for words in map(str.split, lines) if words}
    assert cells["ssim"] == ["↑", "0.625", *["0.500"] * 7]
    assert cells["sync_distance"][0] == "↓" and cells["motion"][0] == "→1"
    assert cells["scored"] == ["of", "2", "1", *["2"] * 7]
    assert "ssim_mouth" not in cells and "psnr_clip_128x96" not in cells
    header = " ".join(lines[: lines.index(next(line for line in lines if "─" in line))])
    assert {"shifted", "swapped", "speaker", "image"} <= set(header.split())  # no word is broken
    left_out = len(report.table()) - table.row_count
    assert f"{left_out} more metrics" in lines[-1] and left_out > 15
    assert len(lines) < 24


@pytest.mark.parametrize(
    ("mean", "shown"), [("100.000", "100.0"), ("31.416", "31.42"), ("-9.8765", "-9.877"), ("-", "-")]
)
def test_four_digits(mean: str, shown: str) -> None:
    assert _four_digits(mean) == shown


def test_page_shows_what_is_read_first_and_hides_the_rest(report: Report) -> None:
    page = report.as_html()
    first, _, folded = page.partition("<details>")
    folded = folded.partition("</details>")[0]
    assert "<td>ssim<small>higher</small></td><td>0.625<small>[0.500, 0.750]</small></td>" in first
    assert "ssim_<wbr>mouth" not in first and "ssim_<wbr>mouth" in folded
    assert "another_<wbr>clip<small>(calibration)</small>" in first
    assert folded.count("<tr>") == 1 + len(report.table())
    assert "<h2>Not measured (1 row)</h2>" in page


def test_the_browser_itself_refuses_requests(report: Report) -> None:
    page = report.as_html(sheet=b"png")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None and policy[1].startswith("default-src 'none'")
    addresses = re.findall(r"""(?:src|href|action|data|srcset|poster)\s*=\s*["']?([^"'\s>]*)""", page)
    assert addresses == ["data:image/png;base64,cG5n"]
    assert not re.search(r"https?:|//|@import|url\(|<script|<link|<iframe|<object|<base", page)


EVIL = "=1+1</td><script>alert(1)</script><img src=x onerror=alert(2)>|`x`[l](javascript:alert(3))"


class Tags(HTMLParser):
    """The tags and attributes that a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen |= {tag, *(f"{tag} {name}" for name, _ in attrs)}


def test_names_and_labels_of_strangers_stay_text(report: Report, tmp_path: Path) -> None:
    harmless = Tags(report.as_html()).seen
    for row in report.rows:
        row.clip_id = row.speaker = row.emotion_true = row.emotion_predicted = EVIL
    report.rows[0].reasons = [EVIL]
    report.meta |= {"dataset": EVIL, "split": EVIL, "checkpoint": {"file": EVIL, "sha256": "d" * 64}}
    assert Tags(report.as_html()).seen == harmless
    assert "javascript" not in str(harmless)
    report.write(tmp_path)
    with open(tmp_path / "report.csv", newline="") as file:
        cells = [cell for record in csv.reader(file) for cell in record]
    assert f"'{EVIL}" in cells and not [cell for cell in cells if cell.startswith("=")]
    markdown = report.as_markdown()
    assert "<script" not in markdown and "<img" not in markdown and "[l](javascript" not in markdown
