"""Commands that `s2v table1` runs in a process of their own: which, and how they end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from s2v.cli import main
from s2v.errors import InputError
from s2v.training.own_process import (
    check_one_process,
    may_have_several_processes,
    run_in_own_process,
    status_at_end,
)
from tests.conftest import REPOSITORY

BASE = ["--config", str(REPOSITORY / "experiments" / "base" / "trainer.yaml")]
DDP = ["--config", str(REPOSITORY / "experiments" / "base" / "ddp.yaml")]


@pytest.mark.parametrize(
    ("arguments", "several"),
    [
        (BASE, False),
        ([*BASE, *DDP], True),
        ([*DDP, *BASE], False),
        ([*BASE, "--trainer.devices=2"], True),
        ([*BASE, *DDP, "--trainer.devices", "1"], False),
        ([*BASE, "--trainer.devices=[0]"], True),  # one, but its own process does no harm
        ([*BASE, "--trainer.num_nodes=2"], True),
        ([f"--config={BASE[1]}"], False),
        ([], True),  # Lightning's own default is all devices
    ],
)
def test_what_may_have_several_processes(arguments: list[str], several: bool) -> None:
    assert may_have_several_processes(arguments) == several


@pytest.mark.parametrize("content", [None, b"trainer: {devices: [", b"\xff", b"- 1", b"trainer: 1"])
def test_a_config_that_cannot_be_read_is_left_to_the_command(content: bytes | None, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    if content is not None:
        config.write_bytes(content)
    assert not may_have_several_processes([*BASE, "--config", str(config)])


def test_after_the_command_sigterm_is_the_callers_again() -> None:
    """Passed on to a process that has ended, it would end nothing."""
    before = signal.getsignal(signal.SIGTERM)
    with subprocess.Popen([sys.executable, "-S", "-c", "raise SystemExit(3)"]) as process:
        assert status_at_end(process) == 3
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.slow
def test_a_failure_is_one_line_more(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="s2v fit ended with status 2"):
        run_in_own_process(["fit", "--config", "none.yaml"])
    assert "s2v: error: --config none.yaml: no such file" in capfd.readouterr().err


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_what_ends_the_caller_ends_the_command(sent: signal.Signals, status: int, tmp_path: Path) -> None:
    """The command is a Python that waits; it writes its id first, and a line when it has ended in order."""
    (tmp_path / "s2v.py").write_text(
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "try:\n"
        "    open('begun', 'w').write(str(os.getpid()))\n"
        "    time.sleep(60)\n"
        "finally:\n"
        "    time.sleep(0.5)\n"
        "    open('ended', 'w').close()\n"
    )
    caller = (
        f"import signal, sys; sys.path.insert(0, {str(REPOSITORY)!r})\n"
        "from s2v.training.own_process import run_in_own_process\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "try:\n"
        "    run_in_own_process(['fit'])\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(130)\n"
    )
    (tmp_path / "caller.py").write_text(caller)
    process = subprocess.Popen(
        [sys.executable, "caller.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "begun").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)
    if sent == signal.SIGTERM:
        process.send_signal(sent)
    else:
        os.killpg(process.pid, sent)  # as a terminal does
    assert process.wait(timeout=60) == status
    assert (tmp_path / "ended").is_file()


@pytest.mark.parametrize("count", ["", "1"])
def test_one_task_is_one_process(count: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_NTASKS", count)
    check_one_process()


@pytest.mark.parametrize("variable", ["WORLD_SIZE", "SLURM_NTASKS"])
def test_a_table_is_one_process(
    variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, "4")
    assert main(["table1", "--config", "none.yaml"]) == 2
    assert f"s2v table1 is one process, which starts those of its fits, and {variable} is 4" in (
        capsys.readouterr().err
    )
