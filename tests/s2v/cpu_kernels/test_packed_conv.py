"""Convolutions with packed weights against PyTorch's, with oneDNN's operators and without."""

import pytest
import torch
from torch.nn import functional

from s2v.cpu_kernels import packed_conv
from s2v.cpu_kernels.packed_conv import PackedConv


@pytest.mark.parametrize("can_pack", [True, False])
@pytest.mark.parametrize("channels", [3, 6, 64])
@torch.no_grad()
def test_equals_conv2d_and_forgets_what_was_there(
    channels: int, can_pack: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_conv, "_CAN_PACK", can_pack and packed_conv._CAN_PACK)
    torch.manual_seed(0)
    weight = torch.randn(32, channels, 1, 5)
    conv = PackedConv(weight, (1, 2), (0, 1), torch.Size((4, channels, 15, 26)))
    for count in (4, 2):  # weights are packed for four maps, and do for two
        wider = torch.randn(count, 15, 26, channels + 3)  # other channels may lie between
        maps = wider[..., :channels].permute(0, 3, 1, 2)
        exact = functional.conv2d(maps.double(), weight.double(), None, (1, 2), (0, 1))
        into = torch.full((count, 15, exact.shape[3], 32), torch.nan)
        conv(maps, into.permute(0, 3, 1, 2))
        assert (into.permute(0, 3, 1, 2) - exact).abs().max() < 1e-5 * exact.abs().max()
