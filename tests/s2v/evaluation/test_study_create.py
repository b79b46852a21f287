"""`s2v study create`: the page is blind, lets nothing in, and its script leads through the study."""

import base64
import functools
import hashlib
import http.server
import json
import shutil
import subprocess
import threading
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from s2v.cli import main
from s2v.evaluation.study_key import read_study_key
from s2v.evaluation.study_page import study_page
from s2v.evaluation.study_results import ExclusionRules, collect
from s2v.evaluation.study_videos import write_study_video
from s2v.evaluation.video_pairs import read_video
from s2v.generation.mp4_writer import write_mp4
from tests.conftest import BuildOnce
from tests.data_modules.media import tone, write_media
from tests.s2v.browser import chromium, thrice

CLIPS = ["1001_DFA_ANG_XX", "1002_IEO_SAD_XX"]
EVIL = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
FRAMES = 25
PLAYED = 3
"""Screens whose videos the browser really plays: 1 second each."""


def write_videos(
    folder: Path, names: list[str], brightness: int, loudness: float = 0.5, width: int = 32
) -> Path:
    """One-second videos, 32 high, of noise whose loudness rises, so that a shift of it can be measured."""
    noise = torch.rand(FRAMES * 640, generator=torch.Generator().manual_seed(0)) * 2 - 1
    speech = loudness * noise * torch.linspace(0, 1, len(noise))
    for name in names:
        frames = torch.full((FRAMES, 3, 32, width), brightness, dtype=torch.uint8)
        write_mp4(folder / f"{name}.mp4", [frames], [speech], threads=1)
    return folder


@pytest.fixture(scope="module")
def study(build_once: BuildOnce) -> Path:
    """A study of two systems, one of them called EVIL without its slashes; its title is EVIL."""

    def fill(folder: Path) -> None:
        real = write_videos(folder / "recordings", CLIPS, 200)
        ours = write_videos(folder / "mysystem", CLIPS, 100)
        other = write_videos(folder / "rival", CLIPS, 50)
        systems = [f"mysystem={ours}", f"{EVIL}={other}"]
        # An = in a name would end it: the part of EVIL before its first = is the name.
        systems[1] = f"{EVIL.replace('=', '')}={other}"
        args = ["--systems", *systems, "--real", str(real), "--output", str(folder / "study")]
        assert main(["study", "create", *args, "--title", EVIL, "--seed", "3"]) == 0

    return build_once("user_study", fill) / "study"


