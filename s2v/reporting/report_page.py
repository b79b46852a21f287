"""The page: one HTML file with its style, script, charts and most videos inside, and a policy that lets in nothing
else. Every name in it is escaped."""

import json
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

from s2v.evaluation.bootstrap import Estimate
from s2v.evaluation.clip_rows import CALIBRATION
from s2v.evaluation.html_page import document, policy_of
from s2v.evaluation.paired_difference import ClipScores, paired_differences
from s2v.evaluation.paired_table import SIGNS
from s2v.evaluation.report_rows import finite_number
from s2v.evaluation.summary import BETTER, CLIP_METRICS, METRICS, averages_note, own_metrics
from s2v.reporting.chart import STYLES, chart_svg, is_logarithmic
from s2v.reporting.comparable_runs import (
    incomparable,
    is_judged_by,
    meta_of,
    unlike_judges,
    unlike_own_metrics,
    why_not_paired,
)
from s2v.reporting.config_file import differing_keys
from s2v.reporting.run_folder import Run

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class ShownVideo:
    """A video on the page: `source` is a data URI, or the file's address relative to the page."""

    run: str
    source: str
    file: str
    """Its name where it lies beside the page; empty for an embedded one."""


def report_page(runs: list[Run], videos: dict[str, list[ShownVideo]], notes: list[str]) -> str:
    """The page's text.

    Args:
        runs: in the order of lines and columns.
        videos: clip -> its videos, one a run that has it.
        notes: sentences on the videos: which are embedded, which lie beside the page, which were left out.
    """
    script = (_FOLDER / "report_page.js").read_text("utf-8")
    style = (_FOLDER / "report_page.css").read_text("utf-8")
    beside = any(video.file for shown in videos.values() for video in shown)
    body = [
        f"<main><h1>{escape(f'{len(runs)} runs' if len(runs) > 1 else runs[0].name)}</h1>",
        _legend(runs),
        *_test_section(runs),
        *_video_section(videos, notes),
        *_curve_section(runs),
        *_config_section(runs),
        f"</main><script>{script}</script>",
    ]
    policy = policy_of(script, style, "data: 'self'" if beside else "data:")
    return document(" / ".join(run.name for run in runs), policy, style, body)


def _legend(runs: list[Run]) -> str:
    def sample(number: int) -> str:
        css = f"s{number % STYLES}"
        line = f'<line class="line {css}" x1="0" x2="32" y1="5" y2="5"/>'
        return f'<svg viewBox="0 0 32 10" aria-hidden="true">{line}</svg>'

    items = "".join(f"<li>{sample(number)}{escape(run.name)}</li>" for number, run in enumerate(runs))
    return f'<ul class="legend">{items}</ul>'


def _test_section(runs: list[Run]) -> list[str]:
    tested = [run for run in runs if run.report is not None]
    if not tested:
        return []
    found = _system_rows(tested)
    better = dict(METRICS)
    for run in tested:
        better |= own_metrics(meta_of(run))
    metrics = [m for m in better if any(_estimate(summary, m) for _, _, summary in found)]
    columns = [("run", "")] + [(metric, BETTER.get(better[metric], "")) for metric in metrics]
    rows = []
    for label, system, summary in found:
        css = ' class="calibration"' if system in CALIBRATION else ""
        cells = "".join(_estimate_cell(_estimate(summary, metric)) for metric in metrics)
        scored = f"{summary.get('scored', '?')}/{summary.get('total', '?')}"
        row = f'<th scope="row" data-value="{escape(label)}">{escape(label)}</th>{cells}'
        rows.append(f'<tr{css}>{row}<td data-value="{escape(scored)}">{escape(scored)}</td></tr>')
    parts = ["<h2>Test</h2>"]
    parts += [f'<p class="warning">{escape(text)}</p>' for text in incomparable(tested)]
    parts.append(_table([*columns, ("scored", "clips")], rows, "test results", sortable=True))
    estimates = [
        cell for _, _, summary in found for metric in metrics if (cell := _estimate(summary, metric))
    ]
    averages = averages_note(any(low is not None for _, low, _ in estimates))
    parts.append(
        f'<p class="note">{averages} '
        "Grey rows calibrate: they say what the judges make of real frames, of wrong speech, of a still.</p>"
    )
    parts += _paired_section(tested)
    tested_on = [[_tested_on(run, key) for run in tested] for key in _TESTED_ON]
    parts.append("<h3>Tested on</h3>")
    parts.append(_words([run.name for run in tested], dict(zip(_TESTED_ON.values(), tested_on, strict=True))))
    return parts


