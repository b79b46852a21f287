"""One form of a speaker's name, by which folders and tables are compared."""

import unicodedata


def composed(name: str) -> str:
    """A name with its accents in one form: macOS' folders have them apart from their letters, tables seldom."""
    return unicodedata.normalize("NFC", name)
