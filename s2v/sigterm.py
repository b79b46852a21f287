"""SIGTERM ends every training command, with status 143 and no traceback."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.trainer.states import TrainerFn, TrainerStatus
from lightning.pytorch.utilities.exceptions import SIGTERMException

STATUS = 128 + signal.SIGTERM


def _trains(trainer: Trainer) -> bool:
    return trainer.state.fn == TrainerFn.FITTING and trainer.state.status == TrainerStatus.RUNNING


@contextmanager
def ended_by_sigterm(trainer: Trainer) -> Iterator[None]:
    """What Lightning leaves open: it takes note of SIGTERM, and asks at the end of a training batch only.

    A test, a validation or a prediction ends where it is, as does a fit that has not begun its steps: Lightning sets
    its own handlers only then. Its orderly end of a fit has no status, which would be the success of a whole one. A
    group's SIGTERM (of `timeout`, of a cluster) ends loader workers too, of which torch hears before that.

    Raises:
        SystemExit: SIGTERM came.
    """

    def end(number: int, frame: Any) -> None:
        if not (trainer.received_sigterm and _trains(trainer)):
            raise SystemExit(STATUS)

    in_main = threading.current_thread() is threading.main_thread()  # only it may set handlers
    before = signal.signal(signal.SIGTERM, end) if in_main else None  # Lightning calls it after its own
    try:
        yield
    except SIGTERMException:
        raise SystemExit(STATUS) from None
    except RuntimeError as error:
        if trainer.received_sigterm and str(error).startswith("DataLoader worker (pid"):
            raise SystemExit(STATUS) from None
        raise
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before)
