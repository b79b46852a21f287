"""MobileFaceNet against its graph written out a second time, and on real people."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from s2v.models.mobilefacenet import MobileFaceNet
from s2v.weights import load_mobilefacenet

WHOLE = (0.0, 0.0, 1.0, 1.0)


def published_graph(state: dict[str, Tensor], face: Tensor) -> Tensor:
    """The embedding of a 112 x 112 face by plain functions of the published layers."""

    def norm(name: str, x: Tensor) -> Tensor:
        mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return functional.batch_norm(x, mean, variance, state[f"{name}.weight"], state[f"{name}.bias"])

    def conv(name: str, x: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
        weight = state[f"{name}.weight"]
        groups = x.shape[1] if weight.shape[1] == 1 else 1
        return functional.conv2d(x, weight, state.get(f"{name}.bias"), stride, padding, groups=groups)

    mean = face.new_tensor((0.485, 0.456, 0.406))[:, None, None]
    spread = face.new_tensor((0.229, 0.224, 0.225))[:, None, None]
    x = functional.relu6(norm("conv1.1", conv("conv1.0", (face / 255 - mean) / spread, 2, 1)))
    x = norm("dw_conv.bn1", conv("dw_conv.depthwise", x, 1, 1)).relu()
    x = norm("dw_conv.bn2", conv("dw_conv.pointwise", x)).relu()
    for block in range(15):
        name, stride = f"features.{block}.conv", 2 if block in (0, 5, 12) else 1
        y = functional.relu6(norm(f"{name}.0.1", conv(f"{name}.0.0", x)))
        y = functional.relu6(norm(f"{name}.1.1", conv(f"{name}.1.0", y, stride, 1)))
        y = norm(f"{name}.3", conv(f"{name}.2", y))
        x = y if block in (0, 5, 12) else x + y
    x = functional.relu6(norm("conv2.1", conv("conv2.0", x)))
    x = norm("gdconv.bn", conv("gdconv.depthwise", x))
    return norm("bn", conv("conv3", x)).flatten(1)


@torch.no_grad()
def test_equals_the_published_graph() -> None:
    torch.manual_seed(0)
    network = MobileFaceNet(face_box=WHOLE).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.load_state_dict(
                {
                    "weight": torch.rand(module.num_features) + 0.5,
                    "bias": torch.randn(module.num_features),
                    "running_mean": torch.randn(module.num_features) * 0.1,
                    "running_var": torch.rand(module.num_features) + 0.5,
                    "num_batches_tracked": torch.tensor(1),
                }
            )
    face = torch.rand(2, 3, 112, 112) * 255
    expected = published_graph(network.state_dict(), face)
    torch.testing.assert_close(network(face)["embedding"], expected, rtol=1e-4, atol=1e-4)


def test_any_size_and_bytes() -> None:
    network = MobileFaceNet().eval()
    assert network(torch.zeros(2, 3, 64, 80, dtype=torch.uint8))["embedding"].shape == (2, 128)


def real_frames(shared: Path, speakers: int) -> Tensor:
    """(speakers, 2, 3, 224, 224): a frame of each of two clips a speaker."""
    decord = pytest.importorskip("decord")
    folders = sorted((shared / "corpus" / "voxceleb2_layout" / "mp4").iterdir())[:: 36 // speakers][:speakers]
    frames = []
    for folder in folders:
        for clip in sorted(folder.glob("*/*.mp4"))[:2]:
            frames.append(torch.from_numpy(decord.VideoReader(str(clip), num_threads=1)[20].asnumpy()))
    return torch.stack(frames).permute(0, 3, 1, 2).unflatten(0, (speakers, 2))


@torch.no_grad()
@pytest.mark.parametrize(("aligned", "least_gap"), [(False, 0.4), (True, 0.7)])
def test_tells_real_people_apart(shared_dir: Path, aligned: bool, least_gap: float) -> None:
    weights = shared_dir / "weights"
    detector = str(weights / "yunet_n_dynamic.onnx") if aligned else ""
    network = load_mobilefacenet(weights / "mobilefacenet.pt", detector=detector)
    people = real_frames(shared_dir, speakers=9)
    embeddings = functional.normalize(network(people.flatten(0, 1))["embedding"], dim=1)
    cosines = embeddings[0::2] @ embeddings[1::2].T
    same = cosines.diagonal()
    different = cosines[~torch.eye(9, dtype=torch.bool)]
    assert same.mean() - different.mean() > least_gap
    if aligned:
        assert same.min() > 0.6
        assert different.mean() < 0.1
        assert (cosines.argmax(dim=1) == torch.arange(9)).all()
