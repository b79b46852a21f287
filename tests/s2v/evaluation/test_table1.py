"""Several reports as one table, by hand; and what may not stand in one table."""

import json
from pathlib import Path
from typing import Any

import pytest

from s2v.evaluation.clip_rows import BY_REAL_FRAMES
from s2v.evaluation.paper_table import PAPER, gap_closed, paper_value
from s2v.evaluation.summary import averages_note
from s2v.evaluation.table1_reports import read_table


def report(path: Path, system: str, ssim: float, **meta: Any) -> Path:
    """A report with one metric, of a system and a calibration row."""
    estimate = {"mean": ssim, "low": ssim - 0.1, "high": ssim + 0.1, "n": 4}
    row = {"scored": 3, "total": 4}
    content = {
        "systems": {
            system: {"ssim": estimate, "sharpness": {"mean": None, "low": None, "high": None, "n": 0}} | row,
            "ground_truth": {"ssim": {"mean": 1.0, "low": 1.0, "high": 1.0, "n": 4}} | row,
        },
        "meta": {
            "clip_list_sha256": "abc",
            "dataset": "CremaD",
            "split": "test of seen",
            "judges": {"sync": {"file": "sync.ckpt", "sha256": "1", "origin": "published"}, "identity": None},
            "checkpoint": {"file": f"{system}.ckpt", "sha256": "123456789abcdef"},
        }
        | meta,
    }
    path.write_text(json.dumps(content))
    return path


def test_the_paper_closes_12_percent() -> None:
    values = [PAPER["crema_d"][name][0] for name in ("speech2video", "S2F+SDFA", "SDFA")]
    assert gap_closed(*values) == pytest.approx(0.118, abs=5e-4)
    assert gap_closed(0.5, 0.6, 0.6) is gap_closed(0.5, 0.6, 0.605) is None
    assert paper_value("voxceleb2", "SDFA", "psnr") == 25.121
    assert paper_value("crema_d", "ground_truth", "ssim") is paper_value(None, "SDFA", "ssim") is None


def test_a_number_of_fewer_clips_than_the_others_says_so(tmp_path: Path) -> None:
    """A system whose faces are found in one clip of four has a mean of that one, beside the others' of four."""
    files = {name: report(tmp_path / name, name, 0.5) for name in ("SDFA", "speech2video")}
    content = json.loads(files["SDFA"].read_text())
    systems = content["systems"]
    systems["SDFA"]["ssim"] |= {"n": 3}
    systems["SDFA"]["mouth_lmd"] = {"mean": 0.065, "low": None, "high": None, "n": 1}
    systems["ground_truth"]["mouth_lmd"] = {"mean": 0.0, "low": 0.0, "high": 0.0, "n": 4}
    files["SDFA"].write_text(json.dumps(content))
    lines = read_table(files, None).as_markdown().splitlines()
    assert "| **SDFA** | 0.500 [0.400, 0.600] (3 of 4) | - | - | - | - | - | 3/4 |" in lines
    assert "| mouth_lmd | 0.065 (1 of 4) | - | 0.000 [0.000, 0.000] |" in lines


def test_a_table_by_hand(tmp_path: Path) -> None:
    files = {
        name: report(tmp_path / f"{index}.json", name, ssim)
        for index, (name, ssim) in enumerate({"SDFA": 0.7, "S2F+SDFA": 0.5, "speech2video": 0.6}.items())
    }
    table = read_table(files, "crema_d")
    assert list(table.systems) == [*files, "ground_truth"]
    assert table.ssim_gap_closed() == pytest.approx(0.5)
    lines = table.as_markdown().splitlines()
    assert "| **SDFA** | 0.700 [0.600, 0.800] | 0.705 | - | 23.568 | - | 5.4 | 3/4 |" in lines
    assert "| ground_truth (calibration) | 1.000 [1.000, 1.000] | - | - | - | - | - | 3/4 |" in lines
    assert {line.count("|") for line in lines[2:8]} == {9}  # a rule of another length, and it is no table
    assert "speech2video closes 50% of the SSIM gap between S2F+SDFA and SDFA." in lines
    assert "SDFA,ssim,0.7,0.6,0.7999999999999999,4,0.705" in table.as_csv().splitlines()
    assert "Speakers weighted alike" not in table.as_markdown()  # reports of older versions
    table.systems["SDFA"]["ssim"]["by_speaker"] = 0.65
    assert table.as_markdown().count("| ssim | 0.650 | - | - | - |") == 1
    assert averages_note(True) in lines
    for values in table.systems.values():
        values["ssim"] |= {"low": None, "high": None}
    assert "bootstrap interval" not in table.as_markdown() and "without intervals" in table.as_markdown()
    assert [path.name for path in table.write(tmp_path / "out")] == ["table1.json", "table1.csv", "table1.md"]
    assert "gender labels" not in table.as_markdown()
    assert "* SDFA: SDFA.ckpt, sha256 123456789abc\n" in table.as_markdown()
    table.meta["SDFA"]["checkpoint"]["note"] = "of other crops"
    assert "* SDFA: SDFA.ckpt, sha256 123456789abc; of other crops\n" in table.as_markdown()
    table.meta["S2F+SDFA"]["checkpoint"] = None  # of a module that was tested as it was made
    assert "* S2F+SDFA: none, sha256 \n" in table.as_markdown()
    judges = {"file": "judge.pt", "origin": "published"}
    for name, taught in (("SDFA", False), ("S2F+SDFA", None), ("speech2video", True)):
        table.meta[name]["judges"] = {"emotion": judges | {"teacher_used_as_judge": taught}}
    table.meta["SDFA"] |= {"emotion_references": {BY_REAL_FRAMES: 3}, "clips": 4}
    assert (
        "* emotion judge: judge.pt, published; TEACHER USED AS JUDGE of speech2video; whether it taught S2F+SDFA is "
        "not known\n"
    ) in table.as_markdown()
    assert "* emotion: 3 of 4 clips have no label" in table.as_markdown()
    table.meta["SDFA"]["genders"] = {
        "speakers": {"female": 5, "male": 6},
        "unlabelled": 1,
        "clips": 40,
        "chance": 0.45,
        "one_gender": 0.55,
    }
    table.systems["SDFA"]["gender_agreement"] = {
        "mean": 0.9,
        "low": 0.8,
        "high": 1.0,
        "n": 4,
        "by_speaker": 0.91,
    }
    assert "| gender_agreement | 0.900 [0.800, 1.000] | - | - | - |" in table.as_markdown()
    assert "| gender_agreement | 0.910 | - | - | - |" in table.as_markdown()
    assert (
        "* gender labels: 5 female and 6 male, 1 speakers without a label; gender_agreement on 40 clips, by chance "
        "0.450, always the commoner gender 0.550\n"
    ) in table.as_markdown()
    content = json.loads((tmp_path / "out" / "table1.json").read_text())
    assert content["ssim_gap_closed"] == pytest.approx(0.5)
    assert content["systems"]["SDFA"]["paper"]["psnr"] == 23.568


