"""Batch norms as a training leaves them: as they are made they change hardly anything, and a lost one does not show."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from s2v.models.running_standardisation import RunningStandardisation


def draw_batch_norms(network: nn.Module, scales: tuple[float, float] = (0.5, 1.5)) -> None:
    """Draws what they have seen, and their scales and shifts, by PyTorch's generator."""
    for module in network.modules():
        if isinstance(module, _BatchNorm | RunningStandardisation):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(std=0.2)
            module.running_var.uniform_(0.5, 1.5)
            if isinstance(module, _BatchNorm) and module.affine:
                nn.init.uniform_(module.weight, *scales)
                nn.init.normal_(module.bias, std=0.2)
