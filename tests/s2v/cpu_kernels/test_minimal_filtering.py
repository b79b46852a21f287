"""Minimal filtering against the plain sum."""

import pytest
import torch

from s2v.cpu_kernels.minimal_filtering import filtering_matrices


def test_two_outputs_of_three_taps_worked_out_by_hand() -> None:
    back, of_filter, of_signal = filtering_matrices(2, 3)
    assert back.tolist() == [[1, 1, 1, 0], [0, 1, -1, 1]]  # points 0, 1, -1 and infinity
    assert of_filter.tolist() == [[1, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 1]]
    signal = torch.tensor([1.0, 2, 3, 5]).double()
    taps = torch.tensor([2.0, -1, 4]).double()
    # 2*1 - 2 + 4*3 = 12, 2*2 - 3 + 4*5 = 21
    torch.testing.assert_close(
        back @ ((of_filter @ taps) * (of_signal @ signal)), torch.tensor([12.0, 21]).double()
    )


@pytest.mark.parametrize(("outputs", "taps"), [(1, 1), (4, 5), (5, 5), (7, 3), (3, 2), (2, 6)])
def test_any_sizes_give_the_plain_sum(outputs: int, taps: int) -> None:
    torch.manual_seed(0)
    back, of_filter, of_signal = filtering_matrices(outputs, taps)
    signal, one = torch.randn(outputs + taps - 1).double(), torch.randn(taps).double()
    plain = torch.stack([(one * signal[i : i + taps]).sum() for i in range(outputs)])
    torch.testing.assert_close(back @ ((of_filter @ one) * (of_signal @ signal)), plain)
