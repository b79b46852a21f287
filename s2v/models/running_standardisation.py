"""Standardisation of vectors by what has been seen of them so far."""

import torch
from torch import Tensor, distributed, nn


class RunningStandardisation(nn.Module):
    """Zero mean and unit variance by running statistics, in training as in evaluation: BatchNorm without a batch.

    A batch of a dozen clips tells a feature's mean to a fifth or third of its spread only. Normalised by its own
    batch a sound has another value at each step, by as much as one sound differs from the next, and a decoder
    learns to move the mouth less. Where processes train together, all see the statistics of their batches together,
    as they would in one.

    Shape:
        x: (B, num_features) -> the same.

    Args:
        num_features: size of a vector.
        momentum: the last batch's share in the statistics; at first, all batches so far count alike.

    Attributes:
        running_mean, running_var, num_batches_tracked, eps: as `nn.BatchNorm1d`'s, in a checkpoint too.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, num_features: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.momentum = momentum
        self.eps = 1e-5
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self._see(x.detach().float())
        # new tensors, not the buffers: another forward pass may come before the backward pass
        return (x - self.running_mean) / (self.running_var + self.eps).sqrt()

    @torch.no_grad()
    def _see(self, x: Tensor) -> None:
        self.num_batches_tracked += 1
        share = (1 / self.num_batches_tracked).clamp(min=self.momentum)
        count, total = _over_processes(torch.cat([x.new_full((1,), len(x)), x.sum(dim=0)])).tensor_split([1])
        mean = total / count
        self.running_mean.lerp_(mean, share)
        squares = _over_processes((x - mean).square().sum(dim=0))
        # no `if`, which would wait for the GPU: one vector says nothing of the spread
        self.running_var.lerp_(squares / (count - 1).clamp(min=1), share * (count > 1))


def _over_processes(x: Tensor) -> Tensor:
    """The sum of what each process has."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(x)
    return x
