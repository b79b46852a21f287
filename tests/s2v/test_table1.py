"""What `s2v table1` keeps and does again when configs, judges or options change; its commands only pretend."""

import json
import shutil
from argparse import Namespace
from pathlib import Path

import pytest
import yaml

from s2v import table1
from s2v.errors import InputError
from s2v.evaluation.table1_config import Stage, System, TablePlan, read_plan
from s2v.table1 import check_what_is_given, evaluate, fit_stage, run_table1


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the commands that ran: `fit` leaves a checkpoint, `test` a report by judge.pt with a detector."""
    monkeypatch.chdir(tmp_path)
    for name in ("stage.yaml", "report.yaml", "judge.pt", "detector.onnx", "manifest.csv", "mismatch.csv"):
        Path(name).write_text("1")
    ran: list[str] = []

    def run(arguments: list[str]) -> None:
        ran.append(arguments[0])
        if arguments[0] == "fit":
            Path("runs/sdfa").mkdir(parents=True, exist_ok=True)
            Path("runs/sdfa/best.ckpt").write_text("weights")
        else:
            judges = {"identity": {"file": "mobilefacenet:judge.pt@detector.onnx"}, "sync": None}
            report = Path(arguments[arguments.index("--run_dir") + 1]) / "report" / "report.json"
            report.parent.mkdir(parents=True, exist_ok=True)
            meta = {
                "judges": judges,
                "manifest": {"file": "manifest.csv"},
                "stills": {"file": "mismatch.csv"},
            }
            report.write_text(json.dumps({"meta": meta}))

    monkeypatch.setattr("s2v.table1.run_training_command", run)
    monkeypatch.setattr("s2v.table1.run_in_own_process", run)
    return ran


TABLE = Path("table")


def stage(*options: str) -> Stage:
    return Stage("sdfa", Path("runs/sdfa"), ["--config", "stage.yaml", *options])


def system(*options: str) -> System:
    return System(
        "SDFA", Path("runs/sdfa/best.ckpt"), ["--config", "stage.yaml", "--config=report.yaml", *options]
    )


def test_a_stage_trained_with_other_settings_is_kept_and_said(
    commands: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*options: str) -> str:
        capsys.readouterr()
        fit_stage(stage(*options), may_train=True)
        return capsys.readouterr().out

    assert said("--lr=1") == "sdfa: training\n"
    kept = "sdfa: kept runs/sdfa/best.ckpt"
    other = f"{kept}, trained with other settings ({{}}): to train it anew, delete runs/sdfa\n"
    assert said("--lr=1") == f"{kept}\n"
    assert said("--lr=2", "--flip=true") == other.format("then --lr=1; now --lr=2 --flip=true")
    assert said() == other.format("then --lr=1")
    Path("stage.yaml").write_text("2")
    assert said("--lr=1") == other.format("stage.yaml has changed")
    assert commands == ["fit"]

    shutil.rmtree("runs/sdfa")  # as told
    assert said("--lr=2") == "sdfa: training\n"
    assert said("--lr=2") == f"{kept}\n"
    assert commands == ["fit", "fit"]


def test_the_order_of_a_stages_options_counts(
    commands: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    fit_stage(stage("--a=1", "--b=2"), may_train=True)
    fit_stage(stage("--b=2", "--a=1"), may_train=True)
    assert "(the same options in another order)" in capsys.readouterr().out and commands == ["fit"]


@pytest.mark.parametrize(
    "changed", ["stage.yaml", "report.yaml", "judge.pt", "detector.onnx", "manifest.csv", "mismatch.csv"]
)
def test_a_system_is_tested_again_where_a_config_or_a_judge_has_changed(
    changed: str, commands: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    fit_stage(stage(), may_train=True)
    for _ in range(2):
        report = evaluate(system(), TABLE)
    assert commands == ["fit", "test"] and f"SDFA: kept {report}" in capsys.readouterr().out
    Path(changed).write_text("2")
    for _ in range(2):
        evaluate(system(), TABLE)
    out = capsys.readouterr().out
    assert commands == ["fit", "test", "test"]
    assert out.startswith("SDFA: changed since its test: ") and changed in out.splitlines()[0]
    Path(changed).unlink()  # nobody can tell what it would be now
    evaluate(system(), TABLE)
    assert commands == ["fit", "test", "test"]


def test_notes_without_hashes_are_understood(commands: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    fit_stage(stage(), may_train=True)
    evaluate(system(), TABLE)
    for note in (Path("runs/sdfa/table1.json"), TABLE / "sdfa" / "tested.json"):
        content = json.loads(note.read_text())
        del content["files"]
        note.write_text(json.dumps(content))
    for name in ("stage.yaml", "report.yaml", "judge.pt"):
        Path(name).write_text("2")
    capsys.readouterr()
    fit_stage(stage(), may_train=True)
    evaluate(system(), TABLE)
    assert capsys.readouterr().out == (
        "sdfa: kept runs/sdfa/best.ckpt\nSDFA: kept table/sdfa/report/report.json\n"
    )
    evaluate(system("--more=1"), TABLE)
    assert commands == ["fit", "test", "test"]


def test_published_weights_are_tested_without_a_checkpoint_and_again_where_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ran: list[list[str]] = []

    def run(arguments: list[str]) -> None:
        ran.append(arguments)
        report = Path(arguments[arguments.index("--run_dir") + 1]) / "report" / "report.json"
        report.parent.mkdir(parents=True, exist_ok=True)
        checkpoint = {"file": "crema.dat", "sha256": "1"}
        report.write_text(json.dumps({"meta": {"judges": {"sync": None}, "checkpoint": checkpoint}}))

    monkeypatch.setattr("s2v.table1.run_training_command", run)
    for name in ("base.yaml", "published.yaml", "report.yaml", "crema.dat"):
        Path(name).write_text("trainer: {devices: 1}")
    Path("table.yaml").write_text(
        "root: runs\nreport: [report.yaml]\nsystems:\n"
        "  SDFA, published: {checkpoint: null, config: base.yaml, with: [published.yaml]}\n"
    )
    (published,) = read_plan("table.yaml").systems
    assert published.checkpoint is None
    for _ in range(2):
        report = evaluate(published, TABLE)
    files = ["--config", "base.yaml", "--config", "published.yaml", "--config", "report.yaml"]
    assert ran == [["test", *files, "--run_dir", str(TABLE / "sdfa__published")]]
    assert capsys.readouterr().out == (
        f"SDFA, published: testing the weights of its configs\nSDFA, published: kept {report}\n"
    )
    Path("crema.dat").write_text("2")
    evaluate(published, TABLE)
    assert len(ran) == 2 and "changed since its test: crema.dat" in capsys.readouterr().out


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`distill` trained from a teacher, and `compose` from `distill`, pretended; each fit's weights are its number."""
    monkeypatch.chdir(tmp_path)
    Path("teacher.pth").write_text("teacher")
    fits: list[str] = []

    def run(arguments: list[str]) -> None:
        name = arguments[1].removeprefix("--name=")
        folder = Path("runs") / name
        folder.mkdir(parents=True, exist_ok=True)
        fits.append(name)
        read = {
            "distill": {"identity_teacher": "vggface:teacher.pth", "cpc_checkpoint": None},
            "compose": {"stage1_checkpoint": "runs/distill/best.ckpt", "similarity_region": "full"},
        }[name]
        model = {"class_path": "s2v.modules.Module", "init_args": read}
        (folder / "config.yaml").write_text(yaml.safe_dump({"model": model}))
        (folder / "last.ckpt").write_text("half")
        if Path("stop").exists():
            raise KeyboardInterrupt
        (folder / "best.ckpt").write_text(f"weights {len(fits)}")

    monkeypatch.setattr("s2v.table1.run_training_command", run)
    monkeypatch.setattr("s2v.table1.run_in_own_process", run)
    return tmp_path


