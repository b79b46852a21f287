"""Metrics of one's own: every row, every file, and what is refused."""

import csv
import io
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from rich.console import Console
from torch import nn

from s2v.errors import InputError
from s2v.evaluation.clip_metric import ClipMetric, ShownClip, load_clip_metric
from s2v.evaluation.clip_rows import (
    CALIBRATION,
    GROUND_TRUTH,
    OTHER_FRAMES,
    SHIFTED,
    STILL,
    SWAPPED,
    ClipRow,
    TestClip,
)
from s2v.evaluation.held_pictures import HeldPictures
from s2v.evaluation.own_metrics import OwnMetrics
from s2v.evaluation.protocol import Protocol
from s2v.evaluation.scoring import Scoring
from s2v.evaluation.table1_reports import read_table
from s2v.reporting.report_page import report_page
from s2v.reporting.run_folder import Run, read_report
from tests.s2v.evaluation.brightness_metrics import (
    Brightness,
    Daylight,
    FirstSample,
    PixelError,
    Undeclared,
)

OURS = "speech2video"
FRAMES = 20


def clip(number: int, speaker: str = "ann", generated: torch.Tensor | None = None) -> TestClip:
    """All frames are of the grey 50 + 10 * number, the first one 10; samples count up from 1000 * number."""
    real = torch.full((FRAMES, 3, 32, 32), 50 + 10 * number, dtype=torch.uint8)
    real[0] = 10
    speech = (1000 * number + torch.arange(FRAMES * 640) // 640).to(torch.int16)  # a value a frame
    return TestClip(f"clip{number}", speaker, "", real, real // 2 if generated is None else generated, speech)


def measured(clips: list[TestClip], *metrics: ClipMetric, **settings: Any) -> dict[str, list[ClipRow]]:
    protocol, held = Protocol(OURS, own=OwnMetrics(metrics), **settings), HeldPictures()
    for one in clips:
        held.add(one.clip_id, one.speaker, one.real)
    protocol.hold(held)
    for one in clips:
        protocol.add(one)
    rows = list(protocol.finish())
    return {system: [row for row in rows if row.system == system] for system in (OURS, *CALIBRATION)}


def test_every_row_has_its_values() -> None:
    rows = measured([clip(0), clip(1), clip(2, "ben")], Brightness())
    assert all(row.scored or row.system in OTHER_FRAMES for found in rows.values() for row in found)
    assert rows[OURS][1].values["brightness"] == pytest.approx(0.5, rel=1e-3)
    for name in (GROUND_TRUTH, SHIFTED, SWAPPED):  # their pictures are the real ones
        assert rows[name][1].values["brightness"] == 1
        assert rows[name][1].values["frames"] == FRAMES
    # the first frame against all that come after it
    assert rows[STILL][1].values["brightness"] == pytest.approx(10 / 60)
    assert rows[STILL][1].values["frames"] == FRAMES - 1
    for name in OTHER_FRAMES:
        assert rows[name][1].values["frames"] == FRAMES
    mean = (10 + 19 * 60) / 20
    assert rows["another_clip"][1].values["brightness"] == pytest.approx(10 / mean)


def test_who_hears_is_asked_about_shifted_and_swapped_speech() -> None:
    rows = measured([clip(0), clip(1), clip(2)], FirstSample())
    first = {name: [row.values["first_sample"] for row in rows[name]] for name in (OURS, SHIFTED, SWAPPED)}
    assert first[OURS] == [0, 1000, 2000]
    assert first[SHIFTED] == [10, 1010, 2010]  # ten frames ahead of the pictures
    assert first[SWAPPED] == [2000, 0, 1000]  # the clip's before in the list
    heard = [row.values["samples_a_frame"] for name in OTHER_FRAMES[:2] for row in rows[name]]
    assert heard == [640] * 6
    own = clip(0)
    own.generated_speech = own.speech + 7
    assert measured([own], FirstSample())[OURS][0].values["first_sample"] == 7


class Witness(ClipMetric):
    """Keeps what it is shown, by clip and system."""

    better = {"shown": ""}
    definitions = {"shown": "nothing"}

    def __init__(self, hears: bool) -> None:
        self.hears = hears
        self.shown: dict[tuple[str, str], ShownClip] = {}

    def measure(self, clip: ShownClip) -> dict[str, float]:
        self.shown[clip.clip_id, clip.system] = clip
        return {}


def test_pictures_and_speech_are_as_each_row_says() -> None:
    """Frame i is of the grey i, and so is the speech beside it: their difference is how far apart they are."""
    one, other = clip(0), clip(1, "ben")
    one.real = torch.arange(FRAMES, dtype=torch.uint8)[:, None, None, None].expand(FRAMES, 3, 32, 32)
    one.generated, one.emotion, one.gender = one.real + 100, "anger", "female"
    other.speech = other.speech[: 12 * 640]  # it has speech for 12 of the frames
    hearing, deaf = Witness(hears=True), Witness(hears=False)
    for metric in (hearing, deaf):
        measured([other, one], metric)
    seen = {
        name: (
            shown.frames[:, 0, 0, 0].tolist(),
            shown.real[:, 0, 0, 0].tolist(),
            shown.speech[::640].tolist(),
        )
        for (clip_id, name), shown in hearing.shown.items()
        if clip_id == "clip0"
    }
    whole = list(range(FRAMES))
    assert seen[OURS] == ([100 + grey for grey in whole], whole, whole)
    assert seen[GROUND_TRUTH] == (whole, whole, whole)
    assert seen[SHIFTED] == (whole[:10], whole[:10], whole[10:])
    assert seen[STILL] == ([0] * (FRAMES - 1), whole[1:], whole[1:])
    assert seen[SWAPPED] == (whole[:12], whole[:12], [1000 + grey for grey in whole[:12]])
    for shown in (hearing.shown["clip0", OURS], deaf.shown["clip0", OURS]):
        labels = (shown.clip_id, shown.speaker, shown.emotion, shown.gender, shown.system)
        assert labels == ("clip0", "ann", "anger", "female", OURS)
    assert all(not len(shown.speech) for shown in deaf.shown.values())


def test_speech_is_borrowed_from_another_sentence() -> None:
    clips = [clip(number) for number in range(6)]
    for one, sentence in zip(clips, ("DFA", "DFA", "IEO", "IEO", "TIE", "TIE"), strict=True):
        one.sentence = sentence
    borrowed = [row.values["first_sample"] for row in measured(clips, FirstSample())[SWAPPED]]
    assert borrowed == [5000, 5000, 1000, 1000, 3000, 3000]


def test_a_clip_alone_has_no_other_speech_and_a_mute_one_no_value() -> None:
    rows = measured([clip(1)], FirstSample())
    assert rows[SWAPPED][0].reasons == ["no other clip to take speech from"]
    mute = clip(1)
    mute.speech = "no audio track"
    rows = measured([clip(0), mute, clip(2)], FirstSample(), Brightness())
    for name in (OURS, GROUND_TRUTH, SHIFTED, SWAPPED, STILL):
        assert rows[name][1].reasons == ["no audio track"]
        assert "first_sample" not in rows[name][1].values and "brightness" in rows[name][1].values
    assert [row.values["first_sample"] for row in (rows[SWAPPED][0], rows[SWAPPED][2])] == [2000, 0]


def test_a_refusal_is_its_rows_reason_alone() -> None:
    black = torch.zeros(FRAMES, 3, 32, 32, dtype=torch.uint8)
    rows = measured([clip(0, generated=black), clip(1)], Daylight(), Brightness())
    assert rows[OURS][0].reasons == ["Daylight: too dark to see anything"]
    assert "daylight" not in rows[OURS][0].values and rows[OURS][0].values["brightness"] == 0
    assert rows[OURS][1].scored and rows[GROUND_TRUTH][0].scored
    dark = clip(0)
    dark.real = black
    rows = measured([dark], Daylight())  # of the real pictures: of the rows that show them too
    assert rows[SWAPPED][0].reasons == rows[GROUND_TRUTH][0].reasons == ["Daylight: too dark to see anything"]


def test_a_fault_of_ones_own_names_the_clip() -> None:
    class Faulty(Brightness):
        def measure(self, clip: ShownClip) -> dict[str, float]:
            return {"brightness": 1 / (len(clip.frames) - FRAMES)}

    with pytest.raises(RuntimeError, match=r"^the metric Faulty failed on .* of clip clip3$") as caught:
        measured([clip(3)], Faulty())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


class Decibels(ClipMetric):
    """Infinite where nothing differs."""

    better: ClassVar = {"decibels": "up", "seen": ""}
    definitions: ClassVar = {"decibels": "of the mean error", "seen": "frames"}

    def measure(self, clip: ShownClip) -> dict[str, float]:
        error = (clip.frames.float() - clip.real.float()).square().mean().item()
        return {
            "decibels": 10 * math.log10(255**2 / error) if error else math.inf,
            "seen": float(len(clip.frames)),
        }


def test_an_infinite_number_is_not_the_mean_of_all() -> None:
    rows = measured([clip(0), clip(1)], Decibels())
    assert all(math.isfinite(row.values["decibels"]) for row in rows[OURS])
    for row in (*rows[GROUND_TRUTH], *rows[SHIFTED]):
        assert row.values["seen"] == FRAMES and "decibels" not in row.values
        assert row.reasons == ["Decibels: decibels infinite, of which there is no mean"]


def test_pictures_of_another_shape() -> None:
    short = clip(0, generated=clip(0).real[:18].repeat_interleave(2, dim=2).repeat_interleave(2, dim=3))
    row = measured([short], PixelError(), Brightness())[OURS][0]
    assert row.reasons == ["generated is 18 frames of 64 x 64, real is 20 frames of 32 x 32"]  # once
    assert "pixel_error" not in row.values and row.values["frames"] == 18
    row = measured([short], PixelError(), trim=2, resize=True)[OURS][0]
    assert row.scored and row.values["pixel_error"] == 0


@pytest.mark.parametrize(
    ("better", "definitions", "said"),
    [
        ({"ssim": "up"}, {"ssim": "x"}, "the name 'ssim' is taken (the report's own)"),
        ({"scored": ""}, {"scored": "x"}, "the name 'scored' is taken"),
        ({"sync": ""}, {"sync": "x"}, "the name 'sync' is taken"),
        ({"brightness": ""}, {"brightness": "x"}, "is taken (tests.s2v.evaluation.brightness_metrics.Bright"),
        ({"a b": "up"}, {"a b": "x"}, "'a b' is no name of letters"),
        (
            {"mine": "best"},
            {"mine": "x"},
            "better['mine'] is one of up, down, zero, one, real or empty, got 'best'",
        ),
        ({"mine": "up"}, {}, "must name the same numbers, at least one"),
        ({}, {}, "must name the same numbers, at least one"),
    ],
)
def test_unfit_names_are_one_line(better: dict[str, str], definitions: dict[str, str], said: str) -> None:
    class Mine(Brightness):
        pass

    Mine.better, Mine.definitions = better, definitions
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        OwnMetrics([Brightness(), Mine()])
    assert "\n" not in str(caught.value)


def test_what_was_not_declared_is_one_line() -> None:
    with pytest.raises(
        InputError, match=r"^the metric Undeclared gave 'unsaid', of which its better says nothing$"
    ):
        measured([clip(0)], Undeclared())


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("Brightness", "the metric: expected package.module.Class, got 'Brightness'"),
        ("no_such_module.Brightness", "(ModuleNotFoundError: No module named 'no_such_module')"),
        (
            "tests.s2v.evaluation.brightness_metrics.Dark",
            "tests.s2v.evaluation.brightness_metrics has no class Dark",
        ),
        ("torch.nn.Linear", "torch.nn.Linear is no subclass of s2v.evaluation.clip_metric.ClipMetric"),
        (
            "tests.s2v.evaluation.brightness_metrics.WithArguments",
            "missing 1 required positional argument: 'scale'",
        ),
        ("s2v.evaluation.clip_metric.ClipMetric", "can't be made"),
    ],
)
def test_a_class_that_can_not_be_had_is_one_line(path: str, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        load_clip_metric(path)
    assert "\n" not in str(caught.value)


def test_networks_go_to_the_judges_device() -> None:
    class WithNetwork(Brightness):
        def __init__(self) -> None:
            self.network = nn.Linear(1, 1)

        def measure(self, clip: ShownClip) -> Mapping[str, float]:
            return {}

    metric = WithNetwork()
    Protocol(own=OwnMetrics([metric])).move_to("meta")
    assert metric.network.weight.device.type == "meta"


def test_all_files_and_tables_have_them(tmp_path: Path) -> None:
    scoring = Scoring(Protocol(OURS, own=OwnMetrics([Brightness(), PixelError()])), bootstrap=50)
    for number, speaker in enumerate(("ann", "ben")):
        scoring.add(clip(number, speaker))
    report = scoring.report({}, None)
    assert report is not None
    report.write(tmp_path)

    content = json.loads((tmp_path / "report.json").read_text())
    ours = content["systems"][OURS]
    assert ours["pixel_error"]["n"] == 2
    assert ours["pixel_error"]["low"] < ours["pixel_error"]["mean"] < ours["pixel_error"]["high"]
    assert content["systems"][GROUND_TRUTH]["pixel_error"]["mean"] == 0
    assert content["meta"]["definitions"]["brightness"] == "mean value, generated / real"
    assert content["clips"][0]["frames"] == FRAMES
    with (tmp_path / "report.csv").open(newline="") as file:
        assert float(next(csv.DictReader(file))["brightness"]) == pytest.approx(0.5, rel=1e-3)
    assert "| pixel_error | lower |" in (tmp_path / "report.md").read_text()
    assert "| frames |  |" in (tmp_path / "report.md").read_text()
    page = (tmp_path / "report.html").read_text()
    assert page.count("pixel_<wbr>error<small>lower</small>") == 2  # among the first, and among all
    assert "how many &lt; there are" in page
    Console(width=200, file=(shown := io.StringIO())).print(report.rich_table())
    assert "pixel_error ↓" in shown.getvalue()

    table = read_table({OURS: tmp_path / "report.json"}, None)
    assert "| brightness |" in table.as_markdown() and f"{OURS},pixel_error," in table.as_csv()
    run = Run("mine", report=read_report(tmp_path / "report.json")[0])
    assert "1 is best" in (text := report_page([run], {}, [])) and "pixel_error" in text


def test_systems_of_other_metrics_do_not_stand_in_one_table(tmp_path: Path) -> None:
    for name, metric in {"one": Brightness(), "two": Daylight()}.items():
        scoring = Scoring(Protocol(name, own=OwnMetrics([metric])), bootstrap=0)
        scoring.add(clip(0))
        report = scoring.report({}, None)
        assert report is not None
        report.write(tmp_path / name)
    reports = {name: tmp_path / name / "report.json" for name in ("one", "two")}
    with pytest.raises(InputError, match="two and one have other metrics of one's own"):
        read_table(reports, None)
