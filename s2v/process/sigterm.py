"""SIGTERM ends a command with status 143 and no traceback, and what is to be left in order is."""

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

    Lightning takes note of SIGTERM while a fit steps, and asks at the end of a training batch only. Its orderly end has
    no status, which would be the success of a whole fit. A group's SIGTERM (of `timeout`, of a cluster) ends loader
    workers too, of which torch hears before that.

    Raises:
        SystemExit: SIGTERM came.
    """

    def end(number: int, frame: Any) -> None:
        if trainer is None or not (trainer.received_sigterm and _steps(trainer)):
            raise SystemExit(STATUS)

    in_main = threading.current_thread() is threading.main_thread()  # only it may set handlers
    before = signal.signal(signal.SIGTERM, end) if in_main else None  # Lightning calls it after its own
    try:
        yield
    except SystemExit:
        if trainer is not None and trainer.received_sigterm:
            raise SystemExit(STATUS) from None
        raise
    except RuntimeError as error:
        if (
            trainer is not None
            and trainer.received_sigterm
            and str(error).startswith("DataLoader worker (pid")
        ):
            raise SystemExit(STATUS) from None
        raise
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before)


def _steps(trainer: "Trainer") -> bool:
    """Whether a fit runs: only then does Lightning, whose enums are strings, ask."""
    return trainer.state.fn == "fit" and trainer.state.status == "running"
