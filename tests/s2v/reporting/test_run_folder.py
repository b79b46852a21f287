"""What is read of a run's folder, and what is refused."""

import json
from pathlib import Path

import pytest

from s2v.errors import InputError
from s2v.reporting.config_file import differing_keys, read_config
from s2v.reporting.metrics_file import find_metrics_files, read_metrics
from s2v.reporting.run_folder import find_run_videos, read_report, read_run, run_names
from tests.s2v.reporting.runs import report


def write_version(folder: Path, number: int, rows: list[str]) -> None:
    path = folder / "csv" / f"version_{number}"
    path.mkdir(parents=True)
    (path / "metrics.csv").write_text("\n".join(["epoch,step,loss,val", *rows, ""]))


def test_a_resumed_run_goes_on_where_its_checkpoint_was(tmp_path: Path) -> None:
    write_version(tmp_path, 0, ["0,10,1.0,", "0,20,0.9,", "0,30,0.8,", "0,30,,5"])
    write_version(tmp_path, 2, ["0,20,0.7,", "0,40,0.6,"])
    write_version(tmp_path, 10, ["0,40,,4"])
    files = find_metrics_files(tmp_path)
    assert [path.parent.name for path in files] == ["version_0", "version_2", "version_10"]
    assert read_metrics(files) == {
        "loss": [(10, 1.0), (20, 0.7), (40, 0.6)],
        "val": [(30, 5.0), (40, 4.0)],
    }


def test_a_validation_afterwards_replaces_no_curve(tmp_path: Path) -> None:
    """`s2v validate` and `s2v test` train nothing."""
    for number, rows in enumerate((["10,1.0,", "10,,5", "20,,4"], ["0,,3"], ["20,0.5,", "30,,2"])):
        (tmp_path / f"csv/version_{number}").mkdir(parents=True)
        text = "\n".join(["step,train/loss,val/loss", *rows, ""])
        (tmp_path / f"csv/version_{number}/metrics.csv").write_text(text)
    assert read_metrics(find_metrics_files(tmp_path)) == {
        "train/loss": [(10, 1.0), (20, 0.5)],
        "val/loss": [(10, 5.0), (20, 4.0), (30, 2.0)],
    }


@pytest.mark.parametrize("step", [10, 20])
def test_a_validation_of_an_earlier_checkpoint_leaves_the_curve(step: int, tmp_path: Path) -> None:
    assert versions(tmp_path, ["10,1.0,5,", "20,0.9,4,", "30,0.8,6,"], [f"{step},,4.5,"]) == {
        "train/loss": [(10, 1.0), (20, 0.9), (30, 0.8)],
        "val/loss": [(10, 5.0), (20, 4.0), (30, 6.0)],
    }


def test_of_a_checkpoints_two_validations_the_first_stays_and_of_its_tests_the_last(tmp_path: Path) -> None:
    """Both are logged at the checkpoint's step, or an earlier one's; a test leaves a result, no curve."""
    for number, rows in enumerate((["10,1,5,", "20,1,4,"], ["20,,3,0.1"], ["10,,,0.2"])):
        (tmp_path / f"csv/version_{number}").mkdir(parents=True)
        text = "\n".join(["step,train/loss,val/loss,test/loss", *rows, ""])
        (tmp_path / f"csv/version_{number}/metrics.csv").write_text(text)
    found = read_metrics(find_metrics_files(tmp_path))
    assert found["val/loss"] == [(10, 5.0), (20, 4.0)] and found["test/loss"] == [(10, 0.2)]


def test_a_validation_alone_is_shown(tmp_path: Path) -> None:
    """Of a checkpoint from elsewhere: there is no curve that its step 0 could be no part of."""
    (tmp_path / "metrics.csv").write_text("step,val/loss\n0,3\n")
    assert read_metrics(find_metrics_files(tmp_path)) == {"val/loss": [(0, 3.0)]}


def versions(folder: Path, *texts: list[str]) -> dict[str, list[tuple[int, float]]]:
    for number, rows in enumerate(texts):
        (folder / f"csv/version_{number}").mkdir(parents=True)
        text = "\n".join(["step,train/loss,val/loss,val/other", *rows, ""])
        (folder / f"csv/version_{number}/metrics.csv").write_text(text)
    return read_metrics(find_metrics_files(folder))


def test_a_run_that_began_anew_has_nothing_of_the_one_it_replaced(tmp_path: Path) -> None:
    """It validates less often, and no longer has one of the metrics."""
    first = ["27,,9,1", "49,1.0,,", "55,,8,1", "99,0.9,,", "149,0.8,,"]
    assert versions(tmp_path, first, ["49,1.5,,", "55,,6,", "99,1.4,,"]) == {
        "train/loss": [(49, 1.5), (99, 1.4)],
        "val/loss": [(55, 6.0)],
    }


def test_a_run_of_short_epochs_that_went_on_keeps_its_beginning(tmp_path: Path) -> None:
    """Epochs of 20 steps, a row of training each 50: killed at 45, it goes on from the checkpoint of step 40."""
    resumed = ["49,1.0,,", "59,,6,", "79,,5,", "99,0.9,4,"]
    assert versions(tmp_path, ["19,,9,", "39,,8,"], resumed)["val/loss"] == [
        (19, 9.0),
        (39, 8.0),
        (59, 6.0),
        (79, 5.0),
        (99, 4.0),
    ]