def test_emotions_come_from_the_table_beside_the_real_videos(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which has the last word over names like CREMA-D's."""
    names = ["one", CLIPS[0]]
    real = write_videos(tmp_path / "real", names, 200)
    ours = write_videos(tmp_path / "ours", names, 100)
    args = ["study", "create", "--systems", f"ours={ours}", "--real", str(real), "--output"]
    (real / "clips.csv").write_text(f"clip_id,emotion\none,happy\n{CLIPS[0]},calm\n")
    assert main([*args, str(tmp_path / "study")]) == 0
    key = json.loads((tmp_path / "study" / "key.json").read_text())
    assert key["emotions"] == ["calm", "happy"]
    assert {(video["clip"], video["emotion"]) for video in key["videos"].values()} == {
        ("one", "happy"),
        (CLIPS[0], "calm"),
    }
    (real / "clips.csv").write_text("clip_id,emotion\none,happy\n")
    capsys.readouterr()
    assert main([*args, str(tmp_path / "again")]) == 2
    assert "clips.csv has no row for 1 of 2 videos" in capsys.readouterr().err
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("rotation", [0, 90])
def test_a_video_is_shown_in_its_proportions(rotation: int, tmp_path: Path) -> None:
    """Its pixels need not be square."""
    stored = np.zeros((64, 48, 3), np.uint8)
    stored[20:44, 15:33, 1] = 200  # 24 high; 18 wide, shown as 24
    source = write_media(
        tmp_path / "a.mp4", [stored] * 30, sound=tone(1.2), rotation=rotation, pixel_aspect=Fraction(4, 3)
    )
    size = write_study_video(source, tmp_path / "b.mp4")
    copy, _ = read_video(tmp_path / "b.mp4")
    assert size == tuple(copy.shape[2:])
    # turned, 48 lines stay, and the picture is as much smaller as it is in a player of that height
    assert size == ((64, 64) if rotation == 0 else (48, 48))
    rows, columns = np.nonzero(copy[5, 1].numpy() > 100)
    assert np.ptp(rows) + 1 == pytest.approx(24 * size[0] / 64, abs=1)
    assert np.ptp(columns) + 1 == pytest.approx(24 * size[0] / 64, abs=1)


class Elements(HTMLParser):
    """Every start tag of a page, and what the scripts hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.content: dict[str, list[str]] = {"script": [], "style": [], "title": []}
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag
        if tag in self.content:
            self.content[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside in self.content:
            self.content[self.inside][-1] += data


def page_of(study: Path) -> str:
    return (study / "page" / "index.html").read_text("utf-8")


def test_what_is_served_tells_nothing(study: Path) -> None:
    assert sorted(path.name for path in study.iterdir()) == ["key.json", "page"]
    assert sorted(path.name for path in (study / "page").iterdir()) == ["index.html", "study.json", "videos"]
    key = json.loads((study / "key.json").read_text())
    videos = {path.name for path in (study / "page" / "videos").iterdir()}
    assert videos == set(key["videos"])
    for text in (page_of(study), (study / "page" / "study.json").read_text()):
        for secret in (*CLIPS, "mysystem", "rival", "recordings", "shifted", '"seed"', '"check"'):
            assert secret not in text
    told = json.loads((study / "page" / "study.json").read_text())
    assert {item["kind"] for item in told["items"]} == {"choice", "rating", "naming"}
    assert [item["id"] for item in told["items"]] == [item["id"] for item in key["items"]]
    assert told["emotions"] == ["anger", "sadness"]


def test_when_a_video_was_written_tells_nothing(tmp_path: Path) -> None:
    """Servers say it of every file; in the order of systems and clips it would tell which are of one system."""
    real, ours = (write_videos(tmp_path / name, CLIPS, 99) for name in ("real", "ours"))
    args = ["--systems", f"ours={ours}", "--real", str(real), "--output", str(tmp_path / "study")]
    assert main(["study", "create", *args]) == 0
    videos = list((tmp_path / "study" / "page" / "videos").iterdir())
    assert len(videos) == 6
    assert sorted(videos, key=lambda video: video.stat().st_mtime_ns) == sorted(videos)


def test_copies_are_alike_in_all_but_picture_and_sound(study: Path) -> None:
    described = set()
    for path in (study / "page" / "videos").iterdir():
        with av.open(str(path)) as container:
            sound = container.streams.audio[0]
            picture = container.streams.video[0]
            described.add(
                (
                    picture.codec_context.name,
                    picture.average_rate,
                    picture.frames,
                    sound.rate,
                    sound.layout.name,
                )
            )
            described.add(tuple(sorted((k, v) for k, v in container.metadata.items() if v)))
    assert len(described) == 2
    assert not any("s2v" in str(entry) or "synthetic" in str(entry) for entry in described)


def test_a_check_s_sound_is_late_by_half_a_second(study: Path) -> None:
    key = json.loads((study / "key.json").read_text())
    files = {(video["system"], video["clip"]): name for name, video in key["videos"].items()}
    for system, clip in files:
        if system != "real, sound shifted":
            continue
        shifted, late = read_video(study / "page" / "videos" / files[system, clip])
        real, speech = read_video(study / "page" / "videos" / files["real", clip])
        assert torch.equal(shifted, real)
        spectra = [np.fft.rfft(np.asarray(track, dtype=np.float64)) for track in (late, speech)]
        lag = int(np.fft.irfft(spectra[0] * spectra[1].conj(), n=FRAMES * 640).argmax())
        assert abs(lag - FRAMES * 640 // 2) <= 2
    assert ("real, sound shifted", CLIPS[0]) in files


def test_the_same_seed_shows_the_same_under_other_names(study: Path, tmp_path: Path) -> None:
    folder = study.parent
    args = ["--systems", f"mysystem={folder / 'mysystem'}", f"{EVIL.replace('=', '')}={folder / 'rival'}"]
    args += ["--real", str(folder / "recordings"), "--output", str(tmp_path / "again"), "--seed", "3"]
    assert main(["study", "create", *args]) == 0
    keys = [json.loads((path / "key.json").read_text()) for path in (study, tmp_path / "again")]
    assert not set(keys[0]["videos"]) & set(keys[1]["videos"])
    first, second = (
        [
            (item["kind"], item["question"], [key["videos"][video] for video in item["videos"]])
            for item in key["items"]
        ]
        for key in keys
    )
    assert first == second


def test_nothing_stated_becomes_markup(study: Path) -> None:
    page = Elements(page_of(study))
    tags = [tag for tag, _ in page.tags]
    head, body = ["html", "head", *["meta"] * 5, "title", "style"], ["body", "main", "noscript"]
    assert tags == [*head, *body, "script", "script"]
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    data, script = page.content["script"]
    assert json.loads(data)["title"] == EVIL and page.content["title"] == [EVIL]
    policy = dict(
        part.strip().split(" ", 1)
        for part in next(a["content"] for _, a in page.tags if "http-equiv" in a).split(";")  # type: ignore[union-attr]
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy["default-src"] == "'none'" and policy["media-src"] == "'self'"
    assert policy["script-src"] == f"'sha256-{digest}'" and "unsafe" not in str(policy)
    assert "http:" not in page_of(study) and "https:" not in page_of(study)


@pytest.mark.parametrize("text", [EVIL, "<!--<script>", "\u2028", "]]>", "&lt;", "\\u003c"])
def test_any_label_survives_as_text(text: str) -> None:
    page = Elements(study_page({"id": text, "title": text, "emotions": [text], "items": []}))
    assert [tag for tag, _ in page.tags].count("script") == 2
    assert json.loads(page.content["script"][0]) == {
        "id": text,
        "title": text,
        "emotions": [text],
        "items": [],
    }


def walk(study: Path, **options: Any) -> dict[str, Any]:
    """What the page's script does in Node, every check answered right."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine to run the page's script with")
    told = json.loads((study / "page" / "study.json").read_text())
    videos = json.loads((study / "key.json").read_text())["videos"]
    real = [name for name, video in videos.items() if video["system"] == "real"]
    script = Elements(page_of(study)).content["script"][1]
    done = subprocess.run(
        [node, str(Path(__file__).with_name("study_page_run.js"))],
        input=json.dumps({"study": told, "script": script, "prefer": real, **options}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_page_s_answers_are_read_back(study: Path, tmp_path: Path) -> None:
    seen = walk(study, reloadAfter=4)
    key = read_study_key(study / "key.json")
    assert seen["first"] == EVIL and seen["last"] == "Thank you!"
    assert len(seen["screens"]) == len(key.items)  # the reload after four began with the fifth
    for screen in seen["screens"]:
        assert screen["guarded"] and screen["pressed"] == 1
        assert len(screen["answers"]) in (2, 5)
    (tmp_path / "result.json").write_text(seen["file"])
    collected = collect([tmp_path / "result.json"], key, ExclusionRules())
    assert collected.left_out == []
    (person,) = collected.kept
    assert person.name == "000000070000000700000007"
    assert set(person.seconds.values()) == {3.0}
    for name, item in key.items.items():
        if item.kind == "choice" and "real" in {key.videos[video].system for video in item.videos}:
            assert key.videos[str(person.answers[name])].system == "real"
        # of one video the first answer is given
        elif item.kind in ("rating", "naming"):
            assert person.answers[name] == (1 if item.kind == "rating" else "anger")
    labels = {
        screen["heading"]: screen["answers"] for screen in seen["screens"] if len(screen["videos"]) == 1
    }
    assert labels == {
        "How real does this video look?": ["1 bad", "2 poor", "3 fair", "4 good", "5 excellent"],
        "Which emotion does this person show?": ["1 anger", "2 sadness"],
    }


def test_participants_differ_in_order_and_half_see_sides_exchanged(study: Path) -> None:
    told = json.loads((study / "page" / "study.json").read_text())
    planned = {tuple(item["videos"]) for item in told["items"] if len(item["videos"]) == 2}
    orders, mirrored = set(), 0
    for number in range(12):
        seen = walk(study, search=f"?participant=p{number}")
        result = json.loads(seen["file"])
        assert result["participant"] == f"p{number}"
        shown = [tuple(screen["videos"]) for screen in seen["screens"]]
        orders.add(tuple(shown))
        choices = {videos for videos in shown if len(videos) == 2}
        assert choices == ({pair[::-1] for pair in planned} if result["mirrored"] else planned)
        mirrored += result["mirrored"]
    assert len(orders) == 12 and 1 <= mirrored <= 11


@pytest.mark.parametrize("answered", [2, None])
def test_the_next_person_at_one_computer_is_another_participant(answered: int | None, study: Path) -> None:
    """Whether the one before had finished or not; who comes back goes on."""
    before = json.loads(walk(study)["file"])
    stored = json.dumps({"participant": "earlier", "answers": before["answers"][:answered]})
    items = json.loads((study / "key.json").read_text())["items"]
    back = walk(study, stored=stored)
    assert back["first"] == "Welcome back" and json.loads(back["file"])["participant"] == "earlier"
    assert len(back["screens"]) == (len(items) - answered if answered else 0)
    new = walk(study, stored=stored, another=True)
    file = json.loads(new["file"])
    assert len(new["screens"]) == len(file["answers"]) == len(items)
    assert file["participant"] != "earlier"
    shelf = f"s2v-study-{before['study']}-"
    assert set(new["stored"]) == {shelf, f"{shelf}-earlier"}  # nobody's answers are lost
    # an address with a name is one person's
    named = walk(study, stored=stored.replace("earlier", "ann"), shelf="ann", search="?participant=ann")
    assert named["first"] == "Welcome back" and named["offered"] == ["Go on (Enter)"]
    assert back["offered"] == ["Go on (Enter)", "I am somebody else"]


@pytest.mark.parametrize(
    "stored", ["}{", "null", "[]", '{"participant": "<b>", "answers": []}', '{"participant": "a"}']
)
def test_what_another_page_stored_does_no_harm(stored: str, study: Path) -> None:
    seen = walk(study, stored=stored, search="?participant=<script>")
    assert json.loads(seen["file"])["participant"] == "000000070000000700000007"
    assert len(seen["screens"]) == len(json.loads((study / "key.json").read_text())["items"])


def test_the_script_has_no_syntax_error(study: Path, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine to check the page's script with")
    (tmp_path / "page.js").write_text(Elements(page_of(study)).content["script"][1])
    subprocess.run([node, "--check", str(tmp_path / "page.js")], check=True, timeout=60)


def watch_all(page: Any, play: bool) -> None:
    """See every video of a screen to its end: played, or, to save time or for want of H.264, said to have ended."""
    if not play:
        page.evaluate("document.querySelectorAll('video').forEach(v => v.dispatchEvent(new Event('ended')))")
        return
    for number in range(page.locator("video").count()):
        page.keyboard.press("p")
        video = page.locator("video").nth(number).element_handle()
        page.wait_for_function("video => video.ended", arg=video, timeout=20_000)


@thrice
def test_clicking_through_in_a_browser(study: Path, tmp_path: Path) -> None:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(study / "page"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    key = read_study_key(study / "key.json")
    faults: list[str] = []
    requests: list[str] = []
    try:
        with chromium() as browser:
            page = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme="dark")
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("dialog", lambda dialog: faults.append(dialog.message))
            page.on("request", lambda request: requests.append(request.url))
            page.goto(address)
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
            h264 = page.evaluate(
                "document.createElement('video').canPlayType('video/mp4; codecs=\"avc1.42E01E, mp4a.40.2\"')"
            )
            page.click("button.next")
            for number in range(len(key.items)):
                page.click(".answers button >> nth=0")
                assert page.is_disabled("button.next")  # answered, but not watched to the end
                if number == 1:  # gone and come back: the answered screen stays answered
                    page.reload()
                    page.click("button.next")  # welcome back: go on
                    page.click(".answers button >> nth=0")
                watch_all(page, bool(h264) and number < PLAYED)
                page.click("button.next")
            with page.expect_download() as download:
                page.click("a.download")
            download.value.save_as(tmp_path / "result.json")
    finally:
        server.shutdown()
    assert faults == [] and all(url.startswith((address, "blob:")) for url in requests)
    collected = collect([tmp_path / "result.json"], key, ExclusionRules(0.0, len(key.items)))
    assert len(collected.kept) == 1


def test_a_study_that_can_not_be_made_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = write_videos(tmp_path / "real", CLIPS, 200)
    ours = write_videos(tmp_path / "ours", CLIPS, 100, loudness=0.005)
    args = ["study", "create", "--systems", f"ours={ours}", "--real", str(real), "--output"]
    assert main([*args, str(tmp_path / "study")]) == 2
    assert "its sound is silence" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours", "real"]
    assert main([*args, str(real)]) == 2
    assert "is not empty: --output names a new folder" in capsys.readouterr().err
    write_videos(tmp_path / "elsewhere", ["another"], 100)
    args[3] = f"ours={tmp_path / 'elsewhere'}"
    assert main([*args, str(tmp_path / "study")]) == 2
    assert "no video of one name in every folder (ours: 1 videos, real: 2 videos)" in capsys.readouterr().err


def test_clips_that_not_every_folder_has_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = write_videos(tmp_path / "real", CLIPS, 200)
    ours = write_videos(tmp_path / "ours", [CLIPS[0], "extra"], 100)
    args = ["--systems", f"ours={ours}", "--real", str(real), "--output", str(tmp_path / "study")]
    assert main(["study", "create", *args]) == 0
    said = capsys.readouterr().out
    assert "warning: 1 clips are in every folder, no other is shown (ours lacks 1, real lacks 1)" in said
    assert "differ in size" not in said


def test_systems_that_their_pictures_size_tells_apart_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = write_videos(tmp_path / "real", CLIPS[:1], 200)
    ours = write_videos(tmp_path / "ours", CLIPS[:1], 100, width=48)
    args = ["--systems", f"ours={ours}", "--real", str(real), "--output", str(tmp_path / "study")]
    assert main(["study", "create", *args]) == 0
    said = capsys.readouterr().out
    assert (
        "warning: pictures differ in size, which may tell systems apart "
        "(32x32: real, real, sound shifted; 48x32: ours)"
    ) in said
    assert "are in every folder" not in said
