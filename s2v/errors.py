"""The one exception meant for the person who typed the command."""


class InputError(ValueError):
    """Bad input: one line saying what was expected, what came, which file, and what to do.

    The command line prints the message without a traceback and exits with status 2.
    """
