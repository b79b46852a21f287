"""Which of a config's callbacks a command takes."""

from typing import Any

ONE_A_TEST = ("callbacks.kept_clips.KeptClips", "callbacks.test_report.TestReport")
"""What writes a test's files."""


def last_reports(callbacks: Any) -> Any:
    """Of each of ONE_A_TEST the last one only: the config of a fit that ended with its test has its own."""
    if not isinstance(callbacks, list):
        return callbacks
    names = [callback.get("class_path") for callback in callbacks]
    return [
        callback
        for place, callback in enumerate(callbacks)
        if names[place] not in ONE_A_TEST or names[place] not in names[place + 1 :]
    ]


def without_bars(callbacks: Any) -> Any:
    """The callbacks but Lightning's progress bars, which a Trainer with `enable_progress_bar: false` refuses."""
    if not isinstance(callbacks, list):
        return callbacks
    bars = ("RichProgressBar", "TQDMProgressBar")
    return [callback for callback in callbacks if not callback.get("class_path", "").endswith(bars)]
