"""SyncNet's lip tower for scoring: the same numbers from 2-d convolutions with their batch norms folded in.

Only the first convolution looks along time, so five frames are fifteen channels of one picture and every other
layer is 2-d as it stands. PyTorch's 3-d convolutions are far slower on a CPU than 2-d ones in channels-last order.
"""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional


@torch.no_grad()
def folded_lip_features(tower: nn.Sequential, windows: Tensor) -> Tensor:
    """What `tower` in evaluation mode gives for windows (B, 3, 5, S, S): (B, C) features, before the dense head.

    Args:
        tower: Conv3d + BatchNorm3d + ReLU layers and MaxPool3d, all with a kernel of 1 along time but the first.
        windows: five lip frames each, BGR 0..255.
    """
    pictures = rearrange(windows, "batch colours frames height width -> batch (colours frames) height width")
    maps = pictures.contiguous(memory_format=torch.channels_last)
    layers = list(tower)
    for layer, after in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(layer, nn.Conv3d):
            assert isinstance(after, nn.BatchNorm3d)
            weight, bias = _folded(layer, after)
            (_, down, across), padding = layer.stride, layer.padding
            assert not isinstance(padding, str)
            maps = functional.conv2d(maps, weight, bias, (down, across), padding[1:]).relu_()
        elif isinstance(layer, nn.MaxPool3d):
            kernel, stride, padding = (
                _in_space(size) for size in (layer.kernel_size, layer.stride, layer.padding)
            )
            maps = functional.max_pool2d(maps, kernel, stride, padding)
    return maps.flatten(1)


def _in_space(size: int | tuple[int, ...]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[1], size[2])


def _folded(conv: nn.Conv3d, norm: nn.BatchNorm3d) -> tuple[Tensor, Tensor]:
    """Weights (out, in * time, h, w) and bias of the convolution followed by its batch norm."""
    assert norm.running_mean is not None and norm.running_var is not None and conv.bias is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    weight = rearrange(conv.weight, "out colours time height width -> out (colours time) height width")
    weight = weight * scale.view(-1, 1, 1, 1)
    bias = (conv.bias - norm.running_mean) * scale + norm.bias
    return weight.contiguous(memory_format=torch.channels_last), bias