def sized_report(path: Path, system: str, size: str, own: float, small: float) -> Path:
    """A report of pictures of `size`, with SSIM and PSNR as they are (`own`) and at 128 x 96 (`small`)."""
    report(path, system, own, image_size=size)
    content = json.loads(path.read_text())
    for name, values in content["systems"].items():
        for metric, mean in {
            "ssim_128x96": small,
            "psnr": 10 * own,
            "psnr_128x96": 10 * small,
            "psnr_mouth": own,
            "psnr_mouth_128x96": small,
            "motion": own,
            "lpips": own,
            "identity_cosine": 0.25,
        }.items():
            mean = mean if name == system else 1.0
            values[metric] = {"mean": mean, "low": None, "high": None, "n": 4, "by_speaker": mean / 2}
    path.write_text(json.dumps(content))
    return path


def test_systems_of_two_sizes_are_compared_at_the_small_one(tmp_path: Path) -> None:
    files = {
        "SDFA, published": sized_report(tmp_path / "a.json", "SDFA", "96 x 128", 0.1, 0.75),
        "SDFA": sized_report(tmp_path / "b.json", "SDFA", "128 x 128", 0.2, 0.875),
        "S2F+SDFA": sized_report(tmp_path / "c.json", "S2F+SDFA", "128 x 128", 0.3, 0.375),
        "speech2video": sized_report(tmp_path / "d.json", "speech2video", "128 x 128", 0.4, 0.5),
    }
    table = read_table(files, "crema_d")
    text = table.as_markdown()
    assert (
        "| system | SSIM at 128 x 96 | paper | PSNR at 128 x 96 | paper | confidence | paper | scored |"
        in text
    )
    assert "| **SDFA, published** | 0.750 | - | 7.500 | - | - | - | 3/4 |" in text
    assert "| **SDFA** | 0.875 | 0.705 | 8.750 | 23.568 | - | 5.4 | 3/4 |" in text
    assert "| psnr_mouth_128x96 | 0.750 | 0.875 | 0.375 | 0.500 | 1.000 |" in text
    assert "| ssim_128x96 | 0.375 | 0.438 | 0.188 | 0.250 | 0.500 |" in text  # speakers weighted alike
    assert "| identity_cosine | 0.250 |" in text
    assert "SSIM and PSNR of ALL systems are of pictures resized to 128 x 96 (height x width)" in text
    assert "SDFA, published 96 x 128, SDFA 128 x 128" in text
    assert table.ssim_gap_closed() == pytest.approx((0.5 - 0.375) / (0.875 - 0.375))
    own = {"ssim", "psnr", "psnr_mouth", "motion", "lpips"}
    assert not any(f"| {metric} |" in text for metric in own)
    assert not own & {line.split(",")[1] for line in table.as_csv().splitlines()}
    assert "SDFA,ssim_128x96,0.875,,,4,0.705" in table.as_csv().splitlines()
    content = table.as_json()
    assert content["sizes_differ"] and not any(own & values.keys() for values in content["systems"].values())


