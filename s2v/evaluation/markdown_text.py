"""Markdown's tables; texts from strangers, there and on a terminal: they show as text, whatever they hold."""

import html
import re
from collections.abc import Iterable, Sequence


def printable(text: str) -> str:
    """Without control characters."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def escaped(text: str) -> str:
    """In Markdown or a cell of its tables: neither markup nor HTML."""
    return re.sub(r"([\\`*_\[\]|#!~])", r"\\\1", html.escape(printable(text), quote=False))


def table_lines(header: Sequence[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """A table, of cells as they are."""
    return ["| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows)]
