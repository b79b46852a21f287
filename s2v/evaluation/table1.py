"""Reports of several systems on the same clips, as one table beside the paper's."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2v.evaluation.clip_rows import CALIBRATION
from s2v.evaluation.definitions import WITHOUT_PADDING, emotion_note, is_without_padding
from s2v.evaluation.markdown_text import table_lines
from s2v.evaluation.paired_difference import PairedDifferences
from s2v.evaluation.paired_table import paired_csv, paired_markdown
from s2v.evaluation.paper_table import METRICS as PAPER_METRICS
from s2v.evaluation.paper_table import gap_closed, paper_value
from s2v.evaluation.report_rows import estimate_cell
from s2v.evaluation.retrieval import gender_note
from s2v.evaluation.summary import METRICS, averages_note, own_metrics
from s2v.files.spreadsheet_cell import csv_text
from s2v.files.whole_file import write_whole_file
from s2v.metrics.regional_quality import METRICS as PIXEL_METRICS
from s2v.metrics.regional_quality import SIZES

SMALL = SIZES[1]
"""What metrics at 128 x 96 end in: where systems' pictures differ in size, they stand in one table by these."""

BY_SPEAKER = (
    "ssim",
    "psnr",
    "sharpness",
    "motion",
    "sync_confidence",
    "sync_within_one",
    "sync_prefers_true",
    "mouth_lmd",
    "mouth_correlation",
    "mouth_range",
    "identity_rank1",
    "identity_rank5",
    "identity_cosine",
    "gender_agreement",
)
"""Metrics of the table that weights speakers alike, and of that of paired differences."""

PAIRED_FILE = "table1_paired.csv"
_PAPER_HEADS = ("SSIM", "PSNR", "confidence")


