"""VGGFace against torchvision's VGG-16 graph with the same weights, and its published layout."""

import json
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from s2v.errors import InputError
from s2v.models.vggface import MAP_NAMES, RGB_MEAN, VGGFace

DEPTHS = (2, 2, 3, 3, 3)
CONVOLUTIONS = [f"conv{stage}_{i}" for stage, depth in enumerate(DEPTHS, 1) for i in range(1, depth + 1)]


def torchvision_graph(face_net: VGGFace) -> nn.Sequential:
    """torchvision's VGG-16 convolutions and pools, holding the weights of `face_net`."""
    widths = [getattr(face_net, name).out_channels for name in CONVOLUTIONS]
    plan: list[str | int] = []
    for name, width in zip(CONVOLUTIONS, widths, strict=True):
        plan.append(width)
        if name in ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3"):
            plan.append("M")
    features = torchvision.models.vgg.make_layers(plan)
    convolutions = [layer for layer in features if isinstance(layer, nn.Conv2d)]
    for name, layer in zip(CONVOLUTIONS, convolutions, strict=True):
        layer.load_state_dict(getattr(face_net, name).state_dict())
    return features


def test_published_layout(shared_dir: Path) -> None:
    layouts = json.loads((shared_dir / "design" / "layouts_faces.json").read_text())
    with torch.device("meta"):
        shapes = {key: list(value.shape) for key, value in VGGFace().state_dict().items()}
    assert shapes == layouts["vgg_face_dag"]


def test_published_size() -> None:
    with torch.device("meta"):
        face_net = VGGFace()
    assert sum(value.numel() for value in face_net.parameters()) == 145_002_878
    assert face_net.identity_dim == 4096
    assert face_net.map_channels == (256, 512, 512)


@torch.no_grad()
def test_equals_torchvision_graph() -> None:
    torch.manual_seed(0)
    face_net = VGGFace(image_size=96, width=1 / 8, num_classes=7).eval()
    for parameter in face_net.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter, std=0.5)
    face = torch.rand(2, 3, 96, 96) * 255
    features = face - torch.tensor(RGB_MEAN).view(1, 3, 1, 1)
    rectified = []
    for layer in torchvision_graph(face_net):
        features = layer(features)
        if isinstance(layer, nn.ReLU):
            rectified.append(features.clone())
    classifier = nn.Sequential(face_net.fc6, nn.ReLU(), face_net.fc7, nn.ReLU())
    fc7 = classifier(torch.flatten(features, 1))
    result = face_net(face)
    torch.testing.assert_close(result["fc7"], fc7, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(result["fc8"], face_net.fc8(fc7), rtol=1e-4, atol=1e-4)
    for name in MAP_NAMES:
        expected = rectified[CONVOLUTIONS.index(name)]
        torch.testing.assert_close(result[name], expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_feature_maps_of_any_size() -> None:
    torch.manual_seed(0)
    face_net = VGGFace(image_size=64, width=1 / 16)
    maps = face_net.feature_maps(torch.rand(2, 3, 128, 96) * 255)
    assert [tuple(m.shape) for m in maps] == [(2, 16, 32, 24), (2, 32, 16, 12), (2, 32, 8, 6)]
    assert tuple(m.shape[1] for m in maps) == face_net.map_channels
    assert all((m >= 0).all() for m in maps)
    face = torch.rand(1, 3, 64, 64) * 255
    for name, features in zip(MAP_NAMES, face_net.feature_maps(face), strict=True):
        torch.testing.assert_close(features, face_net(face)[name])


def test_signal_neither_dies_nor_explodes_at_the_start() -> None:
    torch.manual_seed(0)
    face_net = VGGFace(image_size=64, width=1 / 16)
    for features in face_net.feature_maps(torch.rand(4, 3, 64, 64) * 255):
        assert 0.1 < features.std() < 10


@pytest.mark.parametrize("batch_norm", [False, True])
def test_learns_from_scratch_in_seconds(batch_norm: bool) -> None:
    torch.manual_seed(0)
    face_net = VGGFace(image_size=64, width=1 / 16, num_classes=8, batch_norm=batch_norm)
    coarse = torch.rand(8, 3, 5, 5) * 255
    people = nn.functional.interpolate(coarse, size=64, mode="bilinear")
    labels = torch.arange(8).repeat(2)
    optimizer = torch.optim.Adam(face_net.parameters(), lr=1e-3)
    for _ in range(25):
        loss = nn.functional.cross_entropy(
            face_net(people[labels] + 10 * torch.randn(16, 3, 64, 64))["fc8"], labels
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (face_net.eval()(people[labels])["fc8"].argmax(dim=1) == labels).all()


def test_batch_norm_only_adds_keys() -> None:
    with torch.device("meta"):
        plain = VGGFace(image_size=64, width=1 / 16).state_dict()
        normalised = VGGFace(image_size=64, width=1 / 16, batch_norm=True).state_dict()
    assert set(plain) < set(normalised)
    assert all("_bn." in key for key in set(normalised) - set(plain))


def test_wrong_sizes_are_input_errors() -> None:
    with pytest.raises(InputError, match="multiple of 32"):
        VGGFace(image_size=100)
    face_net = VGGFace(image_size=64, width=1 / 16)
    with pytest.raises(InputError, match="96 x 96"):
        face_net(torch.zeros(1, 3, 96, 96))
    with pytest.raises(InputError, match="multiples of 32"):
        face_net.feature_maps(torch.zeros(1, 3, 64, 80))
