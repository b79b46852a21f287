"""SIGTERM ends every training command, with status 143 and no traceback."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.trainer.states import TrainerFn, TrainerStatus

STATUS = 128 + signal.SIGTERM


@contextmanager
def ended_by_sigterm(trainer: Trainer) -> Iterator[None]:
    """What Lightning leaves open: it takes note of SIGTERM, and asks at the end of a training batch only.

    A test, a validation or a prediction ends where it is. A group's SIGTERM (of `timeout`, of a cluster) ends loader
    workers too, of which torch hears before the fit's own orderly end.

    Raises:
        SystemExit: SIGTERM came.
    """

    def end(number: int, frame: Any) -> None:
        if trainer.state.fn != TrainerFn.FITTING or trainer.state.status != TrainerStatus.RUNNING:
            raise SystemExit(STATUS)

    in_main = threading.current_thread() is threading.main_thread()  # only it may set handlers
    before = signal.signal(signal.SIGTERM, end) if in_main else None  # Lightning calls it after its own
    try:
        yield
    except RuntimeError as error:
        if trainer.received_sigterm and str(error).startswith("DataLoader worker (pid"):
            raise SystemExit(STATUS) from None
        raise
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before)
