"""SyncNet's lip tower for scoring: the same numbers from 2-d convolutions with their batch norms folded in.

Only the first convolution looks along time: five frames are fifteen channels of one picture. Every other layer is
2-d as it stands. For one thread of a CPU, `s2v.models.filtered_tower` is faster.
"""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional


@torch.no_grad()
def folded_lip_features(tower: nn.Sequential, lips: Tensor) -> Tensor:
    """What `tower` in evaluation mode gives for all windows of lips (T, 3, S, S): (T - 4, C), before the dense head.

    Args:
        tower: Conv3d + BatchNorm3d + ReLU layers and MaxPool3d, all with a kernel of 1 along time but the first,
            which has no padding and is followed by a MaxPool3d.
        lips: consecutive frames, BGR 0..255, at least five.
    """
    first, norm, _, pool, *layers = tower
    assert (
        isinstance(first, nn.Conv3d) and isinstance(norm, nn.BatchNorm3d) and isinstance(pool, nn.MaxPool3d)
    )
    maps = _first_maps(lips, first, norm, pool)
    for layer, after in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(layer, nn.Conv3d):
            assert isinstance(after, nn.BatchNorm3d)
            if maps.shape[2:] == layer.kernel_size[1:] and layer.padding == (0, 0, 0):
                # A product of matrices, the norm after it: to fold or to reorder 4.7 million weights takes longer.
                features = functional.linear(maps.flatten(1), layer.weight.flatten(1), layer.bias)
                maps = after(features[:, :, None, None, None]).flatten(1).relu_()
                continue
            weight, bias = _folded(layer, after)
            (_, down, across), padding = layer.stride, layer.padding
            assert not isinstance(padding, str)
            flat = weight.squeeze(2).contiguous(memory_format=torch.channels_last)
            maps = functional.conv2d(maps, flat, bias, (down, across), padding[1:]).relu_()
        elif isinstance(layer, nn.MaxPool3d):
            maps = _pooled(maps, layer)
    return maps.flatten(1)


def _first_maps(lips: Tensor, conv: nn.Conv3d, norm: nn.BatchNorm3d, pool: nn.MaxPool3d) -> Tensor:
    """The first convolution, ReLU and pooling: (T, 3, S, S) to (T - 4, C, h, w), channels-last.

    The largest of some numbers stays the largest with a bias added and cut at zero: both come after the pooling, where
    there are four times fewer.
    """
    weight, bias = _folded(conv, norm)
    _, down, across = conv.stride
    windows = lips.unfold(0, conv.kernel_size[0], 1)
    pictures = rearrange(windows, "windows colours h w frames -> windows (colours frames) h w")
    flat = rearrange(weight, "out colours frames h w -> out (colours frames) h w")
    flat = flat.contiguous(memory_format=torch.channels_last)
    maps = functional.conv2d(
        pictures.contiguous(memory_format=torch.channels_last), flat, None, (down, across)
    )
    maps = _pooled(maps, pool)
    return maps.add_(bias.view(-1, 1, 1)).relu_()


def _pooled(maps: Tensor, pool: nn.MaxPool3d) -> Tensor:
    kernel, stride, padding = (_in_space(size) for size in (pool.kernel_size, pool.stride, pool.padding))
    return functional.max_pool2d(maps, kernel, stride, padding)


def _in_space(size: int | tuple[int, ...]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[1], size[2])


def _folded(conv: nn.Conv3d, norm: nn.BatchNorm3d) -> tuple[Tensor, Tensor]:
    """Weights (out, in, time, h, w) and bias of the convolution followed by its batch norm."""
    assert norm.running_mean is not None and norm.running_var is not None and conv.bias is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    weight = conv.weight * scale.view(-1, 1, 1, 1, 1)
    bias = (conv.bias - norm.running_mean) * scale + norm.bias
    return weight, bias
