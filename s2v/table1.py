"""`s2v table1`: train what is missing, test every system on the same clips, print the table beside the paper's."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2v.errors import InputError, warn
from s2v.files.whole_file import write_whole_file
from s2v.training.config_errors import config_files
from s2v.training.own_process import check_one_process, may_have_several_processes, run_in_own_process
from s2v.weight_files.stage_weights import weights_read
from s2v.weight_files.weight_source import changed_sources, contents_of_sources, files_of_source

if TYPE_CHECKING:
    from s2v.evaluation.table1_config import Stage, System, TablePlan


ONE_PROCESS = ["--trainer.devices=1", "--trainer.num_nodes=1", "--trainer.strategy=auto"]

TERMINAL = 80
"""Columns of a terminal that tables with a choice fit."""


def add_table1_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `s2v table1` to `parser`."""
    parser.add_argument(
        "--config",
        required=True,
        metavar="FILE",
        help="stages and systems, such as experiments/table1/crema_d.yaml",
    )
    parser.add_argument(
        "--train",
        choices=("missing", "never"),
        default="missing",
        help="fit the stages whose checkpoints are not there, or take it as an error (default: %(default)s)",
    )


def run_table1(args: argparse.Namespace) -> int:
    """Do what is left to do of a table. Finished fits and tests stay; a stopped fit goes on.

    Raises:
        InputError: the config is wrong, a checkpoint is missing, or the systems were not tested alike.
    """
    from s2v.evaluation.kept_clip import compare_systems
    from s2v.evaluation.table1_config import read_plan
    from s2v.evaluation.table1_reports import read_table

    check_one_process()
    plan = read_plan(args.config)
    check_what_is_given(plan)
    for stage in plan.stages:
        fit_stage(stage, args.train == "missing")
    reports = {system.name: evaluate(system, plan.output) for system in plan.systems}
    table = read_table(reports, plan.dataset)
    paths = table.write(plan.output)
    paths += compare_systems({s.name: plan.output / s.slug / "clips" for s in plan.systems}, plan.output)
    print(table.as_markdown(paired_columns=TERMINAL))
    for path in paths:
        print(f"wrote {path}")
    return 0


def check_what_is_given(plan: TablePlan) -> None:
    """What no stage will make has to be there before the first of them is trained, which takes hours.

    Raises:
        InputError: a system's checkpoint or config is missing. Of a judge's weights a line warns.
    """
    from s2v.evaluation.table1_config import judges_named

    made = [stage.folder.resolve() for stage in plan.stages]

    def is_missing(path: Path) -> bool:
        return not path.is_file() and not any(path.resolve().is_relative_to(folder) for folder in made)

    for system in plan.systems:
        if system.checkpoint is not None and is_missing(system.checkpoint):
            raise InputError(
                f"{system.name}: there is no checkpoint {system.checkpoint}: add its stage, or check the path"
            )
        for file in config_files(system.arguments):
            if is_missing(Path(file)):
                raise InputError(
                    f"{system.name}: there is no config {file}: add its stage, or check the path"
                )
    # an option may yet name another judge
    named = dict.fromkeys(source for system in plan.systems for source in judges_named(system.arguments))
    for file in [file for source in named for file in files_of_source(source)]:
        if is_missing(Path(file)):
            warn(
                f"the report names the weights {file}, which are not there: the tests after the training need them"
            )


def fit_stage(stage: Stage, may_train: bool) -> None:
    """Fit a stage unless it is finished.

    A note in its folder says whether it was begun by a table and is done, and from which settings and weights. A
    checkpoint without a note was trained elsewhere and is taken as it is; one of a fit that was stopped is gone on
    from. A fit is kept, or gone on with, with other settings or weights than it would have now, too, since training
    takes hours; a line says so.
    """
    note = stage.folder / "table1.json"
    state = json.loads(note.read_text()) if note.is_file() else {}
    there = stage.checkpoint.is_file()
    if there and state.get("state") in (None, "finished"):
        weights = changed_sources(state.get("weights", {}))
        since = _otherwise(stage, _differences(stage, state), weights, "trained")
        elsewhere = "" if state else ", trained elsewhere and taken as it is"
        print(f"{stage.name}: kept {stage.checkpoint}{elsewhere}{since}")
        return
    if not may_train:
        raise InputError(
            f"{stage.name}: there is no finished fit at {stage.checkpoint}: leave --train never out"
        )
    last = stage.folder / "last.ckpt"
    resuming = state.get("state") == "started" and last.is_file()
    # what a stopped fit began with is in its checkpoint, whatever has come to lie there since
    begun = state if resuming else {}
    begun_with: dict[str, str] = begun.get("weights", {})
    since = _otherwise(stage, _differences(stage, begun), changed_sources(begun_with), "begun")
    print(f"{stage.name}: {f'goes on from {last}{since}' if resuming else 'training'}", flush=True)
    asked = {"arguments": stage.arguments, "files": contents_of_sources(config_files(stage.arguments))}
    asked |= {key: begun[key] for key in asked if key in begun}
    _write_note(note, {"state": "started", **asked, "weights": begun_with})
    run = run_in_own_process if may_have_several_processes(stage.arguments) else run_training_command
    try:
        run(["fit", *stage.arguments, *(["--ckpt_path", str(last)] if resuming else [])])
    except BaseException:  # Ctrl-C and SIGTERM too
        _write_note(note, {"state": "started", **asked, "weights": weights_read(stage.folder) | begun_with})
        raise
    if not stage.checkpoint.is_file():
        raise InputError(
            f"{stage.name} was trained but wrote no {stage.checkpoint}: its run_dir must be {stage.folder}, "
            "with a ModelCheckpoint named best"
        )
    _write_note(note, {"state": "finished", **asked, "weights": weights_read(stage.folder) | begun_with})


