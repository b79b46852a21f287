"""SIGTERM ends a command with status 143 and no traceback, and what is to be left in order is.

SIGHUP, of a terminal that is closed, is taken for it, unless it is ignored (`nohup`).
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

STATUS = 128 + signal.SIGTERM


@contextmanager
def ended_by_sigterm(trainer: "Trainer | None" = None) -> Iterator[None]:
    """The block ends where it is, like after Ctrl-C; but for the steps of a trainer's fit, which Lightning ends.

    While a fit steps, Lightning only notes the signal, and leaves at the end of the training batch by a SystemExit
    without a status, which would be that of success: it gets one here. Where the signal goes to the whole process group
    (`timeout`, a cluster), it ends loader workers first, and torch's RuntimeError about these is taken for the same.

    Raises:
        SystemExit: SIGTERM came.
    """

    def end(number: int, frame: Any) -> None:
        if trainer is None or not (trainer.received_sigterm and _steps(trainer)):
            raise SystemExit(STATUS)

    in_main = threading.current_thread() is threading.main_thread()  # only it may set handlers
    before = signal.signal(signal.SIGTERM, end) if in_main else None  # Lightning calls it after its own
    hung_up = in_main and hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
    if hung_up:
        signal.signal(signal.SIGHUP, lambda number, frame: signal.raise_signal(signal.SIGTERM))
    try:
        yield
    except (SystemExit, RuntimeError) as error:
        is_its_end = isinstance(error, SystemExit) or str(error).startswith("DataLoader worker (pid")
        if trainer is not None and trainer.received_sigterm and is_its_end:
            raise SystemExit(STATUS) from None
        raise
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before)
        if hung_up:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _steps(trainer: "Trainer") -> bool:
    """Whether a fit runs: only then does Lightning, whose enums are strings, ask."""
    return trainer.state.fn == "fit" and trainer.state.status == "running"