def _paired_section(tested: list[Run]) -> list[str]:
    """The first run minus each other on the clips that both have; nothing where no other has clips."""
    first = tested[0]
    others = [run for run in tested[1:] if run.clips is not None and run.clips.places]
    if first.clips is None or not first.clips.places or not others:
        return []
    left_out = {run.name: reason for run in others if (reason := why_not_paired(first, run))}
    compared = [run for run in others if run.name not in left_out]
    unlike = {run.name: unlike_judges(first, run) for run in compared}
    own = {run.name: unlike_own_metrics(first, run) for run in compared}
    clips = {run.name: _alike(run.clips, unlike[run.name], own[run.name]) for run in compared if run.clips}
    better = CLIP_METRICS | own_metrics(meta_of(first))
    # the number and the seed are those of a report by default: what its file asks for need not be sane
    paired = paired_differences({first.name: first.clips, **clips}, first.name, better, 1000, 0)
    rows = []
    for metric in better:
        found = {name: values.get(metric) for name, values in paired.minus.items()}
        if not any(found.values()):
            continue
        sign = f"<br><small>{SIGNS[better[metric]]} is better</small>" if better[metric] in SIGNS else ""
        cells = "".join(_difference_cell(value, paired.clips[name]) for name, value in found.items())
        heading = f'<th scope="row" data-value="{escape(metric)}">{escape(metric)}{sign}</th>'
        rows.append(f"<tr>{heading}{cells}</tr>")
    columns = [("metric", ""), *((f"minus {name}", "") for name in paired.minus)]
    notes = [
        f"minus {name}: without what the {' and '.join(judges)} judge measured, which does not compare"
        for name, judges in unlike.items()
        if judges
    ]
    notes += [
        f"minus {name}: without {' and '.join(metrics)}, measured in another way there"
        for name, metrics in own.items()
        if metrics
    ]
    notes += [f"{name} is left out: {reason}." for name, reason in left_out.items()]
    parts = [f'<p class="note">{escape(text)}</p>' for text in notes]
    if rows:
        parts = [
            f'<p class="note">{escape(first.name)} minus each other run, mean over the clips that both have; '
            "intervals: 95 % by bootstrap, resampled by speaker.</p>",
            *parts,
            _table(columns, rows, "paired differences", sortable=True),
        ]
    return ["<h3>Paired differences</h3>", *parts] if parts else []


def _alike(clips: ClipScores, unlike: list[str], own: list[str]) -> ClipScores:
    """Without what other judges or classes measured, of which a difference would tell nothing."""
    kept = {
        metric: values
        for metric, values in clips.values.items()
        if metric not in own and not any(is_judged_by(metric, judge) for judge in unlike)
    }
    return replace(clips, values=kept)


def _difference_cell(value: Estimate | None, clips: int) -> str:
    if value is None:
        return _estimate_cell(None)
    pairs = f"{value.n} of {clips} clips" if value.n < clips else ""
    return _estimate_cell((value.mean, finite_number(value.low), finite_number(value.high)), pairs)


_TESTED_ON = {
    "dataset": "data",
    "split": "split",
    "clips": "clips",
    "speakers": "speakers",
    "image_size": "picture size",
    "clip_list_sha256": "list of clips, sha256",
}


def _tested_on(run: Run, key: str) -> str:
    """Folders may differ in their ends alone; of a hash half is enough."""
    said = str(meta_of(run).get(key))
    return said[:32] if key == "clip_list_sha256" else said


def _system_rows(tested: list[Run]) -> list[tuple[str, str, dict[str, Any]]]:
    """(label, system, numbers); a calibration that several runs share, number for number, is one row.

    What all runs share, and everything where there is one run alone, is labelled without a run's name.
    """
    rows: dict[tuple[str, str], tuple[list[str], str, dict[str, Any]]] = {}
    for run in tested:
        for system, summary in (run.report or {})["systems"].items():
            shared = json.dumps(summary, sort_keys=True) if system in CALIBRATION else run.name
            rows.setdefault((system, shared), ([], system, summary))[0].append(run.name)
    ordered = sorted(rows.values(), key=lambda row: row[1] in CALIBRATION)
    return [
        (system if len(names) == len(tested) else f"{', '.join(names)}: {system}", system, summary)
        for names, system, summary in ordered
    ]


def _estimate(summary: dict[str, Any], metric: str) -> tuple[float, float | None, float | None] | None:
    """(mean, low, high), where there are numbers."""
    found = summary.get(metric)
    if not isinstance(found, dict):
        return None
    mean, low, high = (finite_number(found.get(key)) for key in ("mean", "low", "high"))
    return None if mean is None else (mean, low, high)


def _estimate_cell(value: tuple[float, float | None, float | None] | None, note: str = "") -> str:
    if value is None:
        return "<td>-</td>"
    mean, low, high = value
    interval = f"<small>[{low:.3f}, {high:.3f}]</small>" if low is not None and high is not None else ""
    return f'<td data-value="{mean!r}">{mean:.3f}{interval}{note and f"<small>{note}</small>"}</td>'