@dataclass
class Table1:
    """The numbers of all systems.

    Attributes:
        dataset: key into `paper_table.PAPER`, or None where the paper has no such data set.
        systems: name -> the report's estimates, `scored` and `total`; the calibration rows come last.
        meta: name of a tested system -> its report's meta.
        sizes_differ: pictures of the systems are not of one size; `systems` then have nothing that compares
            pixels as they are.
        paired: one system minus each other on the same clips; None without such.
    """

    dataset: str | None
    systems: dict[str, dict[str, Any]]
    meta: dict[str, dict[str, Any]]
    sizes_differ: bool = False
    paired: PairedDifferences | None = None

    def as_json(self) -> dict[str, Any]:
        """Everything, with the paper's values under `paper`."""
        return {
            "dataset": self.dataset,
            "systems": {
                name: values | {"paper": {metric: self._paper(name, metric) for metric in PAPER_METRICS}}
                for name, values in self.systems.items()
            },
            "ssim_gap_closed": self.ssim_gap_closed(),
            "sizes_differ": self.sizes_differ,
            "paired": self.paired and self.paired.as_json(),
            "meta": self.meta,
        }

    def as_csv(self) -> str:
        """A row a system and metric: mean, interval, clips, the paper's value."""
        rows = [
            [name, metric, *(found[key] for key in ("mean", "low", "high", "n")), self._paper(name, metric)]
            for name, values in self.systems.items()
            for metric in self._metrics
            if (found := values.get(metric)) is not None
        ]
        return csv_text([["system", "metric", "mean", "low", "high", "n", "paper"], *rows])

    def as_markdown(self, paired_columns: int | None = None) -> str:
        """The paper's three columns beside the paper's numbers; then everything else that was measured.

        Args:
            paired_columns: letters a line of paired differences may have, else where they are is all that is said.
        """
        compared = [self._compared(metric) for metric in PAPER_METRICS]
        heads = [
            head + (" at 128 x 96" if metric.endswith(SMALL) else "")
            for head, metric in zip(_PAPER_HEADS, compared, strict=True)
        ]
        header = ["system", *(cell for head in heads for cell in (head, "paper")), "scored"]
        rows = []
        for name, values in self.systems.items():
            cells = [
                text
                for metric in PAPER_METRICS
                for text in (
                    estimate_cell(values.get(self._compared(metric)), values["total"]),
                    _number(self._paper(name, metric)),
                )
            ]
            rows.append([_titled(name), *cells, f"{values['scored']}/{values['total']}"])
        lines = ["# Table 1", "", *table_lines(header, rows)]
        found = (values.get(metric) for values in self.systems.values() for metric in self._metrics)
        lines += ["", averages_note(any(value and value["low"] is not None for value in found)), ""]
        if (closed := self.ssim_gap_closed()) is not None:
            lines += [f"speech2video closes {closed:.0%} of the SSIM gap between S2F+SDFA and SDFA.", ""]
        others = [
            m for m in self._metrics if m not in compared and any(m in s for s in self.systems.values())
        ]
        if others:
            rows = [
                [metric, *(estimate_cell(v.get(metric), v["total"]) for v in self.systems.values())]
                for metric in others
            ]
            lines += ["## Beyond the paper", "", *table_lines(self._columns, rows)]
        parts = [*lines, *self._by_speaker(), *self._paired(paired_columns), "", *self._notes()]
        return "\n".join(parts) + "\n"

    def _by_speaker(self) -> list[str]:
        """What is read first once more, with speakers weighted alike; nothing where no report says it."""
        rows = []
        for metric in map(self._compared, BY_SPEAKER):
            found = [(values.get(metric) or {}).get("by_speaker") for values in self.systems.values()]
            if any(value is not None for value in found):
                rows.append([metric, *("-" if value is None else f"{value:.3f}" for value in found)])
        if not rows:
            return []
        return [
            "",
            "## Speakers weighted alike",
            "",
            "Mean of the speakers' own means; clips without a speaker are left out.",
            "",
            *table_lines(self._columns, rows),
        ]

    def _paired(self, columns: int | None) -> list[str]:
        """One system minus each other, for what is read first."""
        if self.paired is None:
            return []
        own = own_metrics(next(iter(self.meta.values())))
        read_first = [metric for metric in map(self._compared, BY_SPEAKER) if metric in self.paired.better]
        lines = paired_markdown(self.paired, [*read_first, *(m for m in own if m in self.paired.better)])
        if columns is not None and any(len(line) > columns for line in lines if line.startswith("|")):
            first = self.paired.first
            lines = [f"{first} minus each other system, clip by clip: table1.md, all in {PAIRED_FILE}"]
        return ["", *lines]

    def ssim_gap_closed(self) -> float | None:
        """See `gap_closed`; None where one of the three systems is not there."""
        ssim = self._compared("ssim")
        means = [self.systems.get(name, {}).get(ssim) for name in ("speech2video", "S2F+SDFA", "SDFA")]
        found = [mean["mean"] for mean in means if mean is not None and mean["mean"] is not None]
        return gap_closed(*found) if len(found) == 3 else None

    def write(self, folder: Path) -> list[Path]:
        """table1.json, table1.csv, table1.md, and `PAIRED_FILE` where there are pairs, each atomically; their paths."""
        contents = {
            "table1.json": json.dumps(self.as_json(), indent=1, allow_nan=False) + "\n",
            "table1.csv": self.as_csv(),
            "table1.md": self.as_markdown(),
        }
        if self.paired is not None:
            contents[PAIRED_FILE] = paired_csv(self.paired)
        else:
            (folder / PAIRED_FILE).unlink(missing_ok=True)  # of a table with other systems
        for name, text in contents.items():
            write_whole_file(folder / name, text.encode("utf-8", "surrogateescape"))
        return [folder / name for name in contents]

    @property
    def _columns(self) -> list[str]:
        """The header of a table with a column a system."""
        return ["metric", *map(_titled, self.systems)]

    @property
    def _metrics(self) -> list[str]:
        """Built-in ones, then those of one's own, which all reports share."""
        return [*METRICS, *own_metrics(next(iter(self.meta.values())))]

    def _compared(self, metric: str) -> str:
        """The name of the metric by which these systems compare: at 128 x 96 where their sizes differ."""
        return f"{metric}{SMALL}" if self.sizes_differ and metric in PIXEL_METRICS else metric

    def _paper(self, system: str, metric: str) -> float | None:
        if self.sizes_differ:
            metric = metric.removesuffix(SMALL)
        return paper_value(self.dataset, system, metric)

    def _taught_by(self, judge: str) -> str:
        """Of which systems it was the teacher."""
        judges = {name: (found.get("judges") or {}).get(judge) or {} for name, found in self.meta.items()}
        taught = [name for name, found in judges.items() if found.get("teacher_used_as_judge")]
        unknown = [
            name for name, found in judges.items() if found.get("teacher_used_as_judge", False) is None
        ]
        said = f"; TEACHER USED AS JUDGE of {', '.join(taught)}" if taught else ""
        return said + (f"; whether it taught {', '.join(unknown)} is not known" if unknown else "")

    def _notes(self) -> list[str]:
        meta = next(iter(self.meta.values()))
        notes = [
            f"* data: {meta.get('dataset')}, split {meta.get('split')}, {meta.get('clips')} clips of "
            f"{meta.get('speakers')} speakers, list {str(meta.get('clip_list_sha256'))[:12]}; "
            + ("" if self.sizes_differ else f"frames {meta.get('image_size')} at ")
            + f"{meta.get('fps')} fps, the same for all systems"
        ]
        if self.sizes_differ:
            sizes = ", ".join(f"{name} {found.get('image_size')}" for name, found in self.meta.items())
            notes.append(
                f"* frames differ in size (width x height: {sizes}; calibration as {next(iter(self.meta))}): SSIM and "
                "PSNR of ALL systems are of pictures resized to 128 x 96 (height x width), each against its system's "
                "own real frames; LPIPS, sharpness and motion, which are of the own size, are in the reports alone; "
                "all else is of each system's pictures as they are"
            )
        if self.dataset is not None:
            notes.append(
                "* the paper's numbers are of its own split and crops, which it does not give: they stand beside "
                "these for orientation"
            )
        for name, judge in (meta.get("judges") or {}).items():
            said = "none" if judge is None else f"{judge['file']}, {judge['origin']}"
            if is_without_padding(judge):
                said += f"; {WITHOUT_PADDING}"
            notes.append(f"* {name} judge: {said}{self._taught_by(name)}")
        notes += [f"* {said}" for said in (emotion_note(meta), gender_note(meta)) if said]
        for name, found in self.meta.items():
            checkpoint = found.get("checkpoint") or {"file": "none", "sha256": ""}
            note = f"; {checkpoint['note']}" if "note" in checkpoint else ""
            notes.append(f"* {name}: {checkpoint['file']}, sha256 {checkpoint['sha256'][:12]}{note}")
        return notes


def _titled(name: str) -> str:
    return f"{name} (calibration)" if name in CALIBRATION else f"**{name}**"


def _number(value: float | None) -> str:
    return "-" if value is None else str(value)
