"""Filters with fewer multiplications: Toom-Cook's minimal filtering (Winograd 1980; Lavin & Gray 2015).

m outputs of a filter with r taps need m + r - 1 products instead of m r: filter and signal are evaluated at as many
points (one of them at infinity), multiplied there, and the products brought back. `s2v.cpu_kernels.filtered_conv` has
convolutions for products: SyncNet's first layer (5 taps in time, 5 outputs at once) takes 9 of them where it took 25.
"""

from functools import lru_cache

import torch
from torch import Tensor

OUTPUTS_AT_ONCE = 5
_POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 4.0, -4.0, 0.25, -0.25)
_EIGHT_POINTS = (0.3, -0.3, 0.6, -0.6, 1.25, -1.25, 2.0, -2.0)
"""Of those tried the ones that lose least: 2 to 3e-6 of the largest value in float32, where 0 and 4 lose 1e-5."""


@lru_cache(maxsize=32)
def filtering_matrices(outputs: int, taps: int) -> tuple[Tensor, Tensor, Tensor]:
    """`back` (m, n), `of_filter` (n, r), `of_signal` (n, n), float64, n = m + r - 1, so that for a filter g and a
    signal d of n values, back @ ((of_filter @ g) * (of_signal @ d)) is sum_k g[k] d[i + k] for i = 0..m-1.

    The transposed rule for the product of two polynomials: evaluate both, multiply, interpolate.
    """
    count = outputs + taps - 1
    finite = _EIGHT_POINTS if count - 1 == len(_EIGHT_POINTS) else _POINTS[: count - 1]
    points = torch.tensor(finite, dtype=torch.float64)

    def evaluation(terms: int) -> Tensor:
        at_infinity = torch.zeros(1, terms, dtype=torch.float64)
        at_infinity[0, -1] = 1
        return torch.cat([points[:, None] ** torch.arange(terms), at_infinity])

    return (
        evaluation(outputs).T.contiguous(),
        evaluation(taps),
        torch.linalg.inv(evaluation(count)).T.contiguous(),
    )