def _video_section(videos: dict[str, list[ShownVideo]], notes: list[str]) -> list[str]:
    if not videos:
        return []
    parts = ["<h2>Videos</h2>", *(f'<p class="note">{escape(note)}</p>' for note in notes)]
    for clip, shown in videos.items():
        figures = "".join(_video_figure(clip, video) for video in shown)
        parts.append(
            f'<section class="clip" aria-label="{escape(clip)}"><header><h3>{escape(clip)}</h3>'
            f'<button type="button" class="act play" hidden>Play together</button></header>'
            f'<div class="videos">{figures}</div></section>'
        )
    return parts


def _video_figure(clip: str, video: ShownVideo) -> str:
    label = escape(f"{video.run}, {clip}")
    preload = "metadata" if video.file else "auto"
    file = f" <span>{escape(video.file)}</span>" if video.file else ""
    return (
        f'<figure><video controls playsinline preload="{preload}" src="{escape(video.source)}" aria-label="{label}">'
        f"</video><figcaption><div>{escape(video.run)}{file}</div>"
        f'<button type="button" class="act sound" aria-pressed="false" aria-label="hear {label}" hidden>Sound</button>'
        "</figcaption></figure>"
    )


def _curve_section(runs: list[Run]) -> list[str]:
    metrics = sorted({metric for run in runs for metric in run.metrics}, key=_metric_order)
    charts, single = [], []
    for metric in metrics:
        lines = [(n, run.name, run.metrics[metric]) for n, run in enumerate(runs) if metric in run.metrics]
        if all(len(series) == 1 for _, _, series in lines):
            single.append(metric)
            continue
        values = [value for _, _, series in lines for _, value in series]
        scale = " <span>(logarithmic)</span>" if is_logarithmic(values) else ""
        caption = f"<figcaption>{escape(metric)}{scale}</figcaption>"
        charts.append(f"<figure>{caption}{chart_svg(metric, lines)}</figure>")
    parts = []
    if charts:
        parts += [
            "<h2>Curves</h2>",
            '<p class="note">Over optimizer steps, as logged, not smoothed.</p>',
            _legend(runs),
            f'<div class="charts">{"".join(charts)}</div>',
        ]
    if single:
        rows = []
        for metric in single:
            cells = "".join(_last_cell(run, metric) for run in runs)
            rows.append(
                f'<tr><th scope="row" data-value="{escape(metric)}">{escape(metric)}</th>{cells}</tr>'
            )
        columns = [("metric", ""), *((run.name, "") for run in runs)]
        parts += ["<h2>Logged once</h2>", _table(columns, rows, "metrics logged once", sortable=True)]
    return parts


def _metric_order(metric: str) -> tuple[int, str]:
    """Validation first, then training, then what watches over it."""
    places = [number for number, start in enumerate(("val", "train")) if metric.startswith(start)]
    return (places[0] if places else 2, metric)


def _last_cell(run: Run, metric: str) -> str:
    if metric not in run.metrics:
        return "<td>-</td>"
    value = run.metrics[metric][-1][1]
    return f'<td data-value="{value!r}">{value:.4g}</td>'


def _config_section(runs: list[Run]) -> list[str]:
    known = [run for run in runs if run.config is not None]
    if len(known) < 2:
        return []
    differing = differing_keys([run.config for run in runs])
    without = [run.name for run in runs if run.config is None]
    parts = ["<h2>Configuration</h2>"]
    if differing:
        parts.append('<p class="note">Keys that differ; all others are the same.</p>')
        parts.append(_words([run.name for run in runs], differing))
    else:
        parts.append('<p class="note">The configs are the same, key for key.</p>')
    if without:
        parts.append(f'<p class="note">Without a config.yaml: {escape(", ".join(without))}</p>')
    return parts


def _table(columns: list[tuple[str, str]], rows: list[str], label: str, sortable: bool, css: str = "") -> str:
    def heading(name: str, note: str) -> str:
        words = f'<button type="button">{escape(name)}</button>' if sortable else escape(name)
        return f'<th scope="col">{words}{f"<br><small>{escape(note)}</small>" if note else ""}</th>'

    head = "".join(heading(name, note) for name, note in columns)
    return (
        f'<div class="wide{css}" role="region" tabindex="0" aria-label="{escape(label)}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _words(names: list[str], values: dict[str, list[str]]) -> str:
    """A table of text: a row a key, a column a run."""
    rows = [
        f'<tr><th scope="row">{escape(key)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for key, cells in values.items()
    ]
    return _table([("key", ""), *((name, "") for name in names)], rows, "what differs", False, " words")
