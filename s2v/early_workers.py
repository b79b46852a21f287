"""joblib's worker processes started first thing, so that they import and load while the command itself still does."""

import importlib
import threading
from typing import Any

import joblib

_starting: list[threading.Thread] = []


def start_workers(count: int, module: str, function: str, *arguments: Any) -> None:
    """Have each of `count` processes call `module.function(*arguments)`, and go on at once.

    Names, not the function: what it needs is imported there, and here only when this process comes to it.
    `joblib.Parallel(n_jobs=count)` finds these processes later, after `wait_for_workers`. An error in them is no error
    here: the work itself will meet it again.

    The function should load all that is large: joblib takes a process's memory after its first call as its measure, and
    starts one that outgrows it by 300 MB anew.
    """
    calls = [joblib.delayed(_call)(module, function, arguments) for _ in range(count)]
    thread = threading.Thread(target=joblib.Parallel(n_jobs=count, batch_size=1), args=(calls,))
    thread.start()
    _starting.append(thread)


def wait_for_workers() -> None:
    """Until what `start_workers` has started is done, if there is any."""
    while _starting:
        _starting.pop().join()


def _call(module: str, function: str, arguments: tuple[Any, ...]) -> None:
    try:
        getattr(importlib.import_module(module), function)(*arguments)
    except Exception:  # whatever it is, the command says it better
        return
