"""The one exception meant for the person who typed the command, and how its message quotes others."""


class InputError(ValueError):
    """Bad input: one line saying what was expected, what came, which file, and what to do.

    The command line prints the message without a traceback and exits with status 2.
    """


def one_line(error: BaseException, most: int | None = None) -> str:
    """What an exception says, in one line, of at most so many letters."""
    return " ".join(str(error).split())[:most]
