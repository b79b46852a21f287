"""The report of a test: report.json (everything), report.csv (a row a clip and system), report.md (a table),
report.html (the table with pictures inside, for a browser without a network) and contact_sheet.png.

report.json: {"systems": {SYSTEM: {METRIC: {"mean", "low", "high", "n"}, "scored", "total"}}, "meta": {...},
"clips": [...]}. What could not be measured is null, never left out and never NaN, which JSON doesn't know.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from s2v.evaluation.clip_rows import (
    ANOTHER_CLIP,
    ANOTHER_SPEAKER,
    CALIBRATION,
    GROUND_TRUTH,
    SHIFTED,
    SWAPPED,
    ClipRow,
)
from s2v.evaluation.contact_sheet import Strip, contact_sheet_png
from s2v.evaluation.definitions import WITHOUT_PADDING, definitions_of, emotion_note, is_without_padding
from s2v.evaluation.html_page import page
from s2v.evaluation.markdown_text import escaped, printable, table_lines
from s2v.evaluation.report_rows import estimate_cell, estimate_json, write_csv, write_json
from s2v.evaluation.retrieval import gender_note
from s2v.evaluation.split_fid import STABLE_FROM
from s2v.evaluation.summary import (
    CLIP_METRICS,
    METRICS,
    READ_FIRST,
    SystemSummary,
    averages_note,
    own_metrics,
)
from s2v.files.whole_file import whole_file

_NARROW = 7
_SHORT = {
    SHIFTED: "speech shifted",
    SWAPPED: "speech swapped",
    ANOTHER_CLIP: "other clip",
    ANOTHER_SPEAKER: "other speaker",
}
"""Names whose words fit a column of 7: a terminal of 80 shows them all."""

_ARROWS = {"up": "↑", "down": "↓", "zero": "→0", "one": "→1", "real": "→real", "": ""}
_BETTER = {"up": "higher", "down": "lower", "zero": "0", "one": "1", "real": "as real", "": ""}


@dataclass
class Report:
    """All that a test found."""

    rows: Sequence[ClipRow]
    systems: dict[str, SystemSummary]
    meta: dict[str, Any]
    strips: list[Strip] = field(default_factory=list)
    """Of the contact sheet; none, no sheet."""

    def write(self, folder: Path) -> list[Path]:
        """Write the files, all of them or, where one can't be written, none; their paths."""
        sheet = contact_sheet_png(self.strips) if self.strips else None
        rows: dict[str, Callable[[TextIO], None]] = {
            "report.json": lambda stream: write_json(stream, self._head(), self.rows, self._clip_metrics),
            "report.csv": lambda stream: write_csv(stream, self.rows, self._clip_metrics),
        }
        contents = {
            "report.md": self.as_markdown().encode("utf-8", "surrogateescape"),
            "report.html": self.as_html(sheet).encode("utf-8", "backslashreplace"),
        }
        if sheet is not None:
            contents["contact_sheet.png"] = sheet
        with ExitStack() as stack:  # they get their names when all are written
            partials = {name: stack.enter_context(whole_file(folder / name)) for name in (*rows, *contents)}
            for name, write in rows.items():
                with partials[name].open(
                    "w", encoding="utf-8", errors="surrogateescape", newline="\n"
                ) as stream:
                    write(stream)
            for name, content in contents.items():
                partials[name].write_bytes(content)
        return [folder / name for name in (*rows, *contents)]

    def _head(self) -> dict[str, Any]:
        """What report.json has before its clips."""
        systems = {
            name: {metric: estimate_json(value) for metric, value in summary.items()}
            | {"scored": summary.scored, "total": summary.total}
            for name, summary in self.systems.items()
        }
        return {"systems": systems, "meta": self.meta | {"definitions": self._definitions}}

    def as_html(self, sheet: bytes | None = None) -> str:
        """One self-contained page; `sheet`: the contact sheet's PNG."""
        names = [f"{name} (calibration)" if name in CALIBRATION else name for name in self.systems]
        faults = [(row.clip_id, row.system, row.reason) for row in self.rows if row.reasons]
        return page(
            header=["metric", "better", *names],
            table=self.table(),
            notes=self.notes(),
            faults=faults,
            definitions=self._definitions,
            sheet=sheet,
            averages=self._averages,
            first=(*READ_FIRST, *self._own, "scored"),
        )

    def as_markdown(self) -> str:
        """The table with systems as columns, and what one must know to read it."""
        header = [
            "metric",
            "better",
            *(
                f"{name} (calibration)" if name in CALIBRATION else f"**{escaped(name)}**"
                for name in self.systems
            ),
        ]
        lines = ["# Test report", "", *table_lines(header, self.table()), "", self._averages, ""]
        lines += [f"* {escaped(note)}" for note in self.notes()]
        faults = [row for row in self.rows if row.reasons]
        if faults:
            lines += ["", f"## Not measured ({len(faults)} rows)", ""]
            lines += [
                f"* {escaped(row.clip_id)}, {escaped(row.system)}: {escaped(row.reason)}"
                for row in faults[:50]
            ]
            lines += ["* ... (all of them in report.csv)"] if len(faults) > 50 else []
        return "\n".join(lines) + "\n"

    def table(self) -> list[list[str]]:
        """Rows of cells: metric, where better lies, then one cell a system."""
        present = [
            metric for metric in self._better if any(metric in summary for summary in self.systems.values())
        ]
        rows = [
            [
                metric,
                _BETTER[self._better[metric]] + (", unstable" if metric in self._unstable else ""),
                *(estimate_cell(summary.get(metric), summary.total) for summary in self.systems.values()),
            ]
            for metric in present
        ]
        coverage = [f"{summary.scored}/{summary.total}" for summary in self.systems.values()]
        return [*rows, ["scored", "", *coverage]]

    def rich_table(self) -> Table:
        """The metrics read first for a terminal, means alone: a row a metric, a column a system."""
        table = Table(title="test", box=SIMPLE_HEAD, padding=0, show_edge=False)
        table.add_column("metric", no_wrap=True)
        for name in self.systems:
            # spaces let a narrow terminal wrap it
            short = printable(_SHORT.get(name, name)).replace("_", " ")
            longest = max(map(len, short.split(" ")))
            # as Text: a name in brackets is no markup
            table.add_column(
                Text(short), justify="right", overflow="fold", width=max(6, min(longest, _NARROW))
            )
        rows = self.table()
        partly = False
        for metric, _, *cells in rows:
            if metric in READ_FIRST or metric in self._own:
                means = [_four_digits(cell.partition(" ")[0]) + "*" * (" of " in cell) for cell in cells]
                partly |= any("*" in mean for mean in means)
                mark = " unstable" if metric in self._unstable else ""
                table.add_row(f"{metric} {_ARROWS[self._better[metric]]}{mark}".rstrip(), *means)
        # "1000/1000" would be broken into two lines in a narrow column
        total = next(iter(self.systems.values())).total
        table.add_row(f"scored of {total}", *(str(summary.scored) for summary in self.systems.values()))
        left_out = len(rows) - table.row_count
        captions = ["*: not on all clips, the report says on how many"] if partly else []
        if left_out:
            captions.append(f"{left_out} more metrics and the intervals are in the report")
        table.caption = "\n".join(captions) or None
        return table

    @property
    def _averages(self) -> str:
        """What the table's numbers are."""
        found = (value for summary in self.systems.values() for value in summary.values())
        return averages_note(any(math.isfinite(value.low) for value in found))

    @property
    def _own(self) -> dict[str, str]:
        return own_metrics(self.meta)

    @property
    def _better(self) -> dict[str, str]:
        return METRICS | self._own

    @property
    def _clip_metrics(self) -> tuple[str, ...]:
        return (*CLIP_METRICS, *self._own)

    @property
    def _definitions(self) -> dict[str, str]:
        return definitions_of(self.meta)

    @property
    def _unstable(self) -> set[str]:
        """Metrics that too few real frames, or frames of a tested system, stand behind."""
        frames = self.meta.get("fid_frames") or {}
        whole = [n for name, n in frames.items() if name == GROUND_TRUTH or name not in CALIBRATION]
        return {"fid"} if min(whole, default=STABLE_FROM) < STABLE_FROM else set()

    def notes(self) -> list[str]:
        """Sentences on where the numbers come from."""
        meta = self.meta
        notes = [
            f"data: {meta.get('dataset')}, split {meta.get('split')}, {meta.get('clips')} clips of "
            f"{meta.get('speakers')} speakers, list {str(meta.get('clip_list_sha256'))[:12]}",
            f"frames: {meta.get('image_size')} pixels at {meta.get('fps')} fps, "
            f"crop {meta.get('crop') or 'not known'}",
        ]
        if oblong := meta.get("oblong"):
            notes.append(
                f"pictures that are not square ({', '.join(oblong)}): SyncNet and the face judges see them squashed"
            )
        done = [
            f"generated and real clips that differ by at most {meta['trim']} frames are cut to the shorter's"
            if meta.get("trim")
            else "",
            "generated pictures are resized to the real ones' size (bilinear with anti-aliasing)"
            if meta.get("resize")
            else "",
        ]
        if any(done):
            notes.append(
                f"before pixels are compared, {' and '.join(filter(None, done))}: {meta.get('adjusted_clips')} clips; "
                "lips, identity, emotion, landmarks and FID are of the pictures as they came"
            )
        for name, count in (meta.get("fid_frames") or {}).items():
            unstable = f": UNSTABLE BELOW {STABLE_FROM:,} FRAMES" if count < STABLE_FROM else ""
            notes.append(f"fid of {name}: {count:,} frames{unstable}")
        checkpoint = meta.get("checkpoint")
        if checkpoint:
            note = f"; {checkpoint['note']}" if "note" in checkpoint else ""
            notes.append(f"checkpoint: {checkpoint['file']}, sha256 {checkpoint['sha256'][:12]}{note}")
        for name, judge in (meta.get("judges") or {}).items():
            if judge is None:
                notes.append(f"{name} judge: none, these metrics are left out")
                continue
            taught = {
                True: "; TEACHER USED AS JUDGE",
                None: "; whether it taught the system is not known",
                False: "",
            }
            notes.append(
                f"{name} judge: {judge['file']}, {judge['origin']}, sha256 {judge['sha256'][:12]}"
                + taught[judge["teacher_used_as_judge"]]
                + (f"; {WITHOUT_PADDING}" if is_without_padding(judge) else "")
            )
        notes += filter(None, [emotion_note(meta)])
        for name, about in (meta.get("own_metrics") or {}).items():
            notes.append(f"{name}: a metric of one's own, {about['class']}: {about['definition']}")
        return [*notes, *filter(None, [gender_note(meta)])]


def _four_digits(cell: str) -> str:
    """A number as a narrow column takes it: 100.0, 31.42, 0.873."""
    if cell == "-":
        return cell
    value = float(cell)
    return f"{value:.{3 if abs(value) < 10 else 2 if abs(value) < 100 else 1}f}"
