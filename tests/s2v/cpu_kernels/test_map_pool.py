"""Pooling of maps that lie columns first, against PyTorch's own."""

import pytest
import torch
from torch.nn import functional

from s2v.cpu_kernels.map_pool import MapPool


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [
        ((3, 3), (2, 2), (0, 0)),
        ((3, 3), (2, 2), (1, 1)),
        ((3, 3), (1, 2), (0, 0)),
        ((2, 5), (3, 1), (0, 2)),
        ((1, 3), (1, 1), (0, 1)),
        ((4, 1), (5, 2), (1, 0)),
    ],
)
@pytest.mark.parametrize("size", [(13, 13), (9, 26), (8, 5), (4, 6)])
def test_equals_max_pool2d(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    maps = torch.randn(2, 3, *size) - 5  # all below zero: nothing beyond an edge may count as zero
    exact = functional.max_pool2d(maps, kernel, stride, padding)
    pool = MapPool(kernel, stride, padding)
    height, width = pool.size(*size)
    rows = torch.full((size[1], 2, height, 3), torch.nan)
    pool.rows(maps.permute(3, 0, 2, 1), rows)
    found = torch.full((width, 2, height, 3), torch.nan)
    pool.columns(rows, found)
    assert torch.equal(found.permute(1, 3, 2, 0), exact)
