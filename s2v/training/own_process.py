"""A training command in a process of its own, which fits that have several processes need.

Lightning starts the other processes by running the command line again: below `s2v table1` that would be the whole
table, once a process.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from s2v.errors import InputError


def may_have_several_processes(arguments: list[str]) -> bool:
    """Whether a command's configs and options leave it open that Lightning starts several processes.

    Args:
        arguments: `--config FILE` and `--KEY=VALUE`; the last one that sets a key counts.
    """
    found: dict[str, Any] = {"devices": "auto", "num_nodes": 1}
    for option, value in pairwise([*arguments, ""]):
        name, is_set, after = option.partition("=")
        value = after if is_set else value
        if name in ("--config", "-c"):
            trainer = _trainer_of(Path(value))
            found |= {key: trainer[key] for key in found if key in trainer}
        elif name.removeprefix("--trainer.") in found:
            found[name.removeprefix("--trainer.")] = value
    return any(str(value) != "1" for value in found.values())


def _trainer_of(config: Path) -> dict[str, Any]:
    """Its `trainer`; empty where it has none. What is wrong with it, the command says."""
    try:
        content = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    trainer = content.get("trainer") if isinstance(content, dict) else None
    return trainer if isinstance(trainer, dict) else {}


def check_one_process() -> None:
    """Whether this process is alone, as a command that runs others must be.

    Raises:
        InputError: torchrun or SLURM has started it several times.
    """
    started = {name: os.environ.get(name, "1") for name in ("WORLD_SIZE", "SLURM_NTASKS")}
    for name, count in started.items():
        if count.isdigit() and int(count) > 1:
            raise InputError(
                f"s2v table1 is one process, which starts those of its fits, and {name} is {count}: run it without "
                "torchrun, and as a job's only task"
            )


def run_in_own_process(arguments: list[str]) -> None:
    """`s2v ARGUMENTS` in another Python, until it ends; SIGTERM and Ctrl-C end it too.

    Raises:
        InputError: it failed; it has said why.
        KeyboardInterrupt: Ctrl-C, after its orderly end.
        SystemExit: after SIGTERM.
    """
    with subprocess.Popen([sys.executable, "-m", "s2v", *arguments]) as process:
        status = status_at_end(process)
    if status != 0:
        raise InputError(f"s2v {arguments[0]} ended with status {status}")


def status_at_end(process: "subprocess.Popen[bytes]") -> int:
    """Wait for it; SIGTERM and Ctrl-C end it too, in its own time.

    Raises:
        KeyboardInterrupt: Ctrl-C, after its orderly end.
        SystemExit: after SIGTERM.
    """
    with _passed_on(process):
        try:
            return process.wait()
        except KeyboardInterrupt:  # the terminal has told both
            process.wait()
            raise


@contextmanager
def _passed_on(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """SIGTERM to this process goes to the other one, too, and ends this one once the other has ended."""
    asked_to_end = False

    def pass_on(number: int, frame: Any) -> None:
        nonlocal asked_to_end
        asked_to_end = True
        process.send_signal(number)

    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if asked_to_end:
            raise SystemExit(128 + signal.SIGTERM)
