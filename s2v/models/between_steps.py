"""Reading a sequence between its steps."""

import torch
from torch import Tensor


def between_steps(steps: Tensor, position: Tensor) -> Tensor:
    """Interpolate linearly between steps; before the first and past the last, take that step.

    Args:
        steps: (B, L, D).
        position: (B, T), 0 is the first step, L - 1 the last.

    Returns:
        (B, T, D).
    """
    position = position.clamp(0, steps.shape[1] - 1)
    before = position.floor().long()
    after = (before + 1).clamp(max=steps.shape[1] - 1)
    fraction = (position - before).unsqueeze(-1).to(steps.dtype)
    batch = torch.arange(steps.shape[0], device=position.device).unsqueeze(1)
    return torch.lerp(steps[batch, before], steps[batch, after], fraction)