def test_systems_of_one_size_are_compared_as_they_are(tmp_path: Path) -> None:
    names = ("SDFA", "speech2video")
    files = {name: sized_report(tmp_path / name, name, "128 x 128", 0.2, 0.875) for name in names}
    table = read_table(files, "crema_d")
    text = table.as_markdown()
    assert not table.sizes_differ and "differ in size" not in text
    assert "| **SDFA** | 0.200 [0.100, 0.300] | 0.705 | 2.000 | 23.568 | - | 5.4 | 3/4 |" in text
    assert "| ssim_128x96 | 0.875 | 0.875 | 1.000 |" in text and "| motion | 0.200 | 0.200 | 1.000 |" in text


def test_two_of_one_system_stand_in_one_table(tmp_path: Path) -> None:
    names = {"speech2video, CPC alone": 0.6, "speech2video": 0.7, "SDFA": 0.8, "S2F+SDFA": 0.3}
    files = {
        name: report(tmp_path / f"{index}.json", name.split(",")[0], ssim)
        for index, (name, ssim) in enumerate(names.items())
    }
    table = read_table(files, None)
    assert {name: table.systems[name]["ssim"]["mean"] for name in names} == names
    assert table.ssim_gap_closed() == pytest.approx(0.8)


def with_clips(path: Path, system: str, ssims: dict[str, float], **values: float) -> None:
    """Give a report rows of clips, two of each speaker."""
    content = json.loads(path.read_text())
    content["clips"] = [
        {"clip_id": clip_id, "speaker": str(number // 2), "system": name, "ssim": ssim, **values}
        for name in (system, "ground_truth")
        for number, (clip_id, ssim) in enumerate(ssims.items())
    ]
    path.write_text(json.dumps(content))


def test_systems_are_compared_clip_by_clip(tmp_path: Path) -> None:
    ssims = {"SDFA": 0.5, "speech2video": 0.625, "SDFA, published": 0.75}
    files = {}
    for index, (name, ssim) in enumerate(ssims.items()):
        files[name] = report(tmp_path / f"{index}.json", name.split(",")[0], ssim)
        clips = {str(clip): ssim + 0.0625 * clip for clip in range(4 + (name == "SDFA"))}
        with_clips(files[name], name.split(",")[0], clips)
    table = read_table(files, None)
    said = table.as_markdown()
    assert "| metric | speech2video better | minus **SDFA** | minus **SDFA, published** |" in said
    row = "| ssim | above 0 | +0.125 [+0.125, +0.125] (4 of 5) | -0.125 [-0.125, -0.125] |"
    assert row in said and row in table.as_markdown(paired_columns=len(row))
    narrow = table.as_markdown(paired_columns=len(row) - 1)
    assert row not in narrow and "clip by clip: table1.md, all in table1_paired.csv" in narrow
    assert "Paired differences" not in narrow

    names = ["table1.json", "table1.csv", "table1.md", "table1_paired.csv"]
    assert [path.name for path in table.write(tmp_path / "out")] == names
    lines = (tmp_path / "out" / "table1_paired.csv").read_text().splitlines()
    assert lines[1:] == [
        "speech2video,SDFA,ssim,above 0,0.125,0.125,0.125,4,5",
        'speech2video,"SDFA, published",ssim,above 0,-0.125,-0.125,-0.125,4,4',
    ]
    paired = json.loads((tmp_path / "out" / "table1.json").read_text())["paired"]
    assert paired["system"] == "speech2video" and paired["minus"]["SDFA"]["clips"] == 5
    assert paired["minus"]["SDFA"]["ssim"]["n"] == 4

    alone = read_table({"SDFA": files["SDFA"]}, None)
    assert alone.paired is None and alone.as_json()["paired"] is None
    alone.write(tmp_path / "out")
    assert not (tmp_path / "out" / "table1_paired.csv").exists()  # not that of the systems before


def test_the_reports_bootstrap_is_that_of_the_pairs(tmp_path: Path) -> None:
    """As many resamples as the reports took; none, no intervals."""
    files = {
        name: report(tmp_path / name, name, 0.5, bootstrap_resamples=0) for name in ("speech2video", "SDFA")
    }
    for name, path in files.items():
        with_clips(path, name, {str(clip): 0.5 for clip in range(4)})
    assert "| ssim | above 0 | +0.000 |" in read_table(files, None).as_markdown()


def test_pairs_of_two_sizes_are_compared_at_the_small_one(tmp_path: Path) -> None:
    files = {
        "SDFA": sized_report(tmp_path / "a.json", "SDFA", "96 x 128", 0.1, 0.75),
        "speech2video": sized_report(tmp_path / "b.json", "speech2video", "128 x 128", 0.4, 0.5),
    }
    for name, path in files.items():
        small = 0.75 if name == "SDFA" else 0.5
        with_clips(path, name, dict.fromkeys("1234", 0.9), ssim_128x96=small, motion=1.0)
    table = read_table(files, None)
    assert table.paired is not None and table.paired.minus["SDFA"].keys() == {"ssim_128x96"}
    assert "| ssim_128x96 | above 0 | -0.250 [-0.250, -0.250] |" in table.as_markdown(paired_columns=80)
