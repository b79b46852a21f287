"""One trial: the sweep's command with its values, run to its end, and the metric that it reached."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2v.errors import InputError
from s2v.reporting.metrics_file import find_metrics_files, last_entry, read_metrics
from s2v.sweeping.sweep_file import RUN_ID, SweepFile
from s2v.training.own_process import status_at_end


@dataclass(frozen=True)
class Outcome:
    """How a trial ended: with the metric's value, or with the reason why there is none."""

    value: float | None
    reason: str = ""


def trial_command(sweep: SweepFile, values: dict[str, Any]) -> list[str]:
    """The sweep's command with its macros replaced as W&B's agent replaces them, by this Python."""
    macros = {
        "${env}": ["/usr/bin/env"],
        "${interpreter}": [sys.executable],
        "${args}": [f"--{name}={value}" for name, value in values.items()],
    }
    return [word for part in sweep.command for word in macros.get(part, [part])]


def run_trial(sweep: SweepFile, values: dict[str, Any], run_id: str, log: Path) -> Outcome:
    """Run the command from the current folder, its output going to `log`.

    SIGTERM and Ctrl-C end it too, in its own time: the trial is then not told, and its values are tried again.

    Raises:
        InputError: the command can't be started.
        KeyboardInterrupt, SystemExit: after Ctrl-C and SIGTERM.
    """
    environment = os.environ | {"WANDB_RUN_ID": run_id}
    with open(log, "wb") as output:
        try:
            process = subprocess.Popen(
                trial_command(sweep, values),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        except OSError as error:
            raise InputError(f"the sweep's command can't be started: {error}") from error
        with process:
            status = status_at_end(process)
    if status != 0:
        return Outcome(None, f"exit status {status}: {_last_line(log)}")
    return reached(sweep, run_folder(sweep, run_id))


def run_folder(sweep: SweepFile, run_id: str) -> Path:
    """Where the trial of this id wrote."""
    return Path(sweep.run_dir.replace(RUN_ID, run_id))


def reached(sweep: SweepFile, folder: Path) -> Outcome:
    """The metric's last value, which is what W&B compares as well; a trial whose last one is no number has failed."""
    files = find_metrics_files(folder)
    metrics = read_metrics(files)
    last = last_entry(files, sweep.metric)
    if last.strip().lower().lstrip("+-") in ("nan", "inf"):
        return Outcome(None, f"{sweep.metric} is {last.strip()} in the end: it diverged")
    if sweep.metric in metrics:
        return Outcome(metrics[sweep.metric][-1][1])
    known = ", ".join(sorted(metrics)) or "none"
    return Outcome(None, f"{folder} has no metric {sweep.metric} (there are: {known})")


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else "it said nothing"
