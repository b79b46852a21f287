"""Many clips as columns: forked loader workers share the memory of arrays, and copy that of objects.

A look at an object counts a reference to it, which writes to its page: each worker ends with a copy of a list of a
million clips. Arrays and bytes are read without a count (as detectron2's serialized data sets, pytorch/pytorch#13246).
"""

import os
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from pathlib import Path
from typing import overload

import numpy as np


@dataclass(frozen=True)
class Clip:
    """A usable clip and its labels as numbers, -1 where it has none."""

    clip_id: str
    path: Path
    frames: int
    fps: int
    speaker: int
    emotion: int


class ClipColumns(Sequence[Clip]):
    """A sequence of clips, each made when it is asked for, equal to the one that was put in.

    Args:
        clip_ids: N names, any text.
        paths: N paths of cache files.
        frames, fps, speakers, emotions: N numbers of 32 bits each, as in `Clip`.
    """

    def __init__(
        self,
        clip_ids: Sequence[str],
        paths: Sequence[str],
        frames: Sequence[int],
        fps: Sequence[int],
        speakers: Sequence[int],
        emotions: Sequence[int],
    ) -> None:
        # of the standard library: one number of a NumPy array takes several times as long to look up
        self._frames, self._fps = array("i", frames), array("i", fps)
        self._speakers, self._emotions = array("i", speakers), array("i", emotions)
        # the cache's folder need not be kept a million times; it may end within a name
        self._prefix = os.path.commonprefix(paths)  # noqa: RUF071
        rests = (path[len(self._prefix) :] for path in paths)
        # names of files that are not UTF-8 are text with lone surrogates
        texts = [text.encode("utf-8", "surrogatepass") for text in chain(*zip(clip_ids, rests, strict=True))]
        self._text = b"".join(texts)
        # clip k's id lies in [2 k, 2 k + 1) of these, the rest of its path in [2 k + 1, 2 k + 2)
        self._bounds = array("q", accumulate(map(len, texts), initial=0))

    @classmethod
    def of(cls, clips: Iterable[Clip]) -> "ClipColumns":
        """The same clips, in the same order."""
        if isinstance(clips, cls):
            return clips
        clips = list(clips)
        return cls(
            [clip.clip_id for clip in clips],
            [str(clip.path) for clip in clips],
            [clip.frames for clip in clips],
            [clip.fps for clip in clips],
            [clip.speaker for clip in clips],
            [clip.emotion for clip in clips],
        )

    @property
    def speakers(self) -> np.ndarray:
        """int32 (N,): each clip's, -1 where it has none."""
        return np.frombuffer(self._speakers, np.int32)

    def __len__(self) -> int:
        return len(self._frames)

    @overload
    def __getitem__(self, index: int) -> Clip: ...

    @overload
    def __getitem__(self, index: slice) -> list[Clip]: ...

    def __getitem__(self, index: "int | slice") -> "Clip | list[Clip]":
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        frames = self._frames[index]
        place = index if index >= 0 else index + len(self)
        middle = self._bounds[2 * place + 1]
        clip_id = self._text[self._bounds[2 * place] : middle].decode("utf-8", "surrogatepass")
        rest = self._text[middle : self._bounds[2 * place + 2]].decode("utf-8", "surrogatepass")
        return Clip(
            clip_id,
            Path(self._prefix + rest),
            frames,
            self._fps[index],
            self._speakers[index],
            self._emotions[index],
        )
