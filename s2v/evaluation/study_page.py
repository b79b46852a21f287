"""A study's page: one HTML file with its script and style inside, and a policy that lets in nothing else."""

import json
from pathlib import Path
from typing import Any

from s2v.evaluation.html_page import document, policy_of

_FOLDER = Path(__file__).parent


def study_page(study: dict[str, Any]) -> str:
    """The page's text, which asks for nothing but videos from its own place.

    Args:
        study: what `study.json` holds: id, title, emotions and items; any text in it stays text.
    """
    script = (_FOLDER / "study_page.js").read_text("utf-8")
    style = (_FOLDER / "study_page.css").read_text("utf-8")
    body = [
        '<main id="stage"><noscript>This study needs JavaScript.</noscript></main>',
        f'<script type="application/json" id="study">{_json_in_html(study)}</script>',
        f"<script>{script}</script>",
    ]
    return document(str(study["title"]), policy_of(script, style, "'self'"), style, body)


def _json_in_html(value: Any) -> str:
    """JSON that no HTML parser ends early: <, > and & are written as \\u003c, \\u003e and \\u0026."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
