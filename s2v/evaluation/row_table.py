"""The rows of a whole test as columns of numbers: 3 to 4 KiB a clip, where eight `ClipRow`s take 30."""

import math
from array import array
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import fields
from typing import Any, overload

from s2v.evaluation.clip_rows import ClipRow

_WORDS = tuple(field.name for field in fields(ClipRow) if field.name != "values")


class RowTable(Sequence[ClipRow]):
    """A sequence of rows that makes each one anew when it is asked for: to change a row, put it back at its index."""

    def __init__(self, rows: Iterable[ClipRow] = ()) -> None:
        self._values: dict[str, array[float]] = {}
        """Metric -> a value a row, float64; nan where the row has none."""
        self._metrics: array[int] = array("I")
        """For each row, the number of the tuple of metrics that it has: an absent one is something else than nan."""
        self._words: dict[str, array[int]] = {name: array("I") for name in _WORDS}
        """Any other field -> the number of what stands there, for each row."""
        self._numbers: dict[Hashable, int] = {}
        self._numbered: list[Any] = []
        for row in rows:
            self.append(row)

    def __len__(self) -> int:
        return len(self._metrics)

    def append(self, row: ClipRow) -> None:
        """Add a row at the end."""
        for values in self._values.values():
            values.append(math.nan)
        for numbers in (self._metrics, *self._words.values()):
            numbers.append(0)
        self[len(self) - 1] = row

    def __setitem__(self, index: int, row: ClipRow) -> None:
        for name, numbers in self._words.items():
            word = getattr(row, name)
            numbers[index] = self._number(tuple(word) if name == "reasons" else word)
        self._metrics[index] = self._number(tuple(row.values))
        for metric, value in row.values.items():
            if metric not in self._values:
                self._values[metric] = array("d", [math.nan]) * len(self)
            self._values[metric][index] = value

    @overload
    def __getitem__(self, index: int) -> ClipRow: ...

    @overload
    def __getitem__(self, index: slice) -> list[ClipRow]: ...

    def __getitem__(self, index: int | slice) -> ClipRow | list[ClipRow]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        words = {name: self._numbered[numbers[index]] for name, numbers in self._words.items()}
        words["reasons"] = list(words["reasons"])
        metrics = self._numbered[self._metrics[index]]
        return ClipRow(**words, values={metric: self._values[metric][index] for metric in metrics})

    def _number(self, thing: Hashable) -> int:
        """The same for equal things, which are kept once."""
        if thing not in self._numbers:
            self._numbers[thing] = len(self._numbered)
            self._numbered.append(thing)
        return self._numbers[thing]
