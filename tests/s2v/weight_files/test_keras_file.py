"""Keras' order of axes, on kernels whose sides all differ."""

from pathlib import Path

import numpy as np
import pytest
import torch

from s2v.weight_files.keras_file import keras_values


def test_kernels_are_turned_into_pytorchs_order(tmp_path: Path) -> None:
    """Keras: height, width, in, out, of a depthwise kernel's outs 1; PyTorch: out, in, height, width."""
    h5py = pytest.importorskip("h5py", reason="the extra hdf5 is not installed")
    full = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    depthwise, bias = full[..., :1], full[0, 0, 0]
    with h5py.File(tmp_path / "weights.hdf5", "w") as file:
        file["model_weights/conv/conv/kernel:0"] = full
        file["model_weights/separable/separable/depthwise_kernel:0"] = depthwise
        file["model_weights/conv/conv/bias:0"] = bias
        file["optimizer_weights/conv/kernel:0"] = bias
    values = keras_values(tmp_path / "weights.hdf5")
    assert values.keys() == {"conv/kernel", "conv/bias", "separable/depthwise_kernel"}
    for out, inner, y, x in np.ndindex(5, 4, 2, 3):
        assert values["conv/kernel"][out, inner, y, x] == full[y, x, inner, out]
        assert values["separable/depthwise_kernel"][inner, 0, y, x] == full[y, x, inner, 0]
    assert torch.equal(values["conv/bias"], torch.from_numpy(bias))
