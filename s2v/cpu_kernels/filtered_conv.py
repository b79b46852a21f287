"""2-d convolutions with fewer multiplications on one thread of a CPU: minimal filtering along the columns.

Maps lie as (W, N, H, C), columns first. Between maps and points there are then products with one small matrix, 9 x 9
at most, whose other factor is long and lies in one piece; and at a point there is a convolution along rows alone, of
all tiles and maps at once, which oneDNN does at the speed of multiply-adds. A layer with 3 taps needs 7 products where
it needed 15. Filtering along rows as well saves more products, but takes as long again to carry them to the points.
"""

import math
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from s2v.cpu_kernels.map_pool import MapPool
from s2v.cpu_kernels.minimal_filtering import filtering_matrices
from s2v.cpu_kernels.packed_conv import PackedConv

_MOST_POINTS = 9
"""7 outputs of 3 taps at once, or 6 of 4: the largest error is 6e-6 of the largest value, in float32."""
_STRIP_ELEMENTS = 3 << 20
"""Products of one strip of columns, floats: they should stay in the processor's cache until they are brought back."""


class Workspace:
    """Memory that is used again: fresh pages for every intermediate took a fifth of the time of SyncNet's lip tower."""

    def __init__(self) -> None:
        self._kept: dict[str, Tensor] = {}

    def take(self, name: str, *shape: int) -> Tensor:
        """Floats of any values, in one piece; what was last taken by this name is overwritten."""
        size = math.prod(shape)
        if name not in self._kept or self._kept[name].numel() < size:
            with torch.inference_mode(False):  # such a tensor could not be written outside inference mode
                self._kept[name] = torch.empty(size)
        return self._kept[name][:size].view(shape)


class _Tiles(NamedTuple):
    """How an axis of `outputs` is cut into tiles, and their matrices as `filtering_matrices` gives them."""

    number: int
    step: int
    outputs: int
    back: Tensor
    of_filter: Tensor
    of_signal: Tensor

    @property
    def points(self) -> int:
        return len(self.of_filter)

    @property
    def inputs(self) -> int:
        """Length that they read together."""
        return (self.number - 1) * self.step + self.points

    def read(self, tile: int) -> slice:
        return slice(tile * self.step, tile * self.step + self.points)

    def written(self, tile: int) -> slice:
        return slice(tile * self.step, min((tile + 1) * self.step, self.outputs))


