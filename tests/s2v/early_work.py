"""What the test of early workers has them load: a value, kept by the process."""

import os

loaded: list[str] = []


def load(value: str) -> None:
    """Keep `value` in this process."""
    loaded.append(value)


def what_is_loaded(_: int) -> tuple[int, list[str]]:
    """The process and what it has kept."""
    return os.getpid(), loaded
