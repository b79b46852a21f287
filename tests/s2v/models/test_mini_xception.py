"""mini-XCEPTION against its own Keras description, carried out layer by layer with numpy."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from s2v.models.mini_xception import FER2013_CLASSES, MiniXception
from s2v.weights import load_mini_xception

h5py = pytest.importorskip("h5py")

WHOLE = (0.0, 0.0, 1.0, 1.0)


def windows(x: np.ndarray, size: int, stride: int, same: bool, fill: float) -> np.ndarray:
    """(h, w, C) to (h', w', C, size, size), padded as Keras does."""
    if same:
        pads = []
        for side in x.shape[:2]:
            total = max(0, (-(-side // stride) - 1) * stride + size - side)
            pads.append((total // 2, total - total // 2))
        x = np.pad(x, [*pads, (0, 0)], constant_values=fill)
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(0, 1))[::stride, ::stride]


def run_keras_graph(file: Any, gray: np.ndarray) -> dict[str, np.ndarray]:
    """Every layer's output (h, w, C) for one picture (64, 64, 1), following `model_config`."""
    outputs: dict[str, np.ndarray] = {}
    for layer in json.loads(file.attrs["model_config"])["config"]["layers"]:
        name, config = layer["name"], layer["config"]
        inputs = (
            [outputs[node[0]] for node in layer["inbound_nodes"][0]] if layer["inbound_nodes"] else [gray]
        )
        x = inputs[0]
        values = {}
        if name in file["model_weights"]:
            file["model_weights"][name].visititems(
                lambda key, item, into=values: into.__setitem__(key.split("/")[-1][:-2], item)
            )
        values = {key: item[()].astype(np.float64) for key, item in values.items() if hasattr(item, "shape")}
        kind = layer["class_name"]
        if kind == "Conv2D":
            kernel = values["kernel"]
            seen = windows(x, kernel.shape[0], config["strides"][0], config["padding"] == "same", 0)
            x = np.einsum("hwcij,ijco->hwo", seen, kernel) + values.get("bias", 0)
        elif kind == "SeparableConv2D":
            seen = windows(x, 3, 1, True, 0)
            x = (
                np.einsum("hwcij,ijcm->hwc", seen, values["depthwise_kernel"])
                @ values["pointwise_kernel"][0, 0]
            )
        elif kind == "BatchNormalization":
            scale = values["gamma"] / np.sqrt(values["moving_variance"] + config["epsilon"])
            x = (x - values["moving_mean"]) * scale + values["beta"]
        elif kind == "MaxPooling2D":
            x = windows(x, 3, 2, True, -np.inf).max(axis=(-1, -2))
        elif kind == "Add":
            x = inputs[0] + inputs[1]
        elif kind == "GlobalAveragePooling2D":
            x = x.mean(axis=(0, 1))
        elif kind == "Activation" and config["activation"] == "relu":
            x = np.maximum(x, 0)
        outputs[name] = x
    return outputs


@torch.no_grad()
def test_equals_the_published_graph(shared_dir: Path) -> None:
    path = shared_dir / "weights" / "fer2013_mini_XCEPTION.102-0.66.hdf5"
    network = load_mini_xception(path)
    network.face_box = WHOLE
    face = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    red, green, blue = face[0].double().numpy()
    gray = ((0.299 * red + 0.587 * green + 0.114 * blue) / 255 - 0.5) * 2
    with h5py.File(path, "r") as file:
        outputs = run_keras_graph(file, gray[..., None])
    result = network(face)
    logits = outputs["global_average_pooling2d_1"]
    np.testing.assert_allclose(result["logits"][0].numpy(), logits, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        result["embedding"][0].numpy(), outputs["add_4"].mean(axis=(0, 1)), rtol=1e-4, atol=1e-4
    )


def test_seven_emotions_of_any_size() -> None:
    result = MiniXception().eval()(torch.zeros(3, 3, 128, 96, dtype=torch.uint8))
    assert result["logits"].shape == (3, 7) == (3, len(FER2013_CLASSES))
    assert result["embedding"].shape == (3, 128)


def test_gray_pictures_span_minus_one_to_one() -> None:
    network = MiniXception(face_box=WHOLE).eval()
    seen = []
    network.conv1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(torch.stack([torch.zeros(3, 64, 64), torch.full((3, 64, 64), 255.0)]))
    torch.testing.assert_close(seen[0][0], -torch.ones(1, 64, 64))
    torch.testing.assert_close(seen[0][1], torch.ones(1, 64, 64))
