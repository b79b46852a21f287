"""What the test of early workers has them load: a value, kept by the process."""

import os
import time

loaded: list[str] = []
_grown: list[bytes] = []


def load(value: str) -> None:
    """Keep `value` in this process."""
    loaded.append(value)


def what_is_loaded(_: int) -> tuple[int, list[str]]:
    """The process and what it has kept."""
    return os.getpid(), loaded


def grow(_: int) -> int:
    """Keep 400 MB more, and take longer than joblib waits between two looks at a process's memory; the process."""
    if not _grown:
        _grown.append(b"1" * 400_000_000)
    time.sleep(1.1)
    return os.getpid()