def fit(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What the stage says."""
    capsys.readouterr()
    fit_stage(Stage(name, Path("runs") / name, [f"--name={name}"]), may_train=True)
    return capsys.readouterr().out


def test_a_stage_whose_upstream_was_trained_anew_is_kept_and_said(
    chain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = {name: f"{name}: kept runs/{name}/best.ckpt" for name in ("distill", "compose")}
    for name in kept:
        assert fit(name, capsys) == f"{name}: training\n"
        assert fit(name, capsys) == f"{kept[name]}\n"
    other = ", trained with other weights ({} has changed): to train it anew, delete runs/{}\n"

    shutil.rmtree("runs/distill")  # as a line about its settings told
    assert fit("distill", capsys) == "distill: training\n"
    assert fit("distill", capsys) == f"{kept['distill']}\n"
    stale = kept["compose"] + other.format("runs/distill/best.ckpt", "compose")
    assert [fit("compose", capsys) for _ in range(2)] == [stale, stale]

    Path("teacher.pth").write_text("another")
    assert fit("distill", capsys) == kept["distill"] + other.format("vggface:teacher.pth", "distill")
    Path("teacher.pth").unlink()  # nobody can tell what it would be now
    assert fit("distill", capsys) == f"{kept['distill']}\n"

    shutil.rmtree("runs/compose")
    assert fit("compose", capsys) == "compose: training\n"
    assert fit("compose", capsys) == f"{kept['compose']}\n"


def test_a_stopped_stage_stands_on_what_it_began_with(
    chain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit("distill", capsys)
    Path("stop").touch()
    with pytest.raises(KeyboardInterrupt):
        fit("compose", capsys)
    Path("stop").unlink()
    Path("runs/distill/best.ckpt").write_text("trained anew")
    said = "with other weights (runs/distill/best.ckpt has changed): to train it anew, delete runs/compose\n"
    assert fit("compose", capsys) == f"compose: goes on from runs/compose/last.ckpt, begun {said}"
    assert fit("compose", capsys) == f"compose: kept runs/compose/best.ckpt, trained {said}"


def test_a_stopped_stage_that_goes_on_with_other_settings_says_so_then_and_ever_after(
    chain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fitted(option: str) -> str:
        capsys.readouterr()
        fit_stage(Stage("distill", Path("runs/distill"), ["--name=distill", option]), may_train=True)
        return capsys.readouterr().out

    Path("stop").touch()
    with pytest.raises(KeyboardInterrupt):
        fitted("--lr=1")
    with pytest.raises(KeyboardInterrupt):
        fitted("--lr=1")
    assert capsys.readouterr().out == "distill: goes on from runs/distill/last.ckpt\n"
    Path("stop").unlink()
    said = "with other settings (then --lr=1; now --lr=2): to train it anew, delete runs/distill\n"
    assert fitted("--lr=2") == f"distill: goes on from runs/distill/last.ckpt, begun {said}"
    assert [fitted("--lr=2") for _ in range(2)] == [
        f"distill: kept runs/distill/best.ckpt, trained {said}"
    ] * 2


def test_a_stage_that_is_stopped_twice_stands_on_what_it_began_with(
    chain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit("distill", capsys)
    Path("stop").touch()
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fit("compose", capsys)
        Path("runs/distill/best.ckpt").write_text("trained anew")
    Path("stop").unlink()
    assert "(runs/distill/best.ckpt has changed)" in fit("compose", capsys)


def planned(checkpoint: str, config: str, *options: str) -> TablePlan:
    """A table with a stage `sdfa` and a system `other` from elsewhere."""
    content = {
        "root": "runs",
        "report": ["report.yaml", *options],
        "stages": {"sdfa": ["stage.yaml"]},
        "systems": {"SDFA": {"stage": "sdfa"}, "other": {"checkpoint": checkpoint, "config": config}},
    }
    Path("table.yaml").write_text(yaml.safe_dump(content))
    return read_plan("table.yaml")


@pytest.mark.parametrize(
    ("checkpoint", "config", "message"),
    [
        ("gone.ckpt", "stage.yaml", "^other: there is no checkpoint gone.ckpt: add its stage"),
        ("judge.pt", "gone.yaml", "^other: there is no config gone.yaml"),
    ],
)
def test_what_no_stage_makes_is_missed_before_the_first_fit(
    checkpoint: str, config: str, message: str, commands: list[str]
) -> None:
    planned(checkpoint, config)
    with pytest.raises(InputError, match=message):
        run_table1(Namespace(config="table.yaml", train="missing"))
    assert not commands


def test_what_a_stage_makes_may_be_missing_yet(commands: list[str]) -> None:
    for folder in ("runs/sdfa", "../" + Path.cwd().name + "/runs/sdfa/checkpoints"):
        check_what_is_given(planned(f"{folder}/last.ckpt", "runs/sdfa/config.yaml"))


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ([], ["gone.onnx", "no.model"]),
        (["--trainer.callbacks.init_args.syncnet=null"], ["gone.onnx"]),
        (["--trainer.callbacks.init_args.syncnet=~/judge.pt"], ["gone.onnx"]),
        (["--trainer.callbacks.init_args.identity_judge=mobilefacenet:judge.pt"], ["no.model"]),
        (["--trainer.callbacks.init_args.lpips=other.pth"], ["gone.onnx", "no.model", "other.pth"]),
    ],
)
def test_a_reports_missing_judges_are_warned_of_before_the_first_fit(
    options: list[str],
    missing: list[str],
    commands: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(Path.cwd()))
    judges = {
        "syncnet": "no.model",
        "identity_judge": "mobilefacenet:judge.pt@gone.onnx",
        "emotion_judge": "${trainer.default_root_dir}/x.ckpt",
        "fid": "runs/sdfa/best.ckpt",
    }
    report = {"class_path": "callbacks.test_report.TestReport", "init_args": judges}
    Path("stage.yaml").write_text("trainer: {callbacks: 7}")  # for its own command to say
    Path("report.yaml").write_text(
        yaml.safe_dump({"trainer": {"callbacks+": [{"class_path": "a.b"}, report]}})
    )
    check_what_is_given(planned("judge.pt", "stage.yaml", *options))
    said = [line for line in capsys.readouterr().err.splitlines() if "which are not there" in line]
    assert [line.partition("names the weights ")[2].partition(",")[0] for line in said] == missing


def test_a_test_removes_clips_that_an_earlier_one_kept(commands: list[str]) -> None:
    fit_stage(stage(), may_train=True)
    evaluate(system(), TABLE)
    kept = TABLE / "sdfa" / "clips" / "a.safetensors"
    kept.parent.mkdir()
    kept.touch()
    evaluate(system(), TABLE)
    assert kept.exists()
    Path("runs/sdfa/best.ckpt").write_text("others")
    evaluate(system(), TABLE)
    assert not kept.exists()


def test_a_test_that_was_stopped_leaves_no_report_of_another(
    commands: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_stage(stage(), may_train=True)
    evaluate(system(), TABLE)
    pretended = table1.run_training_command

    def stopped(arguments: list[str]) -> None:
        pretended(arguments)  # the report is there
        raise KeyboardInterrupt

    monkeypatch.setattr("s2v.table1.run_training_command", stopped)
    with pytest.raises(KeyboardInterrupt):
        evaluate(system("--more=1"), TABLE)
    monkeypatch.setattr("s2v.table1.run_training_command", pretended)
    evaluate(system(), TABLE)
    assert commands == ["fit", "test", "test", "test"]


def test_a_note_without_weights_is_understood(chain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit("compose", capsys)
    note = Path("runs/compose/table1.json")
    content = json.loads(note.read_text())
    del content["weights"]
    note.write_text(json.dumps(content))
    fit("distill", capsys)
    assert fit("compose", capsys) == "compose: kept runs/compose/best.ckpt\n"


def test_a_config_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF\x80\xff\xfe")
    with pytest.raises(
        InputError, match=r"a\.wav is no text: a YAML file as those in experiments/table1 was"
    ):
        read_plan(str(tmp_path / "a.wav"))
