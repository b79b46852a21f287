"""The L1 norm between two vectors (Speech2Face's first term)."""

from torch import Tensor


def absolute_difference(student: Tensor, teacher: Tensor) -> Tensor:
    """|student - teacher|_1, summed over the vector, mean over the batch.

    Args:
        student: (B, D).
        teacher: (B, D).
    """
    return (student - teacher).abs().sum(dim=-1).mean()
