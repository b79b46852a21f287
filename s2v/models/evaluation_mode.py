"""Networks that are in evaluation mode for a while, whatever mode they are in before and after."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluated(*networks: nn.Module) -> Iterator[None]:
    """Give every submodule its own mode back afterwards: parts of a network in training may be frozen."""
    modes = [(module, module.training) for network in networks for module in network.modules()]
    for network in networks:
        network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
