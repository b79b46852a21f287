"""SyncNet's towers on one thread of a CPU: batch norms folded in, layers by minimal filtering, memory used again.

The same numbers as the modules give in evaluation mode, to rounding.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from weakref import WeakKeyDictionary

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from s2v.cpu_kernels.filtered_conv import FilteredConv, FilteredWindows, Workspace
from s2v.cpu_kernels.map_pool import MapPool, Pair
from s2v.cpu_kernels.minimal_filtering import OUTPUTS_AT_ONCE

_LIPS_AT_ONCE = 3 * OUTPUTS_AT_ONCE
_SPEECH_AT_ONCE = 40
"""Windows that go through a tower together: the intermediates, 220 MB a thread, do not grow with the clip."""
_SPEECH_AT_LEAST = 10
"""For fewer oneDNN wants weights laid out otherwise, and lays them out anew, 11 ms, in each call."""


def can_be_filtered(tower: nn.Module, maps: Tensor) -> bool:
    """Whether this way gives the tower's numbers, and sooner than PyTorch's convolutions.

    Of its many short calls, several threads would wait for each other in each.
    """
    return (
        maps.device.type == "cpu"
        and maps.dtype in (torch.float32, torch.uint8)
        and all(value.dtype == torch.float32 for value in tower.parameters())
        and torch.get_num_threads() == 1
        and not tower.training
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
    )


def lip_features(tower: nn.Sequential, lips: Tensor) -> Tensor:
    """What SyncNet's lip tower gives for all windows of lips (T, 3, S, S), float32 or uint8: (T - 4, C), before the
    dense head.
    """
    return _filtered(tower).of_windows(lips)


def speech_features(tower: nn.Sequential, windows: Tensor) -> Tensor:
    """What its speech tower gives for windows of MFCC (B, 1, 13, 20): (B, C)."""
    return _filtered(tower).of_pictures(windows)


_Version = tuple[tuple[int, int], ...]
_towers: WeakKeyDictionary[nn.Sequential, tuple[_Version, "_FilteredTower"]] = WeakKeyDictionary()
_lock = threading.Lock()


def _filtered(tower: nn.Sequential) -> "_FilteredTower":
    """Made once for weights that stay as they are: folding and carrying filters to points takes 50 ms."""
    weights = list(chain(tower.parameters(), tower.buffers()))
    if any(value.is_inference() for value in weights):
        return _FilteredTower(tower)  # such tensors don't tell when they change
    version = tuple((value.data_ptr(), value._version) for value in weights)
    with _lock:
        if tower not in _towers or _towers[tower][0] != version:
            _towers[tower] = version, _FilteredTower(tower)
        return _towers[tower][1]


class _Layer:
    """A convolution with the batch norm, the pooling and the ReLU that follow it.

    `turned`: what the modules call rows are columns of the maps.
    """

    def __init__(self, conv: nn.Conv2d | nn.Conv3d, norm: _BatchNorm, turned: bool) -> None:
        assert norm.running_mean is not None and norm.running_var is not None and conv.bias is not None
        self._turned = turned
        self.weight = conv.weight.transpose(-1, -2) if turned else conv.weight
        self.scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        self.bias = (conv.bias - norm.running_mean) * self.scale + norm.bias
        self.stride, self.padding = self._in_space(conv.stride), self._in_space(conv.padding)
        self.pool: MapPool | None = None
        self._filtered: FilteredConv | None = None

    def follow(self, module: nn.MaxPool2d | nn.MaxPool3d) -> None:
        """Pooling comes before bias and ReLU, where there are fewer values then: the largest stays the largest."""
        sizes = (module.kernel_size, module.stride, module.padding)
        pool = MapPool(*(self._in_space(size) for size in sizes))
        if pool.kernel != (1, 1):
            self.pool = pool

    def _in_space(self, size: int | str | tuple[int, ...]) -> Pair:
        assert not isinstance(size, str)
        rows, columns = (size, size) if isinstance(size, int) else size[-2:]
        return (columns, rows) if self._turned else (rows, columns)

    def folded(self) -> Tensor:
        """The convolution's weights with the norm's scale, (O, C, [K,] h, w)."""
        return self.weight * self.scale.view(-1, *[1] * (self.weight.dim() - 1))

    def finished(self, maps: Tensor) -> Tensor:
        return maps.add_(self.bias).relu_()

    def __call__(self, maps: Tensor, workspace: Workspace) -> Tensor:
        """Maps (W, N, H, C) to (W', N, H', O), or to (1, N, 1, O) where it looks at a whole map at once."""
        width, _, height, _ = maps.shape
        if self.weight.shape[-2:] == (height, width) and self.padding == (0, 0):
            # A product of matrices, the scale after it: a copy of 4.7 million weights would do nothing else.
            flat = rearrange(maps, "w n h c -> n (c h w)")
            return ((flat @ self.weight.flatten(1).T) * self.scale + self.bias).relu_()[None, :, None]
        if self._filtered is None:
            weight = self.folded()
            weight = weight.squeeze(2) if weight.dim() == 5 else weight
            self._filtered = FilteredConv(weight, self.stride, self.padding, self.pool)
        return self.finished(self._filtered(maps, workspace))


class _FilteredTower:
    """A sequence of convolution, batch norm, ReLU and perhaps max pooling; the last convolution sees a whole map.

    The speech tower's columns are its 13 cepstral coefficients: the 11 of a layer take 16 products for 33, the 9 steps
    of time 14 for 27.
    """

    def __init__(self, tower: nn.Sequential) -> None:
        layers: list[_Layer] = []
        modules = list(tower)
        for module, following in zip(modules, [*modules[1:], None], strict=True):
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                # of 2 or 3 dimensions, or of none in particular, as Lightning's TorchSyncBatchNorm leaves it
                assert isinstance(following, _BatchNorm)
                layers.append(_Layer(module, following, turned=isinstance(module, nn.Conv2d)))
            elif isinstance(module, nn.MaxPool2d | nn.MaxPool3d):
                layers[-1].follow(module)
        self.first, *self.layers = layers
        self._of_windows: FilteredWindows | None = None
        if self.first.weight.dim() == 5:
            self._of_windows = FilteredWindows(self.first.folded(), self.first.stride, self.first.pool)
        self._workspaces: list[Workspace] = []

    @contextmanager
    def _workspace(self) -> Iterator[Workspace]:
        """One that no other thread has now."""
        try:
            workspace = self._workspaces.pop()
        except IndexError:
            workspace = Workspace()
        yield workspace
        self._workspaces.append(workspace)

    def of_windows(self, clip: Tensor) -> Tensor:
        """(T, C, H, W) to (T - K + 1, O), for a first convolution of K frames."""
        assert self._of_windows is not None
        conv, around = self._of_windows, self._of_windows.frames - 1
        features: list[Tensor] = []
        with self._workspace() as workspace:
            for start in range(0, len(clip) - around, _LIPS_AT_ONCE):
                frames = clip[start : start + _LIPS_AT_ONCE + around]
                laid_out = conv.laid_out(frames, workspace)
                windows = len(frames) - around
                together: Tensor | None = None
                for at in range(0, windows, OUTPUTS_AT_ONCE):
                    maps = conv(laid_out[at : at + OUTPUTS_AT_ONCE + around], frames.shape[3], workspace)
                    maps = self.first.finished(maps)
                    if together is None:
                        together = workspace.take("together", len(maps), windows, *maps.shape[2:])
                    together[:, at : at + OUTPUTS_AT_ONCE] = maps
                assert together is not None
                features.append(self._after_the_first(together, workspace))
        return torch.cat(features)

    def of_pictures(self, pictures: Tensor) -> Tensor:
        """(B, C, H, W) to (B, O), for a first convolution of few channels, which is taken as it is."""
        assert self.first.pool is None
        weight, features = self.first.folded(), []
        with self._workspace() as workspace:
            for some in pictures.split(_SPEECH_AT_ONCE):
                count = len(some)
                some = functional.pad(some, (0, 0) * 3 + (0, max(0, _SPEECH_AT_LEAST - count))).transpose(
                    -1, -2
                )
                maps = functional.conv2d(some, weight, None, self.first.stride, self.first.padding)
                maps = rearrange(maps, "n c h w -> w n h c").contiguous()
                features.append(self._after_the_first(self.first.finished(maps), workspace)[:count])
        return torch.cat(features)

    def _after_the_first(self, maps: Tensor, workspace: Workspace) -> Tensor:
        for layer in self.layers:
            maps = layer(maps, workspace)
        return maps[0, :, 0]
