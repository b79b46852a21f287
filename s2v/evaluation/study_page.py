"""A study's page: one HTML file with its script and style inside, and a policy that lets in nothing else."""

import json
from html import escape
from pathlib import Path
from typing import Any

from s2v.evaluation.html_page import policy_hash

_FOLDER = Path(__file__).parent


def study_page(study: dict[str, Any]) -> str:
    """The page's text.

    The policy names script and style by their SHA-256: whatever else got into the page would not run. It allows
    no request but for videos from the page's own place, no form, and no text that becomes HTML.

    Args:
        study: what `study.json` holds: id, title, emotions and items; any text in it stays text.
    """
    script = (_FOLDER / "study_page.js").read_text("utf-8")
    style = (_FOLDER / "study_page.css").read_text("utf-8")
    policy = (
        f"default-src 'none'; media-src 'self'; script-src '{policy_hash(script)}'; style-src '{policy_hash(style)}'; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer"><meta name="robots" content="noindex">',
            f"<title>{escape(str(study['title']))}</title>",
            f"<style>{style}</style></head><body>",
            '<main id="stage"><noscript>This study needs JavaScript.</noscript></main>',
            f'<script type="application/json" id="study">{_json_in_html(study)}</script>',
            f"<script>{script}</script>",
            "</body></html>",
            "",
        ]
    )


def _json_in_html(value: Any) -> str:
    """JSON that no HTML parser ends early: <, > and & are written as \\u003c, \\u003e and \\u0026."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
