"""The invisible mark in every exported video: a faint pattern in luma, which `watermark_detection` finds again.

Each pixel's luma swings 2.5 times a second by some two levels of 255; how it swings (phase and size) is a
smooth random field fixed by a public key. The field is made of whole waves per picture, so resizing does not
change it, and of few of them (at most 4.5 waves), so that H.264 keeps it even in a 32 x 32 picture. It swings
because a face hardly does at that rate, while a still pattern would drown in the still picture.

The key is public, as this source is: the mark tells honest viewers that a video is synthetic. It is no
protection against someone who reads this file and wants it gone, or wants to forge it.
"""

import hashlib
import math

import numpy as np

MARK_VERSION = 1
RATE = 2.5
"""Swings a second (Hz)."""
STRENGTH = 2.2
"""Root mean square of the change, in levels of 255: 20 log10(255 / 2.2) = 41.3 dB."""
LEAST_WAVES, MOST_WAVES = 1.0, 4.5
"""Waves per picture, whichever way they run."""


def _waves() -> np.ndarray:
    reach = range(-math.floor(MOST_WAVES), math.floor(MOST_WAVES) + 1)
    return np.array([(y, x) for y in reach for x in reach if LEAST_WAVES <= math.hypot(y, x) <= MOST_WAVES])


WAVES = _waves()
"""(K, 2) int: waves per picture height and width of each of the field's K components."""


def key_phases(key: int = 0) -> np.ndarray:
    """Amplitudes (K,) complex, of size one, of a key's field; key 0 marks, others are for comparison."""
    seed = f"s2v provenance mark {MARK_VERSION}, key {key}".encode()
    numbers = np.frombuffer(hashlib.shake_256(seed).digest(2 * len(WAVES)), dtype="<u2")
    return np.exp(2j * np.pi * numbers / 65_536)


class Watermark:
    """Adds the mark to a video's frames, one by one.

    Args:
        height, width: of the frames, in pixels.
        fps: frames a second.
    """

    def __init__(self, height: int, width: int, fps: float) -> None:
        rows, columns = ((np.arange(size) + 0.5) / size for size in (height, width))
        field = np.einsum(
            "k,kh,kw->hw",
            key_phases(),
            np.exp(2j * np.pi * np.outer(WAVES[:, 0], rows)),
            np.exp(2j * np.pi * np.outer(WAVES[:, 1], columns)),
            optimize=True,
        )
        cosine = field.real
        # Made orthogonal, so that every frame is changed by the same amount.
        sine = field.imag - cosine * (cosine * field.imag).sum() / max((cosine**2).sum(), 1e-9)
        self._cosine, self._sine = (_of_strength(part)[..., None] for part in (cosine, sine))
        self._step = 2 * math.pi * RATE / fps

    def add(self, picture: np.ndarray, index: int) -> np.ndarray:
        """Frame number `index`, (H, W, 3) uint8 RGB, with the mark: the same change to red, green and blue."""
        angle = self._step * index
        change = np.float32(math.cos(angle)) * self._cosine + np.float32(math.sin(angle)) * self._sine
        return np.clip(np.rint(picture + change), 0, 255).astype(np.uint8)


def _of_strength(part: np.ndarray) -> np.ndarray:
    size = math.sqrt((part**2).mean())
    return (part * (STRENGTH / size if size > 1e-6 else 0)).astype(np.float32)
