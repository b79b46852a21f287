"""`s2v report`: one page with everything in it, names that stay text, and a browser that sorts and plays it."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from s2v.cli import main
from s2v.evaluation.summary import CLIP_METRICS, METRICS
from s2v.reporting import report_page as report_page_module
from s2v.reporting.report_page import report_page
from s2v.reporting.run_folder import Run, read_run
from tests.conftest import BuildOnce, fill_disk
from tests.s2v.browser import chromium, thrice
from tests.s2v.reporting.runs import EVIL, report, write_run

VOID = {"meta", "line", "circle", "polyline", "br"}


class Page(HTMLParser):
    """A page's elements, the text of each, and whether every one is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.words.append((self.open[-1], data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def texts(self, tag: str) -> list[str]:
        return [text for name, text in self.words if name == tag]


@pytest.fixture(scope="module")
def folder(build_once: BuildOnce) -> Path:
    """Two runs, one of them with a name that would be markup; a page with all inside, and one with none inside."""

    def fill(folder: Path) -> None:
        runs = [
            write_run(folder / EVIL.replace("/", ""), 0.5, ["hello", EVIL.replace("/", "")]),
            write_run(folder / "plain", 0.25),
        ]
        page, beside = folder / "page.html", folder / "out" / "beside.html"
        assert main(["report", *map(str, runs), "--output", str(page)]) == 0
        assert main(["report", *map(str, runs), "--output", str(beside), "--embed", "0"]) == 0

    return build_once("report_page", fill)


def test_everything_of_the_runs_is_on_it(folder: Path) -> None:
    page = Page((folder / "page.html").read_text("utf-8"))
    assert page.open == []
    assert page.texts("h1") == ["2 runs"]
    assert page.texts("h2") == ["Test", "Videos", "Curves", "Logged once", "Configuration"]
    assert page.texts("h3") == ["Tested on", "hello", EVIL.replace("/", "")]
    assert page.texts("td")[:3] == ["0.500", "3/3", "0.250"] and page.texts("small")[2] == "[0.400, 0.600]"
    assert "ground_truth" in page.texts("th")  # the runs share it: one row, which is grey
    assert [row.get("class") for row in page.all("tr")[1:4]] == [None, None, "calibration"]
    assert len(page.all("polyline")) == 2 and page.texts("figcaption") == ["train/loss "]
    assert page.texts("span").count("(logarithmic)") == 1
    assert "model.init_args.lr" in page.texts("th") and "seed_everything" not in page.texts("th")
    assert "3 videos are inside this page." in page.texts("p")
    assert all(str(video["src"]).startswith("data:video/mp4;base64,") for video in page.all("video"))


def test_names_stay_text_and_nothing_is_asked_of_anyone(folder: Path) -> None:
    text = (folder / "page.html").read_text("utf-8")
    page = Page(text)
    assert len(page.all("script")) == 1 and page.all("img") == [] and page.all("link") == []
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert {name for _, attributes in page.tags for name in attributes if name in ("src", "href")} == {"src"}
    assert (
        "http:" not in text
        and "https:" not in text
        and "//" not in re.sub(r"(?s)<script>.*|base64,[^\"]+", "", text)
    )
    policy = str(next(a["content"] for a in page.all("meta") if "http-equiv" in a))
    script = text.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy and "media-src data:;" in policy and "unsafe" not in policy
    assert f"script-src 'sha256-{digest}'" in policy


def test_videos_beside_the_page_have_names_of_ours(folder: Path) -> None:
    page = Page((folder / "out" / "beside.html").read_text("utf-8"))
    sources = [str(video["src"]) for video in page.all("video")]
    assert sources == [
        f"beside_files/{name}" for name in ("clip1-run1.mp4", "clip1-run2.mp4", "clip2-run1.mp4")
    ]
    assert all((folder / "out" / source).stat().st_size > 1000 for source in sources)
    said = next(text for text in page.texts("p") if "inside this page" in text)
    assert said.startswith("0 videos are inside this page, 3 lie beside it in beside_files")
    assert "media-src data: 'self'" in str(page.all("meta"))


def test_videos_are_embedded_until_the_page_is_full(folder: Path, tmp_path: Path) -> None:
    """Of three videos, a byte less than the first two take: one is inside. Clips that are not shown are counted."""
    runs = [folder / EVIL.replace("/", ""), folder / "plain"]
    sizes = [(run / "videos" / "hello.mp4").stat().st_size for run in runs]
    command = ["report", *map(str, runs), "--output", str(tmp_path / "page.html")]
    assert main([*command, "--embed", str((sum(sizes) - 1) / 1e6), "--clips", "1"]) == 0
    page = Page((tmp_path / "page.html").read_text("utf-8"))
    assert [str(video["src"])[:10] for video in page.all("video")] == ["data:video", "page_files"]
    assert page.texts("p").count("1 more clips have videos: --clips shows them.") == 1


