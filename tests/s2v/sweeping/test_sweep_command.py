"""`s2v sweep`: a search that finds what there is to find, can be stopped, and says what went wrong."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
import yaml
from optuna.distributions import CategoricalDistribution

from s2v.cli import main
from s2v.files.held_folder import held_folder
from s2v.sweeping.sweep_command import enqueue_grid, open_study, short_names
from s2v.sweeping.sweep_file import read_sweep_file

COMMAND = ["${interpreter}", "parabola.py", "--run_dir=runs/${oc.env:WANDB_RUN_ID}", "${args}"]
LR = {"lr": {"min": 0.0, "max": 1.0}}
REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(Path(__file__).with_name("parabola.py"), tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_sweep(method: str, parameters: dict[str, Any], metric: str = "val/loss") -> list[str]:
    content = {"method": method, "metric": {"name": metric}, "parameters": parameters, "command": COMMAND}
    Path("sweep.yaml").write_text(yaml.safe_dump(content))
    return ["sweep", "sweep.yaml", "--output", "found"]


def rows() -> list[dict[str, str]]:
    with open("found/trials.csv") as file:
        return list(csv.DictReader(file))


def test_bayes_finds_the_parabola_s_foot() -> None:
    sweep = write_sweep("bayes", {"lr": {"min": 0.0, "max": 1.0}, "name": {"value": "good"}})
    assert main([*sweep, "--trials", "25"]) == 0
    found = rows()
    assert len(found) == 25 and {row["state"] for row in found} == {"complete"}
    for row in found:
        assert float(row["val/loss"]) == pytest.approx((float(row["lr"]) - 0.25) ** 2)
    best = min(found, key=lambda row: float(row["val/loss"]))
    assert float(best["lr"]) == pytest.approx(0.25, abs=0.05)
    text = Path("found/best.yaml").read_text()
    assert yaml.safe_load(text) == {"lr": float(best["lr"]), "name": "good"}
    assert f"trial {best['trial']}, {best['run']}" in text and Path(best["run"], "metrics.csv").is_file()


def test_more_trials_go_on_as_if_all_had_been_asked_for_at_once() -> None:
    parameters = {**LR, "name": {"value": "good"}}
    sweep = write_sweep("bayes", parameters)
    assert main([*sweep, "--trials", "14"]) == 0
    at_once = [row["lr"] for row in rows()]
    shutil.rmtree("found")
    shutil.rmtree("runs")
    for total in ("3", "3", "14"):
        assert main([*sweep, "--trials", total]) == 0
    assert [row["lr"] for row in rows()] == at_once


def test_a_killed_sweep_tries_its_trial_again() -> None:
    sweep = write_sweep("grid", {"lr": {"values": [0.1, 0.2, 0.3, 0.4]}, "name": {"value": "good"}})
    assert main([*sweep, "--trials", "2"]) == 0
    Path("stop").touch()
    code = "import sys; from s2v.cli import main; sys.exit(main(sys.argv[1:]))"
    killed = subprocess.run(
        [sys.executable, "-c", code, *sweep, "--trials", "4"],
        env={"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.DEVNULL,
        check=False,
        timeout=120,
    )
    assert killed.returncode == -signal.SIGKILL
    assert main([*sweep, "--trials", "4"]) == 0
    found = rows()
    assert [row["state"] for row in found] == ["complete", "complete", "fail", "complete", "complete"]
    assert [row["lr"] for row in found] == ["0.1", "0.2", "0.3", "0.4", "0.3"]


@pytest.mark.parametrize("cut", [1, 30])
def test_a_line_that_a_kill_cut_short_costs_its_trial(cut: int, capsys: pytest.CaptureFixture[str]) -> None:
    """With the journal's lock, which the kill leaves too: Optuna would wait for it."""
    sweep = write_sweep("random", {**LR, "name": {"value": "good"}})
    assert main([*sweep, "--trials", "2"]) == 0
    journal = Path("found/trials.journal")
    os.truncate(journal, journal.stat().st_size - cut)
    Path("found/trials.journal.lock").symlink_to("found/trials.journal")
    capsys.readouterr()
    assert main([*sweep, "--trials", "3"]) == 0
    assert capsys.readouterr().err == (
        "s2v: warning: found/trials.journal: its last line was cut short, and is left out\n"
    )
    found = rows()
    assert [row["state"] for row in found] == ["complete", "fail", "complete", "complete"]
    assert found[1]["lr"] == found[2]["lr"] != found[3]["lr"]
    assert main([*sweep, "--trials", "3"]) == 0
    assert capsys.readouterr().err == ""


