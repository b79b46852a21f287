"""A convolution on one thread of a CPU with its weights as oneDNN wants them, written where its result is needed.

`conv2d` lays the weights out anew in every call and gives its result in memory of its own, which has to be copied
from there. The operators are those that `torch.compile` uses (torch._inductor); a PyTorch without them takes `conv2d`.
"""

import torch
from torch import Tensor
from torch.nn import functional

Pair = tuple[int, int]

_CAN_PACK = torch.backends.mkldnn.is_available() and all(
    hasattr(torch.ops.mkldnn, name) for name in ("_reorder_convolution_weight", "_convolution_pointwise_")
)


class PackedConv:
    """A convolution without a bias, float32.

    Args:
        weight: (O, C, h, w).
        stride: of rows and of columns.
        padding: zeros on both sides of rows and of columns.
        maps: shape (N, C, H, W) of what it will mostly see; others are convolved as well.
    """

    def __init__(self, weight: Tensor, stride: Pair, padding: Pair, maps: torch.Size) -> None:
        self.stride, self.padding = stride, padding
        self.weight = weight.contiguous(memory_format=torch.channels_last)
        if _CAN_PACK:
            self.weight = torch.ops.mkldnn._reorder_convolution_weight(
                self.weight, padding, stride, (1, 1), 1, maps
            )

    def __call__(self, maps: Tensor, into: Tensor) -> None:
        """Maps (N, C, H, W) into (N, O, H', W'), both channels-last."""
        if not _CAN_PACK:
            into.copy_(functional.conv2d(maps, self.weight, None, self.stride, self.padding))
            return
        into.zero_()  # the operator adds to what is there
        torch.ops.mkldnn._convolution_pointwise_(
            into, maps, self.weight, None, self.padding, self.stride, (1, 1), 1, "add", 1.0, None, [], None
        )
