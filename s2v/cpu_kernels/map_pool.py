"""Max pooling of maps (W, N, H, C), columns first, by comparing them shifted.

`max_pool2d` writes indices too, and is slower. Rows and columns are pooled apart: rows as soon as some columns are
there, while they lie in the processor's cache.
"""

from typing import NamedTuple

import torch
from torch import Tensor

Pair = tuple[int, int]


class MapPool(NamedTuple):
    """Largest of `kernel` (rows, columns) values; nothing is larger than what lies beyond the edges."""

    kernel: Pair
    stride: Pair
    padding: Pair

    def size(self, height: int, width: int) -> Pair:
        """Rows and columns that are left."""
        height, width = (
            (length + 2 * around - kernel) // stride + 1
            for length, kernel, stride, around in zip(
                (height, width), self.kernel, self.stride, self.padding, strict=True
            )
        )
        return height, width

    def rows(self, maps: Tensor, into: Tensor) -> None:
        """(W, N, H, C) into (W, N, H', C)."""
        self._largest(maps, 2, into)

    def columns(self, maps: Tensor, into: Tensor) -> None:
        """(W, N, H', C) into (W', N, H', C)."""
        self._largest(maps, 0, into)

    def _largest(self, maps: Tensor, axis: int, into: Tensor) -> None:
        of_pair = 1 if axis == 0 else 0
        kernel, stride, around = self.kernel[of_pair], self.stride[of_pair], self.padding[of_pair]
        assert kernel > 2 * around, "or the value in the middle is not there for each output"
        length, outputs = maps.shape[axis], into.shape[axis]

        def part(values: Tensor, start: int, stop: int, step: int = 1) -> Tensor:
            return values[(*(slice(None),) * axis, slice(start, stop, step))]

        largest = part(maps, 0, (outputs - 1) * stride + 1, stride)
        for shift in (shift for shift in range(-around, kernel - around) if shift):
            first = max(0, -(shift // stride))
            stop = min(outputs, (length - 1 - shift) // stride + 1)
            shifted = part(maps, first * stride + shift, (stop - 1) * stride + shift + 1, stride)
            torch.maximum(part(largest, first, stop), shifted, out=part(into, first, stop))
            if largest is not into:
                part(into, 0, first).copy_(part(largest, 0, first))
                part(into, stop, outputs).copy_(part(largest, stop, outputs))
                largest = into
        if largest is not into:
            into.copy_(largest)
