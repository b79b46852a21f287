"""What is said to the person who typed the command: the one exception meant for them, and warnings."""

import sys


class InputError(ValueError):
    """Bad input: one line saying what was expected, what came, which file, and what to do.

    The command line prints the message without a traceback and exits with status 2.
    """


def one_line(error: BaseException, most: int | None = None) -> str:
    """What an exception says, in one line, of at most so many letters: whole words, and dots for the rest."""
    text = " ".join(str(error).split())
    if most is None or len(text) <= most:
        return text
    return f"{text[: most - 3].rpartition(' ')[0] or text[: most - 4]} ..."


def warn(text: str) -> None:
    """A line on standard error, beside what the command prints."""
    print(f"s2v: warning: {text}", file=sys.stderr)