def _tiles(outputs: int, taps: int) -> _Tiles:
    """Tiles as large as makes the products fewest."""

    def products(step: int) -> int:
        return -(-outputs // step) * (step + taps - 1)

    step = min(range(1, max(1, _MOST_POINTS - taps + 1) + 1), key=products)
    matrices = (part.float() for part in filtering_matrices(step, taps))
    return _Tiles(-(-outputs // step), step, outputs, *matrices)


def _small_pictures(maps: Tensor, into: Tensor, left: int) -> Tensor:
    """(W, N, H, C) into (I, N, H, s, C): column j + left of `maps` to i s + phase, zeros around; (I, N, H, s C).

    A picture's every s-th columns are a picture of their own: a stride becomes more channels.
    """
    by = into.shape[3]
    for phase in range(by):
        first = -(-max(0, left - phase) // by)
        columns = maps[first * by + phase - left :: by][: len(into) - first]
        last = first + len(columns)
        part = into[:, :, :, phase]
        part[:first], part[first:last], part[last:] = 0, columns, 0
    return into.flatten(3)


def _small_filters(weight: Tensor, by: int) -> Tensor:
    """(..., C, h, w) to (..., by C, h, w / by), rounded up."""
    weight = functional.pad(weight, (0, -weight.shape[-1] % by))
    return rearrange(weight, "... c h (w s) -> ... (s c) h w", s=by)


def _channels_at_infinity(weight: Tensor, columns: int, by: int) -> int:
    """Channels of small filters that have a last tap: a filter's value at infinity is that tap, so others have none."""
    channels, taps = weight.shape[-3], weight.shape[-1]
    return channels // by * (columns - (taps - 1) * by)


class _Outputs:
    """Where tiles' outputs go, with their rows pooled while they are in the processor's cache."""

    def __init__(
        self, tiles: _Tiles, others: tuple[int, int, int], pool: MapPool | None, workspace: Workspace
    ) -> None:
        """`others`: N, H' and O of the convolution's own maps (W', N, H', O)."""
        count, rows, channels = others
        self._tiles, self._pool, self._others = tiles, pool, others
        self._workspace, width = workspace, tiles.outputs
        if pool is not None:
            rows, width = pool.size(rows, width)
        self._width = width
        self._maps = workspace.take("result", tiles.outputs, count, rows, channels)

    def take(self, tile: int, at_points: Tensor) -> None:
        """What is at its points, (P, N * H' * O)."""
        into = self._maps[self._tiles.written(tile)]
        back = self._tiles.back[: len(into)]
        if self._pool is None:
            torch.mm(back, at_points, out=into.flatten(1))
        else:
            brought = self._workspace.take("brought", len(into), *self._others)
            torch.mm(back, at_points, out=brought.flatten(1))
            self._pool.rows(brought, into)

    def pooled(self) -> Tensor:
        """All of them, when each tile has been taken."""
        if self._pool is None:
            return self._maps
        pooled = self._workspace.take("pooled", self._width, *self._maps.shape[1:])
        self._pool.columns(self._maps, pooled)
        return pooled


class FilteredConv:
    """A convolution of maps (W, N, H, C), float32 on a CPU: as conv2d's without a bias, to rounding.

    Args:
        weight: (O, C, h, w).
        stride: of rows and of columns.
        padding: zeros on both sides of rows and of columns.
        pool: max pooling after it.
    """

    def __init__(
        self,
        weight: Tensor,
        stride: tuple[int, int],
        padding: tuple[int, int],
        pool: MapPool | None = None,
    ) -> None:
        self.columns = weight.shape[3]
        self.weight, self.stride, self.padding = _small_filters(weight, stride[1]), stride, padding
        self.pool = pool
        self._at_points: dict[int, list[PackedConv]] = {}

    def __call__(self, maps: Tensor, workspace: Workspace) -> Tensor:
        """(W, N, H, C) to (W', N, H', O), in memory of the workspace."""
        (down, right), (above, left) = self.stride, self.padding
        width, count, height, channels = maps.shape
        out, small_channels, kernel_rows, taps = self.weight.shape
        tiles = _tiles((width + 2 * left - self.columns) // right + 1, taps)
        rows = (height + 2 * above - kernel_rows) // down + 1
        padded = workspace.take("padded", tiles.inputs, count, height, right, channels)
        signal = _small_pictures(maps, padded, left).flatten(1)
        seen = workspace.take("seen", tiles.points, tiles.number, count, height, small_channels)
        for tile in range(tiles.number):
            torch.mm(tiles.of_signal, signal[tiles.read(tile)], out=seen[:, tile].flatten(1))
        products = workspace.take("products", tiles.points, tiles.number, count, rows, out)
        pictures = list(seen.permute(0, 1, 4, 2, 3))
        pictures[-1] = pictures[-1][:, : _channels_at_infinity(self.weight, self.columns, right)]
        at_points = products.permute(0, 1, 4, 2, 3)
        for into, picture, conv in zip(at_points, pictures, self._convs(tiles, pictures), strict=True):
            conv(picture, into)
        outputs = _Outputs(tiles, (count, rows, out), self.pool, workspace)
        for tile in range(tiles.number):
            outputs.take(tile, products[:, tile].flatten(1))
        return outputs.pooled()

    def _convs(self, tiles: _Tiles, pictures: list[Tensor]) -> list[PackedConv]:
        """At each point; the same for all maps of one size."""
        if tiles.step not in self._at_points:
            filters = torch.einsum("pk,ochk->poch", tiles.of_filter, self.weight).unsqueeze(3)
            stride, padding = (1, self.stride[0]), (0, self.padding[0])
            self._at_points[tiles.step] = [
                PackedConv(one[:, : picture.shape[1]], stride, padding, picture.shape)
                for one, picture in zip(filters, pictures, strict=True)
            ]
        return self._at_points[tiles.step]


class FilteredWindows:
    """A 3-d convolution of consecutive frames' windows, a few at a time: minimal filtering along time and columns.

    Args:
        weight: (O, C, K, h, w), float32 on a CPU.
        stride: of rows and of columns; in time it is 1. There is no padding.
        pool: max pooling of each window after it.
    """

    def __init__(self, weight: Tensor, stride: tuple[int, int], pool: MapPool | None = None) -> None:
        self.columns, self.frames = weight.shape[4], weight.shape[2]
        weight = rearrange(weight, "o c k h w -> k o c h w")
        self.weight, self.stride, self.pool = _small_filters(weight, stride[1]), stride, pool
        self._at_points: dict[tuple[int, int], list[list[PackedConv]]] = {}

    def laid_out(self, clip: Tensor, workspace: Workspace) -> Tensor:
        """Frames (T, C, H, W) as `__call__` wants them, (T, I, H, s C) in memory of the workspace."""
        frames, channels, height, width = clip.shape
        right = self.stride[1]
        inputs = _tiles((width - self.columns) // right + 1, self.weight.shape[-1]).inputs
        into = workspace.take("clip", frames, inputs, height, right, channels).transpose(0, 1)
        return _small_pictures(clip.permute(3, 0, 2, 1), into, 0).transpose(0, 1)

    def __call__(self, clip: Tensor, width: int, workspace: Workspace) -> Tensor:
        """Frames as `laid_out`, (T, I, H, s C), T at most K + 4, whose width was W: (W', T - K + 1, H', O),
        in memory of the workspace.
        """
        down, right = self.stride
        _, out, channels, kernel_rows, taps = self.weight.shape
        tiles = _tiles((width - self.columns) // right + 1, taps)
        height = clip.shape[2]
        rows = (height - kernel_rows) // down + 1
        windows = len(clip) - self.frames + 1
        back, of_filter, of_signal = (part.float() for part in filtering_matrices(windows, self.frames))
        times = len(of_signal)
        at_times = workspace.take("at_times", times, tiles.inputs, height * channels)
        torch.mm(of_signal, clip.flatten(1), out=at_times.flatten(1))
        of_tiles = at_times.unfold(1, tiles.points, tiles.step).transpose(2, 3)
        outputs = _Outputs(tiles, (windows, rows, out), self.pool, workspace)
        strip = max(1, _STRIP_ELEMENTS // (times * rows * out))
        strip = -(-tiles.number // -(-tiles.number // strip))  # strips of one size
        for start in range(0, tiles.number, strip):
            some = range(start, min(start + strip, tiles.number))
            seen = workspace.take("seen", tiles.points, times, len(some), height * channels)
            matrices = tiles.of_signal.expand(len(some), -1, -1)
            for time, tiles_then in enumerate(of_tiles[:, some.start : some.stop]):
                seen[:, time] = torch.bmm(matrices, tiles_then).transpose(0, 1)
            pictures = seen.view(tiles.points, times, 1, len(some), height, channels).permute(
                0, 1, 2, 5, 3, 4
            )
            found = workspace.take("found", tiles.points, len(some), windows, rows * out)
            products = workspace.take("products", times, 1, len(some), rows, out)
            at_each_time = products.permute(0, 1, 4, 2, 3).unbind()
            of_each_tile = products.view(times, len(some), rows * out).transpose(0, 1)
            to_windows = back.expand(len(some), -1, -1)
            convs = self._convs(tiles, of_filter, pictures.shape[2:])
            for at_point, some_convs, brought in zip(pictures, convs, found, strict=True):
                for into, picture, conv in zip(at_each_time, at_point, some_convs, strict=True):
                    conv(picture, into)
                torch.bmm(to_windows, of_each_tile, out=brought)
            for at, tile in enumerate(some):
                outputs.take(tile, found[:, at].flatten(1))
        return outputs.pooled()

    def _convs(self, tiles: _Tiles, of_time: Tensor, pictures: torch.Size) -> list[list[PackedConv]]:
        """At each point of the columns and of time; the same for all clips of one size."""
        key = tiles.step, len(of_time)
        if key not in self._at_points:
            filters = torch.einsum("pw,tk,kochw->ptoch", tiles.of_filter, of_time, self.weight)
            self._at_points[key] = [
                [PackedConv(one, (1, self.stride[0]), (0, 0), pictures) for one in some]
                for some in filters.unsqueeze(4)
            ]
        return self._at_points[key]
