"""A report as one HTML page that opens anywhere: style and pictures inside, nothing fetched, names escaped."""

import base64
from collections.abc import Iterable
from html import escape

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 80em; padding: 0 1em; color: #222; }
table { border-collapse: collapse; font-size: 13px; }
th, td { padding: .25em .7em; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.wide { overflow-x: auto; }
img { max-width: 100%; }
dt { font-weight: 600; }
"""

# The browser itself refuses whatever would leave this page.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(
    header: list[str],
    table: list[list[str]],
    notes: list[str],
    faults: list[tuple[str, str, str]],
    definitions: dict[str, str],
    sheet: bytes | None = None,
) -> str:
    """The page's text.

    Args:
        header: names of the table's columns.
        table: its rows of cells.
        notes: sentences on where the numbers come from.
        faults: (clip, system, reason) of what could not be measured.
        definitions: what each metric means.
        sheet: a PNG of real and generated frames.
    """
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>Test report</title><style>{_STYLE}</style></head><body>",
        "<h1>Test report</h1>",
        f'<div class="wide">{_table(header, table)}</div>',
        "<p>Mean over clips with 95 % bootstrap interval, resampled by speaker.</p>",
        _list(notes),
    ]
    if sheet is not None:
        picture = base64.b64encode(sheet).decode("ascii")
        parts += [
            "<h2>Real and generated frames</h2>",
            f'<img alt="real and generated frames, a strip a speaker" src="data:image/png;base64,{picture}">',
        ]
    if faults:
        parts += [
            f"<h2>Not measured ({len(faults)} rows)</h2>",
            f'<div class="wide">{_table(["clip", "system", "reason"], faults)}</div>',
        ]
    meanings = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in definitions.items()
    )
    parts += [f"<h2>What the numbers mean</h2><dl>{meanings}</dl>", "</body></html>"]
    return "\n".join(parts) + "\n"


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _list(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"