def test_a_run_that_went_on_has_nothing_of_what_it_did_again(tmp_path: Path) -> None:
    first = ["49,1.0,,", "99,0.9,,", "99,,5,1", "149,0.8,,", "160,,4,2"]
    assert versions(tmp_path, first, ["99,0.9,,", "149,0.7,,", "170,,3,"]) == {
        "train/loss": [(49, 1.0), (99, 0.9), (149, 0.7)],
        "val/loss": [(99, 5.0), (170, 3.0)],
        "val/other": [(99, 1.0)],
    }


def test_what_is_no_finite_number_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,loss\n1,nan\n2,inf\n3,word\n4,0.5,surplus\nx,1\n5\n6,1e308\n")
    assert read_metrics(find_metrics_files(tmp_path)) == {"loss": [(4, 0.5)]}


@pytest.mark.parametrize("rows", ["step,loss\n1,", "step,loss\n1,nan\n2,inf\n"])
def test_a_run_that_has_logged_nothing_yet_is_told_so(rows: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(rows)
    with pytest.raises(InputError, match=r"metrics\.csv has no finite value of any metric .* leave it out"):
        read_run("a", tmp_path)
    (tmp_path / "metrics.csv").write_text("step,loss\n1,0.5\n")
    assert read_run("a", tmp_path).metrics == {"loss": [(1, 0.5)]}  # enough for a curve
    (tmp_path / "metrics.csv").write_text(rows)
    (tmp_path / "config.yaml").write_text("a: 1\n")
    assert read_run("a", tmp_path).config == {"a": "1"}  # there is something to show


def test_a_table_without_steps_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("time,loss\n1,2\n")
    with pytest.raises(InputError, match="no column `step`"):
        read_run("a", tmp_path)


def test_config_keys_name_the_classes_in_lists(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "a: {b: null, c: [1, true]}\n"
        "callbacks: [{class_path: x.Y, init_args: {z: 1}}, {class_path: w.Y, init_args: {z: 2}}]\n"
    )
    assert read_config(path) == {
        "a.b": "null",
        "a.c": "[1, true]",
        "callbacks.Y.class_path": "x.Y",
        "callbacks.Y.init_args.z": "1",
        "callbacks.Y#2.class_path": "w.Y",
        "callbacks.Y#2.init_args.z": "2",
    }


def test_keys_that_differ() -> None:
    configs = [{"same": "1", "lr": "1"}, None, {"same": "1", "lr": "2", "more": "x"}]
    assert differing_keys(configs) == {"lr": ["1", "", "2"], "more": ["", "", "x"]}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: [", "no YAML"),
        ("- 1", "expected keys and values"),
        ("a: &a [{b: *a}]", "nested deeper"),
        ("a: !!python/object/apply:os.system [echo]", "no YAML"),
        # every level ten times the one before: 10^8 values
        (
            "\n".join(
                [
                    "l0: &l0 {a: 1}",
                    *(
                        f"l{n + 1}: &l{n + 1} {{{', '.join(f'k{i}: *l{n}' for i in range(10))}}}"
                        for n in range(8)
                    ),
                ]
            ),
            "more than",
        ),
    ],
)
def test_a_config_that_is_none(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(InputError, match=reason):
        read_config(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"systems": []}', '{"systems": {"a": 1}}', '{"systems": {}, "meta": 1}']
)
def test_a_report_that_is_none(content: str, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(InputError, match="not a report"):
        read_report(tmp_path / "report.json")


def test_a_report_keeps_what_the_page_shows(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(report(0.5)))
    run = read_run("a", tmp_path)
    assert run.report is not None and list(run.report) == ["systems", "meta"]


def test_a_number_too_large_for_any_is_none(tmp_path: Path) -> None:
    content = report(0.5)
    content["clips"] = [{"clip_id": "a", "system": "speech2video", "ssim": 10**400, "psnr": 20}]
    (tmp_path / "report.json").write_text(json.dumps(content))
    clips = read_run("a", tmp_path).clips
    assert clips is not None and clips.values.keys() == {"psnr"}


def test_videos_are_the_last_step_s_and_mp4_indeed(tmp_path: Path) -> None:
    for place in ("videos", "samples/step-000900", "samples/step-001000"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "clip.mp4").write_bytes(b"\0\0\0\x18ftypisom")
    (tmp_path / "samples/step-000900/gone.mp4").write_bytes(b"\0\0\0\x18ftypisom")
    (tmp_path / "secret.mp4").write_text("root:x:0:0")
    assert find_run_videos(tmp_path) == {"clip": tmp_path / "samples/step-001000/clip.mp4"}


def test_names_are_as_short_as_they_can_be(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a/compose", "b/compose", "b/distill")]
    assert run_names(folders) == ["a/compose", "b/compose", "distill"]
    with pytest.raises(InputError, match="named 2 times"):
        run_names([tmp_path, tmp_path / "a" / ".."])


def test_an_empty_folder_says_where_runs_are(tmp_path: Path) -> None:
    (tmp_path / "compose").mkdir()
    (tmp_path / "compose" / "config.yaml").write_text("a: 1")
    with pytest.raises(InputError, match=r"no metrics\.csv.*there are runs below it: compose"):
        read_run("a", tmp_path)
    with pytest.raises(InputError, match="no run folder"):
        read_run("a", tmp_path / "nowhere")
