"""Finding the mark of `watermark` in a video that was re-encoded, resized, cropped, mirrored or framed since.

1. Demodulate: the luma of a coarse grid, times exp(i 2 pi RATE t), averaged over time. What stands still
   vanishes; the mark's field and what moves at its rate remain. Places that move at the nearest rates that the
   mark leaves alone (a mouth) are weighted down. All frames count the same: a window that fades in and out keeps far
   rates out better, but gives away a third of two seconds and widens the mark's own line.
2. Search: correlate with the field at every crop that leaves at least 80 % of each side, as it is and mirrored, with
   and without the bars around the picture. A resized picture needs no search, since the field is measured in waves per
   picture; a shift in time only turns the correlation's phase.
3. Judge: the same search for 199 fields of other keys tells what this very video yields by chance. The score is
   how many of their standard deviations the mark's best correlation lies above their mean. Best correlations are
   distributed about as Gumbel's, which exceeds 4 with a probability of 0.3 %.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from s2v.generation.watermark import MOST_WAVES, RATE, WAVES, key_phases

THRESHOLD = 4.0
"""A score from which a video counts as marked."""
SHORTEST = 20
"""Frames below which a video is too short to judge."""
PLAIN = 10
"""Levels of 255: between all pixels of a bar's row or column, and over time, for what H.264 makes of one colour."""
LEAST_BAR = 1 / 32
"""Of a side: less is found as the picture is."""

_GRID = 32
_CHUNK = 250
_OTHER_KEYS = 199
_MOST_ZOOM, _ZOOM_STEP, _SHIFT_STEP = 1.25, 0.05, 0.04
# Rates to compare with, in cycles per chunk off the mark's: the zeros of its own spectrum.
_NEIGHBOURS = (-2, -1, 1, 2, 3)


@dataclass(frozen=True)
class Inside:
    """The part of a picture that its bars leave."""

    rows: slice
    columns: slice


def inside_bars(pictures: Iterable[np.ndarray]) -> Inside | None:
    """What bars of one colour, which editors and video sites add, leave of pictures' luma (H, W); None for all."""
    least = most = None
    for luma in pictures:
        low, high = ([fold(luma, axis=axis).astype(int) for axis in (1, 0)] for fold in (np.min, np.max))
        if least is None or most is None:
            least, most = low, high
        elif list(map(len, low)) == list(map(len, least)):
            least = [np.minimum(*both) for both in zip(least, low, strict=True)]
            most = [np.maximum(*both) for both in zip(most, high, strict=True)]
    if least is None or most is None:
        return None
    seen, cut = [], False
    for low, high in zip(least, most, strict=True):
        (lively,) = np.nonzero(high - low > PLAIN)
        if len(lively) == 0:
            return None
        first, last = int(lively[0]), int(lively[-1]) + 1
        cut = cut or max(first, len(low) - last) >= LEAST_BAR * len(low)
        seen.append(slice(first, last))
    return Inside(*seen) if cut else None


class MarkDetector:
    """Watches frames one after the other, in constant memory, and scores them.

    Args:
        inside: what bars leave of the pictures, where they have some; the mark is looked for in both.
    """

    def __init__(self, inside: Inside | None = None) -> None:
        self.frames = 0
        self._inside = inside
        self._views = [_Demodulation() for _ in range(1 if inside is None else 2)]

    def watch(self, picture: np.ndarray, time: float) -> None:
        """Take a frame (H, W, 3) uint8 RGB, or its luma (H, W), shown at `time` in seconds."""
        luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) if picture.ndim == 3 else picture
        for view in self._views:
            view.take(cv2.resize(luma, (_GRID, _GRID), interpolation=cv2.INTER_AREA), time)
            if self._inside is not None:  # for the second view
                cut = luma[self._inside.rows, self._inside.columns]
                luma = cut if cut.size else luma  # a stream may change its size on the way
        self.frames += 1

    def score(self) -> float | None:
        """Standard deviations above chance, for all frames so far; None for fewer than SHORTEST."""
        if self.frames < SHORTEST:
            return None
        fields = [field for field in (view.field() for view in self._views) if field is not None]
        if not fields:
            return 0.0
        ways = [best_correlations(turned) for field in fields for turned in (field, field[:, ::-1])]
        found = np.max(ways, axis=0)  # of each key: what is tried for the mark is tried for chance too
        others = found[1:]
        return float((found[0] - others.mean()) / max(others.std(), 1e-9))


class _Demodulation:
    """What moves at the mark's rate, place by place, in pictures (G, G) that come one by one."""

    def __init__(self) -> None:
        self._count = 0
        self._times: list[float] = []
        self._pictures: list[np.ndarray] = []
        self._field = np.zeros((_GRID, _GRID), np.complex128)
        self._motion = np.zeros((_GRID, _GRID))

    def take(self, picture: np.ndarray, time: float) -> None:
        self._pictures.append(picture)
        self._times.append(time)
        self._count += 1
        if len(self._pictures) == 2 * _CHUNK:
            self._demodulate(_CHUNK)

    def field(self) -> np.ndarray | None:
        """(G, G) complex, of mean 0, with what moves at other rates too weighted down; None where all stands still."""
        self._demodulate(len(self._pictures))
        motion = cv2.GaussianBlur(self._motion, (0, 0), 1.0)
        weighted = self._field / (motion + np.median(motion) + 1e-4 * self._count)
        return weighted - weighted.mean() if np.abs(weighted).max() > 0 else None

    def _demodulate(self, count: int) -> None:
        """Move the oldest `count` frames from memory into the sums."""
        if count < 3:
            return
        times = np.array(self._times[:count])
        luma = np.stack(self._pictures[:count]).astype(np.float32)
        del self._times[:count], self._pictures[:count]
        luma -= luma.mean(axis=0)
        length = max(times[-1] - times[0], 1e-3) * count / (count - 1)

        def at(rate: float) -> np.ndarray:
            return np.tensordot(np.exp(2j * np.pi * rate * times), luma, axes=1)

        self._field += at(RATE)
        self._motion += sum(np.abs(at(RATE + cycles / length)) ** 2 for cycles in _NEIGHBOURS) / count


def best_correlations(field: np.ndarray) -> np.ndarray:
    """Best correlation (1 + 199,), 0 to 1, of a field (G, G) with each key's, over all crops."""
    crops = _crops()
    middle = crops.shape[1] // 2
    rows = np.einsum("akg,gh->akh", crops, field)
    both = np.einsum("akh,blh->abkl", rows, crops)
    seen = both[:, :, WAVES[:, 0] + middle, WAVES[:, 1] + middle].reshape(-1, len(WAVES))
    seen /= np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1e-12)
    return np.abs(seen @ _keys().conj().T).max(axis=0)


@cache
def _crops() -> np.ndarray:
    """Waves (crops, 2 * MOST + 1, G) along one side of a picture of which a part is seen, for every part."""
    waves = np.arange(-int(MOST_WAVES), int(MOST_WAVES) + 1)
    places = (np.arange(_GRID) + 0.5) / _GRID
    found = []
    for zoom in np.arange(1, _MOST_ZOOM + 1e-9, _ZOOM_STEP):
        room = 1 - 1 / zoom
        for start in np.linspace(0, room, int(np.ceil(room / _SHIFT_STEP)) + 1):
            found.append(np.exp(-2j * np.pi * np.outer(waves, start + places / zoom)))
    return np.stack(found)


@cache
def _keys() -> np.ndarray:
    """Unit vectors (1 + 199, K), the mark's own first."""
    keys = np.stack([key_phases(key) for key in range(1 + _OTHER_KEYS)])
    return keys / np.sqrt(len(WAVES))