def _otherwise(stage: Stage, settings: list[str], weights: list[str], done: str) -> str:
    """What follows the name of a checkpoint that was `done` otherwise than it would be now; empty: it was not."""
    kinds = " and ".join(kind for kind, found in (("settings", settings), ("weights", weights)) if found)
    if not kinds:
        return ""
    differences = "; ".join([*settings, *(f"{name} has changed" for name in weights)])
    return f", {done} with other {kinds} ({differences}): to train it anew, delete {stage.folder}"


def _differences(stage: Stage, state: dict[str, Any]) -> list[str]:
    """What of a stage's settings has changed since its note was written, in words; an old note knows no contents."""
    before, now = state.get("arguments", stage.arguments), stage.arguments
    gone, new = [a for a in before if a not in now], [a for a in now if a not in before]
    found = [f"then {' '.join(gone)}"] if gone else []
    if new:
        found.append(f"now {' '.join(new)}")
    if before != now and not found:
        found.append("the same options in another order")
    return found + [f"{name} has changed" for name in changed_sources(state.get("files", {}))]


def evaluate(system: System, output: Path) -> Path:
    """Test a system unless this very checkpoint was tested like this before, by the same judges; its report.json."""
    from s2v.files.file_hash import sha256_of_file

    if system.checkpoint is not None and not system.checkpoint.is_file():
        raise InputError(
            f"{system.name}: there is no checkpoint {system.checkpoint}: add its stage, or check the path"
        )
    folder = output / system.slug
    report, note = folder / "report" / "report.json", folder / "tested.json"
    key: dict[str, object] = {
        "checkpoint_sha256": None if system.checkpoint is None else sha256_of_file(str(system.checkpoint)),
        "arguments": system.arguments,
    }
    before = json.loads(note.read_text()) if report.is_file() and note.is_file() else {}
    if key == {name: before.get(name) for name in key}:
        changed = changed_sources(before.get("files", {}))
        if not changed:
            print(f"{system.name}: kept {report}")
            return report
        print(f"{system.name}: changed since its test: {', '.join(changed)}")
    files = contents_of_sources(config_files(system.arguments))
    note.unlink(missing_ok=True)
    shutil.rmtree(folder / "clips", ignore_errors=True)  # of another checkpoint, if this test keeps none
    print(f"{system.name}: testing {system.checkpoint or 'the weights of its configs'}", flush=True)
    weights = [] if system.checkpoint is None else ["--ckpt_path", str(system.checkpoint)]
    one = ONE_PROCESS if may_have_several_processes(system.arguments) else []  # as a report needs it
    run_training_command(["test", *system.arguments, "--run_dir", str(folder), *weights, *one])
    if not report.is_file():
        raise InputError(
            f"{system.name} was tested but there is no {report}: the config's `report` must have a TestReport "
            "with output_dir ${run_dir}/report"
        )
    _write_note(note, key | {"files": files | contents_of_sources(_weights(report))})
    return report


def _weights(report: Path) -> list[str]:
    """The files of a report's judges, of what it tested, and the lists of its clips and of whose stills they got."""
    meta = json.loads(report.read_text()).get("meta", {})
    named = [
        *meta.get("judges", {}).values(),
        meta.get("checkpoint"),
        meta.get("manifest"),
        meta.get("stills"),
    ]
    return [weights["file"] for weights in named if weights]


def run_training_command(arguments: list[str]) -> None:
    """`s2v fit|test`, in this process."""
    from s2v.training import training_cli

    training_cli.run(arguments)


def _write_note(path: Path, content: dict[str, object]) -> None:
    write_whole_file(path, (json.dumps(content, indent=1) + "\n").encode())