def test_a_full_disk_leaves_no_half_of_a_video(
    folder: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = (folder / "plain" / "videos" / "hello.mp4").stat().st_size
    fill_disk(small_disk, size - 4096)
    output = small_disk / "a.html"
    assert main(["report", str(folder / "plain"), "--output", str(output), "--embed", "0"]) == 2
    assert f"{output} can't be written: " in capsys.readouterr().err
    assert [path.name for path in small_disk.rglob("*") if path.is_file()] == ["filler"]


def test_metrics_of_any_name_are_shown_validation_first() -> None:
    """What watches over a GAN is neither of training nor of validation; own metrics are in the test's table."""
    tested = report(0.5)
    tested["meta"]["own_metrics"] = {"warmth": {"class": "a.B", "better": "up", "definition": "mean of red"}}
    tested["systems"]["speech2video"]["warmth"] = {"mean": 0.625, "low": None, "high": None, "n": 3}
    names = ("gan/balance", "train/loss", "val/ssim")
    run = Run("a", {name: [(0, 1.0), (1, 2.0)] for name in names}, {"lr": "1"}, tested)
    page = Page(
        report_page([run, Run("b", config={"lr": "2"}), Run("c", {"gan/balance": [(0, 1.0)]})], {}, [])
    )
    assert page.texts("figcaption") == ["val/ssim", "train/loss", "gan/balance"]
    assert "0.625" in page.texts("td") and "warmth" in page.texts("button")
    assert "Without a config.yaml: c" in page.texts("p")


def test_what_is_no_comparison_is_said() -> None:
    runs = [Run("a", report=report(0.5)), Run("b", report=report(0.5, "cd" * 32))]
    for number, run in enumerate(runs):
        assert run.report is not None
        run.report["meta"]["judges"] = {
            "identity": {"sha256": str(number), "teacher_used_as_judge": number == 1}
        }
    runs.append(Run("c", report=report(0.5)))  # without a judge
    text = report_page(runs, {}, [])
    assert Page(text).texts("p")[:3] == [
        "The runs were tested on different lists of clips: their numbers don't compare.",
        "The runs had different identity judges: numbers made with them don't compare.",
        "b: the identity judge was the system's own teacher.",
    ]


def run_with_clips(folder: Path, ssims: dict[str, float], **meta: Any) -> Run:
    """A run with a report of these clips' SSIM, and of what judges measured where there are some."""
    content = report(0.5)
    content["meta"] |= meta
    judged = ("sync_confidence", "sync_distance_mp4", "identity_cosine") if "judges" in meta else ()
    content["clips"] = [
        {"clip_id": clip, "speaker": str(place // 2), "system": "speech2video", "ssim": ssim, "motion": 1.0}
        | dict.fromkeys(judged, 1.0)
        for place, (clip, ssim) in enumerate(ssims.items())
    ]
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps(content))
    return read_run(folder.name, folder)


def test_runs_are_compared_on_the_clips_they_share(tmp_path: Path) -> None:
    ssims = {"a": 0.5, "b": 0.7, "c": 0.3, "d": 0.9}
    shown = report_page(
        [
            run_with_clips(tmp_path / "ours", ssims),
            run_with_clips(tmp_path / EVIL.replace("/", ""), {clip: ssims[clip] - 0.125 for clip in "abcd"}),
            run_with_clips(tmp_path / "fewer", {"d": 0.5, "e": 0.5}),
            run_with_clips(tmp_path / "small", ssims, image_size="64 x 64"),
            run_with_clips(tmp_path / "strange", {"f": 0.5}),
        ],
        {},
        [],
    )
    section = shown.partition("<h3>Paired differences</h3>")[2].partition("<h3>")[0]
    page = Page(section)
    assert page.texts("button") == ["metric", f"minus {EVIL.replace('/', '')}", "minus fewer"]
    assert page.texts("td") == ["0.125", "0.400", "0.000", "0.000"]
    small = ["above 0 is better", "[0.125, 0.125]", "1 of 5 clips", "[0.000, 0.000]", "1 of 5 clips"]
    assert page.texts("small") == small
    assert page.texts("th") == ["ssim", "motion"]
    assert page.texts("p")[1:] == [
        "small is left out: pictures of 64 x 64 against a size unknown.",
        "strange is left out: no clip that both have.",
    ]
    one = report_page([run_with_clips(tmp_path / "one", ssims)], {}, [])
    assert "Paired differences" not in one


def test_what_other_judges_measured_is_not_paired(tmp_path: Path) -> None:
    def run(name: str, **sync: str) -> Run:
        judges = {"sync": {"sha256": "aa"} | sync, "identity": {"sha256": "cc"}, "emotion": None}
        return run_with_clips(tmp_path / name, {"a": 0.5, "b": 0.7}, judges=judges)

    def paired(*runs: Run) -> tuple[list[str], list[str]]:
        page = Page(report_page(list(runs), {}, []))
        measured = [text for text in page.texts("th") if text in CLIP_METRICS]
        return measured, [text for text in page.texts("p") if text.startswith("minus ")]

    ours, same = run("ours", padding="zeros"), run("older")  # reports once did not say that they padded
    everything = ["ssim", "motion", "sync_confidence", "identity_cosine", "sync_distance_mp4"]
    assert paired(ours, same) == (everything, [])
    assert "by a newer version" not in report_page([ours, same], {}, [])
    but_lips = ["ssim", "motion", "identity_cosine"]
    note = "minus {}: without what the sync judge measured, which does not compare"
    assert paired(ours, run("other", sha256="bb")) == (but_lips, [note.format("other")])
    unpadded = run("unpadded", padding="none")
    assert paired(ours, unpadded) == (but_lips, [note.format("unpadded")])
    assert (
        "Lips of ours, older were compared with zeros beyond a clip's ends, those of unpadded were not: sync numbers "
        "don't compare; test ours, older again, by a newer version."
    ) in Page(report_page([ours, same, unpadded], {}, [])).texts("p")


def test_a_metric_of_ones_own_is_paired_with_the_same_one_alone(tmp_path: Path) -> None:
    about = {"class": "mine.Warmth", "better": "up", "definition": "mean of red"}

    def run(name: str, **changed: str) -> Run:
        return run_with_clips(
            tmp_path / name, {"a": 0.5, "b": 0.7}, own_metrics={"motion": {**about, **changed}}
        )

    def paired(other: Run) -> tuple[list[str], list[str]]:
        page = Page(report_page([ours, other], {}, []))
        section = [text for text in page.texts("p") if text.startswith("minus ")]
        return [text for text in page.texts("th") if text in ("ssim", "motion")], section

    ours = run("ours")
    assert paired(run("same")) == (["ssim", "motion"], [])
    for key, value in (("class", "yours.Warmth"), ("better", "down"), ("definition", "mean of blue")):
        note = f"minus {key}: without motion, measured in another way there"
        assert paired(run(key, **{key: value})) == (["ssim"], [note])
    other = run_with_clips(tmp_path / "without", {"a": 0.5, "b": 0.7}, own_metrics={"beat": about})
    assert paired(other) == (["ssim", "motion"], [])  # motion is not of its own there: as in reports before


def test_every_metric_says_where_better_lies() -> None:
    everything = report(0.5)
    everything["systems"]["speech2video"] |= {
        name: {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 3} for name in METRICS
    }
    page = Page(report_page([Run("only", report=everything)], {}, []))
    assert set(METRICS) <= {text.strip() for text in page.texts("th") + page.texts("button")}
    assert "as in real clips is best" in str(page.words)


def test_what_runs_were_tested_on_is_said_in_full() -> None:
    """Two folders of videos that differ in the last letters of their paths; of a hash half tells enough."""
    folders = [f"/home/researcher/corpora/voxceleb2/{name}" for name in ("dev", "test")]
    runs = [Run(name, report=report(0.5)) for name in ("a", "b")]
    for run, folder in zip(runs, folders, strict=True):
        assert run.report is not None
        run.report["meta"]["dataset"] = folder
    cells = Page(report_page(runs, {}, []).partition("<h3>Tested on</h3>")[2].partition("</main>")[0]).texts(
        "td"
    )
    assert cells[:2] == folders and cells[-2:] == ["ab" * 16] * 2


def test_one_run_alone_needs_no_names() -> None:
    page = Page(report_page([Run("only", report=report(0.5))], {}, []))
    assert page.texts("h1") == ["only"]
    labels = page.texts("th")
    assert "speech2video" in labels and "ground_truth" in labels and "only: speech2video" not in labels


def test_bad_options_in_one_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(folder / "plain")
    for options, reason in (
        (["--output", str(tmp_path / "page")], "name it"),
        (["--output", "."], "--output . is a folder: the page is a file, name it report.html"),
        (["--output", "/"], "name it /report.html"),
        (["--clips", "-1"], "--clips and --embed: 0 or more was expected, -1 and 20 came"),
        (["--embed", "nan"], "6 and nan came"),
        ([str(tmp_path / "nowhere")], "no run folder"),
        ([run], "is named 2 times"),
    ):
        assert main(["report", run, *options]) == 2
        error = capsys.readouterr().err
        assert reason in error and error.count("\n") == 1


@pytest.mark.parametrize("name", ["page.html", "out/beside.html"])
@thrice
def test_in_a_browser_it_sorts_and_plays_in_step(name: str, folder: Path) -> None:
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
        faults: list[str] = []
        requests: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text))
        page.on("dialog", lambda dialog: faults.append(dialog.message))
        page.on("request", lambda request: requests.append(request.url))
        page.goto((folder / name).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == "rgb(13, 17, 23)"

        table = page.locator("table").first

        def means() -> list[str]:
            return [
                text.split("[")[0].strip()
                for text in table.locator("tbody td:nth-child(2)").all_inner_texts()
            ]

        assert means() == ["0.500", "0.250", "1.000"]
        table.locator("th:nth-child(2) button").focus()
        page.keyboard.press("Enter")
        assert means() == ["0.250", "0.500", "1.000"]
        page.keyboard.press("Enter")
        assert means() == ["1.000", "0.500", "0.250"]
        assert table.locator("th:nth-child(2)").get_attribute("aria-sort") == "descending"

        play_together(page)
        allowed = ("data:", (folder / name).parent.as_uri() + "/")
        assert faults == [] and all(url.startswith(allowed) for url in requests)


@pytest.mark.parametrize(
    ("cells", "rising"),
    [
        (["10/12", "9/12", "12/12", "3/3"], ["3/3", "9/12", "10/12", "12/12"]),  # clips scored
        (["0.5", "-1e-05", "10.25", "9"], ["-1e-05", "0.5", "9", "10.25"]),
    ],
)
def test_cells_are_sorted_by_their_numbers(cells: list[str], rising: list[str]) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine to run the page's script with")
    script = (Path(report_page_module.__file__).parent / "report_page.js").read_text("utf-8")
    run = f"""globalThis.document = {{ querySelectorAll: () => [] }};
        {script.replace('"use strict";', "")}
        const cells = {json.dumps(cells)}.map((value) => ({{ dataset: {{ value }} }}));
        cells.push({{ dataset: {{}} }});
        const found = [1, -1].map((sign) => [...cells].sort((a, b) => compareCells(a, b, sign)));
        console.log(JSON.stringify(found.map((row) => row.map((cell) => cell.dataset.value ?? "-"))));"""
    done = subprocess.run([node, "-e", run], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == [[*rising, "-"], [*reversed(rising), "-"]]


def play_together(page: Any) -> None:
    """Both videos of the first clip play at one time; one is thrown off and comes back; one of them is heard."""
    clip = page.locator(".clip").first
    if clip.locator("video").first.evaluate("v => v.canPlayType('video/mp4; codecs=\"avc1.42E01E\"')") == "":
        pytest.skip("this Chromium has no H.264: what needs it could not be tried")
    times = "clip => [...clip.querySelectorAll('video')].map(v => v.currentTime)"
    playing = "clip => [...clip.querySelectorAll('video')].every(v => !v.paused && v.currentTime > 0.2)"
    handle = clip.element_handle()
    clip.locator("button.play").click()
    page.wait_for_function(playing, arg=handle, timeout=30_000)
    one, other = clip.evaluate(times)
    assert abs(one - other) < 0.15
    clip.evaluate("clip => { clip.querySelectorAll('video')[1].currentTime = 0 }")
    page.wait_for_function(
        "clip => { const [a, b] = clip.querySelectorAll('video');"
        " return b.currentTime > 0.2 && Math.abs(a.currentTime - b.currentTime) < 0.15 }",
        arg=handle,
        timeout=30_000,
    )
    muted = "clip => [...clip.querySelectorAll('video')].map(v => v.muted)"
    assert clip.evaluate(muted) == [False, True]
    clip.locator("button.sound").nth(1).click()
    assert clip.evaluate(muted) == [True, False]
    page.wait_for_function(
        "clip => clip.querySelector('button.play').textContent === 'Play together'",
        arg=handle,
        timeout=30_000,
    )
    assert clip.evaluate("clip => [...clip.querySelectorAll('video')].every(v => v.paused)")


def test_runs_below_are_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "demo" / "compose", 0.5)
    (tmp_path / "demo" / "report.json").write_text(json.dumps(report(0.5)))
    output = str(tmp_path / "page.html")
    assert main(["report", str(run), "--output", output]) == 0
    assert "not shown" not in capsys.readouterr().out
    assert main(["report", str(tmp_path / "demo"), "--output", output]) == 0
    told = f"{tmp_path / 'demo'} has no curves or config of its own; the runs below it are not shown: compose"
    assert capsys.readouterr().out.splitlines()[0] == told
