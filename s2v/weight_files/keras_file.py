"""mini-XCEPTION's HDF5 file, as Keras wrote it: its names and its order of axes."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from s2v.errors import InputError, one_line
from s2v.weight_files.weight_file import StateDict, checked_weight_file

KERAS_VALUES = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "kernel": "weight",
    "bias": "bias",
    "depthwise_kernel": "depthwise.weight",
    "pointwise_kernel": "pointwise.weight",
}


def keras_layer_names() -> dict[str, str]:
    """Keras' names, numbered as the published script built the layers, to ours."""
    names = {
        "conv2d_1": "conv1",
        "batch_normalization_1": "bn1",
        "conv2d_2": "conv2",
        "batch_normalization_2": "bn2",
        "conv2d_7": "classifier",
    }
    for block in range(4):
        names[f"conv2d_{block + 3}"] = f"blocks.{block}.shortcut"
        names[f"batch_normalization_{3 * block + 3}"] = f"blocks.{block}.shortcut_bn"
        for half in (1, 2):
            names[f"separable_conv2d_{2 * block + half}"] = f"blocks.{block}.separable{half}"
            names[f"batch_normalization_{3 * block + 3 + half}"] = f"blocks.{block}.separable{half}.bn"
    return names


def keras_values(path: str | Path) -> StateDict:
    """{"conv2d_1/kernel": tensor} of a Keras file, kernels in PyTorch's order, without the optimizer's."""
    file = checked_weight_file(path)
    try:
        import h5py
    except ImportError as error:
        raise InputError(f"reading {file} needs h5py: pip install h5py") from error
    values: StateDict = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            layer, kind = name.split("/")[0], name.split("/")[-1].removesuffix(":0")
            array = item[()]
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
                raise InputError(
                    f"{file}: {name} is no array of numbers: give the HDF5 file of weights that Keras wrote"
                )
            value = torch.from_numpy(array.astype(np.float32))  # of any byte order
            if kind == "depthwise_kernel":
                value = value.permute(2, 3, 0, 1)
            elif value.dim() == 4:
                value = value.permute(3, 2, 0, 1)
            values[f"{layer}/{kind}"] = value

    try:
        with h5py.File(file, "r") as content:
            content.get("model_weights", content).visititems(keep)
    except (OSError, RuntimeError, LookupError, TypeError) as error:  # the last two of names and sizes
        raise InputError(
            f"{file} ({file.stat().st_size} bytes) can't be read as HDF5: truncated, damaged, or of another "
            f"kind ({one_line(error, 120)})"
        ) from error
    return values
