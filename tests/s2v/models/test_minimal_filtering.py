"""Minimal filtering against the plain sum and against PyTorch's 3-d convolution."""

import pytest
import torch
from torch.nn import functional

from s2v.models import minimal_filtering
from s2v.models.minimal_filtering import conv_along_time, filtering_matrices


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


@pytest.mark.parametrize(("outputs", "taps"), [(1, 1), (4, 5), (3, 2), (2, 6)])
def test_any_sizes_give_the_plain_sum(outputs: int, taps: int) -> None:
    torch.manual_seed(0)
    back, of_filter, of_signal = filtering_matrices(outputs, taps)
    signal, one = torch.randn(outputs + taps - 1).double(), torch.randn(taps).double()
    plain = torch.stack([(one * signal[i : i + taps]).sum() for i in range(outputs)])
    torch.testing.assert_close(back @ ((of_filter @ one) * (of_signal @ signal)), plain)


@pytest.mark.parametrize("frames", [5, 8, 9, 14])
@pytest.mark.parametrize("strip", [1, 1 << 20])
def test_equals_conv3d(monkeypatch: pytest.MonkeyPatch, frames: int, strip: int) -> None:
    monkeypatch.setattr(minimal_filtering, "_STRIP_ELEMENTS", strip)
    torch.manual_seed(0)
    clip, weight = torch.randn(frames, 2, 17, 12).double(), torch.randn(4, 2, 5, 7, 3).double()
    plain = functional.conv3d(clip.transpose(0, 1), weight, stride=(1, 2, 3)).transpose(0, 1)
    torch.testing.assert_close(torch.cat(list(conv_along_time(clip, weight, (2, 3)))), plain)


def test_float32_errors_stay_those_of_conv3d() -> None:
    torch.manual_seed(0)
    clip, weight = torch.randint(0, 256, (12, 3, 40, 40)).float(), torch.randn(8, 3, 5, 7, 7) * 0.05
    exact = functional.conv3d(clip.double().transpose(0, 1), weight.double()).transpose(0, 1)
    found = torch.cat(list(conv_along_time(clip, weight)))
    assert (found - exact).abs().max() < 4e-6 * exact.abs().max()
