"""The shape of an ONNX network's input, checked by ONNX Runtime on a network written here byte by byte."""

import numpy as np
import pytest

from s2v.weight_files.onnx_input_shape import with_input_shape


def field(number: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def tensor_info(name: bytes, dims: list[bytes]) -> bytes:
    shape = b"".join(field(1, dim) for dim in dims)
    return field(1, name) + field(2, field(1, b"\x08\x01" + field(2, shape)))


def relu_network() -> bytes:
    """x (batch, 3, height) -> Relu -> y, all sizes free but the 3."""
    node = field(1, b"x") + field(2, b"y") + field(4, b"Relu")
    free = [field(2, b"batch"), b"\x08\x03", field(2, b"height")]
    graph = (
        field(1, node)
        + field(2, b"g")
        + field(11, tensor_info(b"x", free))
        + field(12, tensor_info(b"y", free))
    )
    return b"\x08\x07" + field(7, graph) + field(8, b"\x10\x0d")


def test_free_sizes_become_fixed() -> None:
    runtime = pytest.importorskip("onnxruntime")
    before = runtime.InferenceSession(relu_network(), providers=["CPUExecutionProvider"])
    assert before.get_inputs()[0].shape == ["batch", 3, "height"]
    after = runtime.InferenceSession(
        with_input_shape(relu_network(), (1, 3, 320)), providers=["CPUExecutionProvider"]
    )
    assert after.get_inputs()[0].shape == [1, 3, 320]
    x = np.random.default_rng(0).normal(size=(1, 3, 320)).astype(np.float32)
    np.testing.assert_array_equal(after.run(None, {"x": x})[0], np.maximum(x, 0))


@pytest.mark.parametrize("data", [b"", b"hello, this is text", relu_network()[:20], b"\xff" * 40])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        with_input_shape(data, (1, 3, 320))
