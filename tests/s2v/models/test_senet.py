"""SENet-50 against its graph written out a second time, and its published layout."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from s2v.errors import InputError
from s2v.models.senet import FERPLUS_CLASSES, RGB_MEAN, SENet50


def randomise(network: nn.Module) -> None:
    """Batch statistics and biases that are not 0 and 1, so that forgetting one shows."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
        elif isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.normal_(module.bias, std=0.5)


def published_graph(state: dict[str, Tensor], face: Tensor, blocks: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Logits and pool5 by plain functions of the published layers, in Caffe's way."""

    def conv_bn(name: str, x: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
        x = functional.conv2d(x, state[f"{name}.weight"], None, stride, padding)
        scale = state[f"{name}_bn.weight"] / torch.sqrt(state[f"{name}_bn.running_var"] + 1e-5)
        shift = state[f"{name}_bn.bias"] - state[f"{name}_bn.running_mean"] * scale
        return x * scale[:, None, None] + shift[:, None, None]

    x = functional.relu(conv_bn("conv1_7x7_s2", face - torch.tensor(RGB_MEAN)[:, None, None], 2, 3))
    x = functional.pad(x, (0, 1, 0, 1), value=-torch.inf)  # what ceil_mode adds to an even side
    x = functional.max_pool2d(x, 3, 2)
    for stage, depth in enumerate(blocks, 2):
        for block in range(1, depth + 1):
            name, stride = f"conv{stage}_{block}", 2 if stage > 2 and block == 1 else 1
            y = functional.relu(conv_bn(f"{name}_1x1_reduce", x, stride))
            y = functional.relu(conv_bn(f"{name}_3x3", y, 1, 1))
            y = conv_bn(f"{name}_1x1_increase", y)
            squeezed = functional.avg_pool2d(y, y.shape[-1])
            weight, bias = state[f"{name}_1x1_down.weight"], state[f"{name}_1x1_down.bias"]
            down = functional.conv2d(squeezed, weight, bias).relu()
            up = functional.conv2d(down, state[f"{name}_1x1_up.weight"], state[f"{name}_1x1_up.bias"])
            shortcut = conv_bn(f"{name}_1x1_proj", x, stride) if block == 1 else x
            x = functional.relu(torch.sigmoid(up) * y + shortcut)
    pool5 = functional.avg_pool2d(x, x.shape[-1])
    logits = functional.conv2d(pool5, state["classifier.weight"], state["classifier.bias"])
    return logits.flatten(1), pool5.flatten(1)


def test_published_layout(shared_dir: Path) -> None:
    layouts = json.loads((shared_dir / "design" / "layouts_faces.json").read_text())
    with torch.device("meta"):
        shapes = {key: list(value.shape) for key, value in SENet50().state_dict().items()}
    assert shapes == layouts["senet50_ferplus_dag"]


def test_published_size() -> None:
    with torch.device("meta"):
        network = SENet50()
    assert len(network.state_dict()) == 384
    assert sum(value.numel() for value in network.parameters()) == 26_055_416
    assert network.embedding_dim == 2048
    assert len(FERPLUS_CLASSES) == 8


@torch.no_grad()
@pytest.mark.parametrize(("size", "width", "blocks"), [(64, 1 / 8, (1, 2, 1, 1)), (96, 1 / 4, (2, 1, 1, 2))])
def test_equals_the_published_graph(size: int, width: float, blocks: tuple[int, int, int, int]) -> None:
    torch.manual_seed(0)
    network = SENet50(image_size=size, width=width, blocks=blocks).double().eval()
    randomise(network)
    face = torch.rand(2, 3, size, size, dtype=torch.float64) * 255
    logits, pool5 = published_graph(network.state_dict(), face, blocks)
    result = network(face)
    torch.testing.assert_close(result["logits"], logits, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(result["embedding"], pool5, rtol=1e-9, atol=1e-9)
    single = network.float()(face.float())
    torch.testing.assert_close(single["logits"].double(), logits, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_stem_pools_the_last_partial_window() -> None:
    network = SENet50(width=1 / 8, blocks=(1, 1, 1, 1)).eval()
    assert network.stem_pool(torch.zeros(1, 1, 112, 112)).shape[-2:] == (56, 56)
    corner = torch.zeros(1, 1, 112, 112)
    corner[..., 111, 111] = 5
    assert network.stem_pool(corner)[..., 55, 55] == 5


@torch.no_grad()
def test_bgr_weights_see_blue_first() -> None:
    torch.manual_seed(0)
    rgb = SENet50(image_size=64, width=1 / 8, blocks=(1, 1, 1, 1)).eval()
    bgr = SENet50(image_size=64, width=1 / 8, blocks=(1, 1, 1, 1), bgr=True).eval()
    state = rgb.state_dict()
    bgr.load_state_dict({**state, "conv1_7x7_s2.weight": state["conv1_7x7_s2.weight"].flip(1)})
    face = torch.rand(1, 3, 64, 64) * 255
    torch.testing.assert_close(bgr(face)["logits"], rgb(face)["logits"], rtol=1e-4, atol=1e-4)


def test_learns_from_scratch_in_seconds() -> None:
    torch.manual_seed(0)
    network = SENet50(image_size=64, width=1 / 16, blocks=(1, 1, 1, 1), num_classes=4)
    faces = functional.interpolate(torch.rand(4, 3, 5, 5) * 255, size=64, mode="bilinear")
    labels = torch.arange(4).repeat(4)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    for _ in range(30):
        noisy = faces[labels] + 10 * torch.randn(16, 3, 64, 64)
        loss = functional.cross_entropy(network(noisy)["logits"], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (network.eval()(faces)["logits"].argmax(dim=1) == torch.arange(4)).all()


def test_wrong_size_is_an_input_error() -> None:
    with pytest.raises(InputError, match="96 x 96"):
        SENet50(image_size=64, width=1 / 16, blocks=(1, 1, 1, 1))(torch.zeros(1, 3, 96, 96))