def test_a_damaged_journal_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    sweep = write_sweep("random", {**LR, "name": {"value": "good"}})
    assert main([*sweep, "--trials", "1"]) == 0
    journal = Path("found/trials.journal")
    content = b"{" + journal.read_bytes()
    journal.write_bytes(content)
    assert main([*sweep, "--trials", "2"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("s2v: error: found/trials.journal is damaged (") and error.count("\n") == 1
    assert journal.read_bytes() == content


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_what_ends_a_sweep_lets_its_trial_end_in_order(sent: signal.Signals, status: int) -> None:
    """A terminal sends Ctrl-C to both, so the test does."""
    sweep = write_sweep("random", {**LR, "name": {"value": "slow"}})
    # a background job inherits that Ctrl-C is ignored
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from s2v.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *sweep, "--trials", "1"],
        env={"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    end = time.monotonic() + 120
    while not Path("begun").is_file() and time.monotonic() < end:
        time.sleep(0.05)
    if sent is signal.SIGINT:
        os.killpg(process.pid, sent)
    else:
        process.send_signal(sent)
    assert process.wait(60) == status
    assert Path("ended").is_file()
    Path("begun").unlink()
    Path("parabola.py").write_text(Path("parabola.py").read_text().replace('"slow"', '"never"'))
    assert main([*sweep, "--trials", "1"]) == 0
    found = rows()
    assert [row["state"] for row in found] == ["fail", "complete"] and found[0]["lr"] == found[1]["lr"]


@pytest.mark.parametrize("method", ["bayes", "random"])
def test_another_seed_is_another_sweep(method: str) -> None:
    """Not the same numbers a trial later."""
    drawn = []
    for seed in ("0", "1"):
        sweep = write_sweep(method, {**LR, "name": {"value": "good"}})
        assert main([*sweep[:-1], f"found{seed}", "--trials", "5", "--seed", seed]) == 0
        with open(f"found{seed}/trials.csv") as file:
            drawn.append({row["lr"] for row in csv.DictReader(file)})
    assert len(drawn[0] | drawn[1]) == 10


def test_the_rest_of_a_grid_is_queued_where_a_kill_came_between() -> None:
    space = {f"n{i}": CategoricalDistribution([True, 1, 1.5, "a", None]) for i in range(3)}
    sweep, study = SimpleNamespace(space=space), optuna.create_study()
    study.enqueue_trial({"n0": 1, "n1": True, "n2": None})
    for _ in range(2):
        enqueue_grid(sweep, study)  # type: ignore[arg-type]
    values = [tuple(trial.system_attrs["fixed_params"].values()) for trial in study.get_trials()]
    assert len(values) == len({str(value) for value in values}) == 125


def test_a_grid_is_gone_through_once(capsys: pytest.CaptureFixture[str]) -> None:
    sweep = write_sweep("grid", {"lr": {"values": [0.0, 0.5, 1.0]}, "name": {"values": ["good", "bad"]}})
    assert main([*sweep, "--trials", "4"]) == 0
    assert len(rows()) == 4 + 2  # two wait
    assert main([*sweep, "--trials", "99"]) == 0
    found = rows()
    assert [row["state"] for row in found] == ["complete", "fail"] * 3
    assert [row["lr"] for row in found] == ["0.0", "0.0", "0.5", "0.5", "1.0", "1.0"]
    assert found[1]["reason"] == "exit status 1: s2v: error: bad is no name"
    assert "3 trials failed: found/trials.csv says why" in capsys.readouterr().out


def test_the_largest_is_best_where_the_goal_is_to_maximize(capsys: pytest.CaptureFixture[str]) -> None:
    """(lr - 0.25)^2 is 0.0625, 0.5625 and 0: the table's order, and the overlay's choice."""
    sweep = write_sweep("grid", {"lr": {"values": [0.0, 1.0, 0.25]}, "name": {"value": "good"}})
    content = yaml.safe_load(Path("sweep.yaml").read_text())
    for goal, order in (("maximize", [1, 0, 2]), ("minimize", [2, 0, 1])):
        content["metric"]["goal"] = goal
        Path("sweep.yaml").write_text(yaml.safe_dump(content))
        assert main([*sweep[:-1], goal, "--trials", "3"]) == 0
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
        assert [int(line.split("│")[1]) for line in lines] == order
        best = yaml.safe_load(Path(goal, "best.yaml").read_text())
        assert best["lr"] == (1.0 if goal == "maximize" else 0.25)


def test_a_kill_before_a_trial_has_its_values_loses_no_combination_of_a_grid() -> None:
    """Optuna takes a trial from the queue, and writes its parameters one by one."""
    sweep = write_sweep("grid", {"lr": {"values": [0.1, 0.2, 0.3]}, "name": {"values": ["good", "fair"]}})
    plan = read_sweep_file(Path("sweep.yaml"))
    Path("found").mkdir()
    study = open_study(plan, Path("found"))
    enqueue_grid(plan, study)
    assert study._pop_waiting_trial_id() is not None
    assert main([*sweep, "--trials", "20"]) == 0
    tried = [(row["lr"], row["name"]) for row in rows() if row["state"] == "complete"]
    assert len(tried) == len(set(tried)) == 6


def test_what_can_not_work_stops_soon(capsys: pytest.CaptureFixture[str]) -> None:
    sweep = write_sweep("random", {**LR, "name": {"value": "bad"}})
    assert main([*sweep, "--trials", "50"]) == 2
    error = capsys.readouterr().err
    assert "3 trials failed and none ended well (exit status 1: s2v: error: bad is no name)" in error
    assert len(rows()) == 3 and not Path("found/best.yaml").exists()


def test_a_trial_that_ends_without_a_number_has_failed() -> None:
    """Its last finite value, of before it diverged, is no result."""
    sweep = write_sweep("grid", {"lr": {"values": [0.25, 0.5]}, "name": {"values": ["good", "nan", "-inf"]}})
    assert main([*sweep, "--trials", "6"]) == 0
    for row in rows():
        diverged = row["name"] != "good"
        assert row["state"] == ("fail" if diverged else "complete")
        assert row["reason"] == (f"val/loss is {row['name']} in the end: it diverged" if diverged else "")


def test_a_metric_that_no_trial_has(capsys: pytest.CaptureFixture[str]) -> None:
    sweep = write_sweep("random", {**LR, "name": {"value": "good"}}, metric="val/ssim")
    assert main([*sweep, "--trials", "1"]) == 1
    assert "has no metric val/ssim (there are: val/loss)" in rows()[0]["reason"]


def test_another_search_in_the_same_folder_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    same = {**LR, "name": {"value": "good"}}
    assert main([*write_sweep("random", same), "--trials", "1"]) == 0
    other = write_sweep("random", {"lr": {"min": 0.0, "max": 2.0}, "name": {"value": "good"}})
    assert main([*other, "--trials", "2"]) == 2
    assert "was begun with another search" in capsys.readouterr().err
    assert main([*write_sweep("random", same, metric="val/ssim"), "--trials", "2"]) == 2
    assert "was begun with another search" in capsys.readouterr().err
    sweep = write_sweep("random", same)
    Path("sweep.yaml").write_text(Path("sweep.yaml").read_text().replace("parabola.py", "./parabola.py"))
    assert main([*sweep, "--trials", "2"]) == 2
    assert "was begun with another search" in capsys.readouterr().err
    assert len(rows()) == 1
    assert main([*other, "--trials", "0"]) == 2
    assert "--trials: expected 1 or more" in capsys.readouterr().err


@pytest.mark.parametrize("seed", ["-1", "4294967295"])
def test_a_seed_that_numpy_lacks_is_refused_before_anything_is_written(
    seed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = write_sweep("random", {**LR, "name": {"value": "good"}})
    assert main([*sweep, "--trials", "2", "--seed", seed]) == 2
    assert capsys.readouterr().err == f"s2v: error: --seed: expected 0 to 2147483647, got {seed}\n"
    assert not Path("found").exists()


def test_one_sweep_at_a_time(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2v.files.held_folder._SECONDS_TO_WAIT", 0.5)
    sweep = write_sweep("random", {**LR, "name": {"value": "good"}})
    with held_folder(Path("found"), ""):
        assert main([*sweep, "--trials", "1"]) == 2
    assert "another `s2v sweep` runs there" in capsys.readouterr().err


def test_a_sweep_s_runs_are_its_own() -> None:
    """Another of the same name, removed since or elsewhere, has left runs, whose metrics are not this one's."""
    sweep = write_sweep("random", {**LR, "name": {"value": "good"}})
    runs = []
    for output in ("found", "found", "deeper/found"):
        shutil.rmtree("found", ignore_errors=True)
        assert main([*sweep[:-1], output, "--trials", "2"]) == 0
        with open(f"{output}/trials.csv") as file:
            runs += [row["run"] for row in csv.DictReader(file)]
    assert len(set(runs)) == 6 and all(Path(run, "metrics.csv").is_file() for run in runs)


def test_brackets_in_a_value_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    sweep = write_sweep("grid", {"lr": {"values": [0.25]}, "name": {"values": ["[/a]"]}})
    assert main([*sweep, "--trials", "1"]) == 0
    (row,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("│ 0"))
    assert "[/a]" in row


def test_names_are_as_short_as_tells_them_apart() -> None:
    names = [
        "model.init_args.lr",
        "model.init_args.a.init_args.dropout",
        "model.init_args.b.init_args.dropout",
    ]
    assert list(short_names(names).values()) == ["lr", "a.dropout", "b.dropout"]
    assert short_names(["lr", "model.lr"]) == {"lr": "lr", "model.lr": "model.lr"}
