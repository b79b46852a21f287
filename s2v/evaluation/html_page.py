"""A report as one HTML page that opens anywhere: style and pictures inside, nothing fetched, names escaped.

And what all pages of this package begin with, those of `s2v report` and `s2v study` too.
"""

import base64
import hashlib
from collections.abc import Collection, Iterable
from html import escape

_STYLE = """
:root { color-scheme: light dark; --ink: #222; --pale: #666; --paper: #fff; --line: #ddd; --own: #f1f6ff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e4e4; --pale: #a0a0a0; --paper: #181a1b; --line: #3a3d40; --own: #1d2836; }
}
body { font: 16px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 76em; padding: 0 1em;
  color: var(--ink); background: var(--paper); }
h1, h2 { line-height: 1.2; }
table { border-collapse: collapse; font-size: 14px; line-height: 1.3; font-variant-numeric: tabular-nums; }
th, td { padding: .35em .6em; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
th { vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: var(--paper); }
.systems th:nth-child(2), .systems td:nth-child(2) { background: var(--own); }
.reasons td { text-align: left; }
.reasons th { text-align: left; }
small { display: block; font-size: 11px; font-weight: 400; color: var(--pale); white-space: nowrap; }
.wide { overflow-x: auto; }
summary { cursor: pointer; margin: 1em 0; }
li, dd, .reasons td { overflow-wrap: break-word; }
img { max-width: 100%; }
dt { font-weight: 600; }
@media (max-width: 40em) { body { margin-top: 1em; } ul { padding-left: 1.2em; } dd { margin-left: 1em; } }
"""

# The browser itself refuses whatever would leave this page.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(
    header: list[str],
    table: list[list[str]],
    notes: list[str],
    faults: list[tuple[str, str, str]],
    definitions: dict[str, str],
    averages: str,
    sheet: bytes | None = None,
    first: Collection[str] | None = None,
) -> str:
    """The page's text.

    Args:
        header: "metric", "better", then the systems, a remark on one in brackets.
        table: its rows of cells, "mean [low, high] (clips of all)" from the third on.
        notes: sentences on where the numbers come from.
        faults: (clip, system, reason) of what could not be measured.
        definitions: what each metric means.
        averages: a sentence on what the table's numbers are.
        sheet: a PNG of real and generated frames.
        first: rows shown at once, the others below a line to open; None: all.
    """
    shown = [row for row in table if first is None or row[0] in first]
    parts = ["<h1>Test report</h1>", _numbers(header, shown), f"<p>{escape(averages)}</p>"]
    if len(shown) < len(table):
        parts.append(f"<details><summary>All metrics</summary>{_numbers(header, table)}</details>")
    parts.append(_list(notes))
    if sheet is not None:
        picture = base64.b64encode(sheet).decode("ascii")
        parts += [
            "<h2>Real and generated frames</h2>",
            f'<img alt="real and generated frames, a strip a speaker" src="data:image/png;base64,{picture}">',
        ]
    if faults:
        rows = [[escape(cell) for cell in fault] for fault in faults]
        parts += [
            f"<h2>Not measured ({len(faults)} {'row' if len(faults) == 1 else 'rows'})</h2>",
            _table("reasons", ["clip", "system", "reason"], rows),
        ]
    meanings = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in definitions.items()
    )
    parts.append(f"<h2>What the numbers mean</h2><dl>{meanings}</dl>")
    return document("Test report", _POLICY, _STYLE, parts)


def document(title: str, policy: str, style: str, body: Iterable[str]) -> str:
    """A whole page.

    Args:
        title: any text.
        policy: what the browser lets in.
        style: a style sheet.
        body: its lines, HTML.
    """
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer"><meta name="robots" content="noindex">',
            f"<title>{escape(title)}</title>",
            f"<style>{style}</style></head><body>",
            *body,
            "</body></html>",
            "",
        ]
    )


def policy_of(script: str, style: str, media: str) -> str:
    """A policy that lets in this script, this style, and videos from `media`; nothing becomes HTML, no form is sent.

    Script and style are named by their SHA-256: whatever else got into the page would not run.
    """
    return (
        f"default-src 'none'; media-src {media}; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _numbers(header: list[str], table: list[list[str]]) -> str:
    """The table with "better" below the metric's name, remarks below the systems' and all else below the means."""
    metric, _, *systems = header
    rows = [
        [_over(name, better), *(_over(*_parted(cell, " ")) for cell in cells)]
        for name, better, *cells in table
    ]
    return _table("systems", [metric, *(_over(*_parted(name, " (")) for name in systems)], rows)


def _parted(text: str, mark: str) -> tuple[str, str]:
    before, found, after = text.partition(mark)
    return before, found.strip() + after


def _over(text: str, below: str) -> str:
    """Escaped, a name breakable at its underscores, with something small below it."""
    words = escape(text).replace("_", "_<wbr>")
    return f"{words}<small>{escape(below)}</small>" if below else words


def _table(kind: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Of cells that are HTML."""
    head = "".join(f'<th scope="col">{cell}</th>' for cell in header)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="wide"><table class="{kind}"><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody>'
        "</table></div>"
    )


def _list(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"
