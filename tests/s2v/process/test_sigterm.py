"""What a command ends with after SIGTERM; whole commands: tests/s2v/training/test_training_cli.py."""

import signal
from types import SimpleNamespace
from typing import Any

import pytest

from s2v.process.sigterm import ended_by_sigterm

OF_A_WORKER = RuntimeError("DataLoader worker (pid 7) is killed by signal: Terminated. ")


@pytest.mark.parametrize(
    ("received", "error", "status"),
    [
        (True, SystemExit(), 143),  # Lightning's own, at a batch's end
        (True, OF_A_WORKER, 143),
        (True, RuntimeError("CUDA out of memory"), None),
        (False, OF_A_WORKER, None),
        (False, SystemExit(2), 2),
    ],
)
def test_the_status_of_what_ends_a_fit(received: bool, error: BaseException, status: int | None) -> None:
    before, trainer = signal.getsignal(signal.SIGTERM), SimpleNamespace(received_sigterm=received)
    ends: Any = pytest.raises(type(error) if status is None else SystemExit)
    with ends as ended, ended_by_sigterm(trainer):  # type: ignore[arg-type]
        raise error
    assert ended.value is error if status is None else ended.value.code == status
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP])
def test_without_a_trainer_it_ends_at_once(sent: signal.Signals) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with pytest.raises(SystemExit) as ended, ended_by_sigterm():
            signal.raise_signal(sent)
        assert ended.value.code == 143
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


def test_nohup_stays() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_sigterm():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
