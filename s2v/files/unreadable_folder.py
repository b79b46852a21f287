"""A subfolder that may not be read: `os.walk` and `Path.rglob` leave out what it holds without a word."""

from s2v.errors import InputError


def refuse_unreadable(error: OSError) -> None:
    """For `os.walk`'s `onerror`. A folder that isn't there, or is a file, holds nothing, as without this.

    Raises:
        InputError: a folder may not be read.
    """
    if isinstance(error, PermissionError):
        raise InputError(
            f"{error.filename} can't be read ({error.strerror}): check who may read it"
        ) from error
