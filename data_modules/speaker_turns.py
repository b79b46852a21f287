"""Whose clip a window is of, where an epoch has a number of windows of each speaker instead of each clip."""

from array import array
from bisect import bisect_right
from itertools import accumulate

import numpy as np


class SpeakerTurns:
    """A speaker with n clips has windows * n ** exponent windows in an epoch, rounded, one at least; clips take turns.

    Arrays, for the workers' sake, as `data_modules.clip_columns` says. Speakers come in the order of their first clips.

    Args:
        speakers: int (N,), each clip's; -1 is nobody known, and a speaker of this clip alone.
        windows: of a speaker with one clip.
        exponent: from 0, every speaker alike, to 1, every clip alike.
    """

    def __init__(self, speakers: np.ndarray, windows: int, exponent: float) -> None:
        # strangers are numbered from -1 down, each another
        known = np.where(speakers >= 0, speakers, -1 - np.arange(len(speakers), dtype=np.int64))
        _, firsts, numbers, counts = np.unique(
            known, return_index=True, return_inverse=True, return_counts=True
        )
        by_first = np.argsort(firsts)
        rank = np.empty_like(by_first)
        rank[by_first] = np.arange(len(by_first))
        self._places = array("q", np.argsort(rank[numbers], kind="stable").tobytes())
        """The clips, speaker by speaker."""
        counted = counts[by_first].tolist()
        self._first_places = array("q", accumulate(counted, initial=0))
        # Python's power: NumPy's may differ in the last bit, and so in a window
        self._ends = array("q", accumulate(max(1, round(windows * count**exponent)) for count in counted))
        """Windows in an epoch up to and with each speaker's."""

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def place(self, epoch: int, index: int) -> int:
        """Which clip the window is of, counted from 0."""
        speaker = bisect_right(self._ends, index)
        first = self._ends[speaker - 1] if speaker else 0
        windows = self._ends[speaker] - first
        begin, end = self._first_places[speaker], self._first_places[speaker + 1]
        return self._places[begin + (epoch * windows + index - first) % (end - begin)]
