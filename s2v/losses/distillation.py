"""Stage 1's cross-modal distillation loss (paper, eqs. 2 and 3)."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor


def soft_cross_entropy(
    student: Tensor,
    teacher: Tensor,
    target: Literal["teacher", "student"] = "teacher",
    temperature: float = 1.0,
) -> Tensor:
    """Softmax cross-entropy between two feature vectors (eq. 3).

    Knowledge distillation uses H(teacher, student) = -sum softmax(teacher) log softmax(student), whose minimum
    is at student = teacher. Eq. 3 as printed has the roles swapped: its minimum over the student is a one-hot
    vector at the teacher's largest entry. `target="student"` selects the printed form.

    Args:
        student: (B, D) logits of the network that learns.
        teacher: (B, D) logits of the frozen network.
        target: whose softmax weighs the other's logarithm.
        temperature: divides both logits (Speech2Face uses 2); the loss is not rescaled.

    Returns:
        The mean over the batch, a scalar, in nats.
    """
    if target not in ("teacher", "student"):
        raise ValueError(f"target must be 'teacher' or 'student', got {target!r}")
    weights, logits = (teacher, student) if target == "teacher" else (student, teacher)
    probabilities = F.softmax(weights / temperature, dim=-1)
    return -(probabilities * F.log_softmax(logits / temperature, dim=-1)).sum(dim=-1).mean()


def normalised_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared distance between L2-normalised vectors (eq. 2's |x_bar - y_bar|^2), i.e. 2 - 2 cos.

    Args:
        student: (B, D).
        teacher: (B, D).

    Returns:
        The mean over the batch, a scalar in [0, 4].
    """
    difference = F.normalize(student, dim=-1) - F.normalize(teacher, dim=-1)
    return difference.square().sum(dim=-1).mean()
