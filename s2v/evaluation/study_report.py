"""A study's analysis as tables: for the terminal and as Markdown, with names that can't become markup."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from s2v.evaluation.markdown_text import escaped, printable, table_lines

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Section:
    """A heading, a table and sentences below it."""

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """As a GitHub table; whatever a cell holds shows as text."""
        lines = [f"## {escaped(self.title)}", ""]
        if self.rows:
            header, *rows = ([escaped(cell) for cell in row] for row in (self.header, *self.rows))
            lines += [*table_lines(header, rows), ""]
        lines += [f"- {escaped(note)}" for note in self.notes]
        return "\n".join(lines).rstrip() + "\n"

    def rich_table(self) -> "Table":
        """For a terminal; no cell is read as rich's markup, and none holds control characters."""
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(self.title), title_justify="left")
        for number, name in enumerate(self.header):
            table.add_column(Text(name), justify="left" if number == 0 else "right")
        for row in self.rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        return table


def sections(analysis: dict[str, Any]) -> list[Section]:
    """The report's parts: preferences and strengths a question, grades, named emotions, who was left out.

    Args:
        analysis: what `study_analysis.analyze` gives, with `kept`, `left_out` and `rules` beside it.
    """
    found = [
        Section(
            "Participants",
            ["file", "left out because"],
            [[file["file"], file["reason"]] for file in analysis["left_out"]],
            [f"{analysis['kept']} participants count, {len(analysis['left_out'])} files do not."]
            + analysis["rules"],
        )
    ]
    for question, numbers in analysis["choices"].items():
        found.append(_preferences(question, numbers))
        if numbers["strengths"]:
            found.append(
                Section(
                    f"Strengths: {question}",
                    ["system", "strength", "95 % interval"],
                    [
                        [row["system"], _number(row["strength"], ".3g"), _interval(row, ".3g")]
                        for row in numbers["strengths"]
                    ],
                    [
                        "Bradley-Terry, sum 1, half a win added to both sides of every two; "
                        "intervals by bootstrap over participants."
                    ],
                )
            )
    found.append(
        Section(
            "Grades of realism, 1 to 5",
            ["system", "mean", "95 % interval", *"12345"],
            [
                [row["system"], _number(row["mean"]), _interval(row), *map(str, row["counts"])]
                for row in analysis["ratings"]["systems"]
            ],
            ["Intervals by bootstrap over participants.", _kappa(analysis["ratings"]["agreement"])],
        )
    )
    return found + _named_emotions(analysis["naming"])


def _preferences(question: str, numbers: dict[str, Any]) -> Section:
    rows = [
        [
            f"{pair['first']} over {pair['second']}",
            f"{pair['first_chosen']}/{pair['choices']}",
            _number(pair["share"]),
            _interval(pair),
        ]
        for pair in numbers["pairs"]
    ]
    notes = ["Wilson intervals, as if every choice were independent.", _kappa(numbers["agreement"])]
    return Section(f"Preference: {question}", ["pair", "chosen", "share", "95 % interval"], rows, notes)


def _named_emotions(naming: dict[str, Any]) -> list[Section]:
    if not naming["systems"]:
        return []
    found = [
        Section(
            "Emotions named right",
            ["system", "right", "share", "95 % interval"],
            [
                [row["system"], f"{row['right']}/{row['named']}", _number(row["share"]), _interval(row)]
                for row in naming["systems"]
            ],
            ["Wilson intervals, as if every answer were independent.", _kappa(naming["agreement"])],
        )
    ]
    for row in naming["systems"]:
        emotions = list(row["confusion"])
        body = [
            [true, *(str(row["confusion"][true][named]) for named in emotions)]
            for true in emotions
            if any(row["confusion"][true].values())
        ]
        found.append(
            Section(f"Emotions of {row['system']}: shown (row) and named", ["shown", *emotions], body)
        )
    return found


def markdown(analysis: dict[str, Any]) -> str:
    """The whole report as Markdown."""
    return "# User study\n\n" + "\n".join(section.markdown() for section in sections(analysis))


def _kappa(value: float | None) -> str:
    return f"Agreement (Fleiss' kappa): {_number(value)}."


def _number(value: float | None, digits: str = ".3f") -> str:
    return "-" if value is None else f"{value:{digits}}"


def _interval(row: dict[str, Any], digits: str = ".3f") -> str:
    return "-" if row["low"] is None else f"{row['low']:{digits}} to {row['high']:{digits}}"
