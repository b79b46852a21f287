"""Whose speech `ground_truth_swapped` hears: that of the nearest clip before it that says another sentence."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor

NOBODY = "no other clip to take speech from"
MOST_WAITING = 32
"""CREMA-D has 16 clips of one sentence in a row: IEO, five moods at three levels each, and neutral."""
TOO_MANY = f"the test begins with more than {MOST_WAITING} clips of one sentence: no other speech at hand"

Borrower = TypeVar("Borrower")


@dataclass
class _Voice:
    sentence: str
    speech: Tensor


class BorrowedSpeech(Generic[Borrower]):
    """Lends each clip of a test, taken in the test's order, the speech of another one: a circle of neighbours.

    In a sorted list the neighbour is often the same person's same sentence in another mood, nearly in step with the
    lips: no calibration of unrelated speech. So a clip borrows from the newest clip whose sentence is another one; an
    unknown sentence counts as another than every other, and where none is known each clip borrows from its
    predecessor. Clips that have none before them wait for the last suitable clip of the test.

    Two speeches are kept, and of the clips that wait what the caller gives, for at most `MOST_WAITING` of them: more,
    in a list that begins with one sentence of many people, would be a large part of the test in memory.
    """

    def __init__(self) -> None:
        self._newest: _Voice | None = None
        self._other: _Voice | None = None
        """The newest one of another sentence than `_newest`'s."""
        self._taken = 0
        self._waiting: list[tuple[str, Borrower]] = []

    def take(self, sentence: str, speech: Tensor, borrower: Borrower) -> Tensor | str | None:
        """The next clip lends and borrows.

        Args:
            sentence: what it says; empty where unknown.
            speech: its own, in whatever form all clips give theirs.
            borrower: what `finish` is to give back with the speech, should the clip have to wait.

        Returns:
            Another clip's speech; why there is none; or None: the clip waits for `finish`.
        """
        lender = self._lender(sentence)
        self._other, self._newest = lender, _Voice(sentence, speech)
        self._taken += 1
        if lender is not None:
            return lender.speech
        if len(self._waiting) == MOST_WAITING:
            return TOO_MANY
        self._waiting.append((sentence, borrower))
        return None

    def finish(self) -> Iterator[tuple[Borrower, Tensor | str]]:
        """Every clip that waits, with another one's speech or why there is none; after all clips were taken."""
        for sentence, borrower in self._waiting:
            lender = self._lender(sentence) if self._taken > 1 else None  # a lone clip is the newest itself
            yield borrower, NOBODY if lender is None else lender.speech
        self._waiting = []

    def _lender(self, sentence: str) -> _Voice | None:
        if self._newest is None or not sentence or self._newest.sentence != sentence:
            return self._newest
        return self._other
