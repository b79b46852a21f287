"""Convolutions by minimal filtering against PyTorch's own, in float64 where the errors are measured."""

from collections.abc import Iterator

import pytest
import torch
from torch.nn import functional

from s2v.cpu_kernels.filtered_conv import FilteredConv, FilteredWindows, Workspace


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    torch.manual_seed(0)
    with torch.no_grad():
        yield


@pytest.mark.parametrize("size", [(5, 5), (7, 9), (13, 13), (11, 20), (26, 27)])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [
        ((3, 3), (1, 1), (1, 1)),
        ((5, 5), (2, 2), (1, 1)),
        ((3, 2), (1, 3), (0, 2)),
        ((1, 4), (2, 1), (0, 0)),
        ((4, 1), (1, 1), (2, 0)),
    ],
)
def test_equals_conv2d(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> None:
    maps, weight = torch.randn(3, 6, *size), torch.randn(4, 6, *kernel)
    exact = functional.conv2d(maps.double(), weight.double(), None, stride, padding)
    conv, workspace = FilteredConv(weight, stride, padding), Workspace()
    workspace.take("padded", 100_000).fill_(torch.nan)  # nothing of what lies there may be read
    for _ in range(2):
        found = conv(maps.permute(3, 0, 2, 1), workspace).permute(1, 3, 2, 0)
        assert found.shape == exact.shape
        assert (found - exact).abs().max() < 1e-5 * exact.abs().max()


@pytest.mark.parametrize("frames", [5, 6, 7, 9])
@pytest.mark.parametrize("size", [(17, 12), (9, 40)])
def test_windows_equal_conv3d(frames: int, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    clip, weight = torch.randint(0, 256, (frames, 3, *size)).float(), torch.randn(8, 3, 5, 7, 7) * 0.05
    exact = functional.conv3d(clip.double().transpose(0, 1), weight.double(), stride=(1, 2, 2))
    for strip in (1, 1 << 20):
        monkeypatch.setattr("s2v.cpu_kernels.filtered_conv._STRIP_ELEMENTS", strip)
        conv, workspace = FilteredWindows(weight, (2, 2)), Workspace()
        found = conv(conv.laid_out(clip, workspace), size[1], workspace).permute(3, 1, 2, 0)
        assert found.shape == exact.shape
        assert (found - exact).abs().max() < 1e-5 * exact.abs().max()


def test_a_workspace_is_written_outside_inference_mode_too() -> None:
    workspace = Workspace()
    with torch.inference_mode():
        first = workspace.take("a", 2, 3).zero_()
    again = workspace.take("a", 3)
    again.fill_(1)
    assert again.data_ptr() == first.data_ptr()
    assert workspace.take("a", 7).shape == (7,)
