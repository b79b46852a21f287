"""Fixing the input size of an ONNX file, for OpenCV 4, which opens no networks of free size.

An ONNX file is a protobuf message; only the fields on the way to the first input's shape are taken apart
(ModelProto.graph = 7, GraphProto.input = 11, ValueInfoProto.type = 2, TypeProto.tensor_type = 1,
Tensor.shape = 2, TensorShapeProto.dim = 1, Dimension.dim_value = 1), everything else is copied.
"""

from collections.abc import Iterator

_PATH_TO_SHAPE = (7, 11, 2, 1, 2)
_BYTES = 2


def with_input_shape(onnx: bytes, shape: tuple[int, ...]) -> bytes:
    """The same network with its first input of the given shape, say (1, 3, 320, 320).

    Raises:
        ValueError: not a protobuf message, or one without an input.
    """
    dims = b"".join(_field(1, b"\x08" + _varint(size)) for size in shape)
    return _replaced(onnx, _PATH_TO_SHAPE, dims)


def _replaced(message: bytes, path: tuple[int, ...], value: bytes) -> bytes:
    """The message with the first field at `path` (field numbers from outside in) set to `value`."""
    result, found = [], False
    for number, whole, content in _fields(message):
        if number == path[0] and content is not None and not found:
            found = True
            inner = value if len(path) == 1 else _replaced(content, path[1:], value)
            result.append(_field(number, inner))
        else:
            result.append(whole)
    if not found:
        raise ValueError(f"no field {path[0]} in the message: not an ONNX network")
    return b"".join(result)


def _fields(message: bytes) -> Iterator[tuple[int, bytes, bytes | None]]:
    """(number, the field's bytes, its content where it has a length) for every field of a message."""
    position = 0
    while position < len(message):
        start = position
        key, position = _read_varint(message, position)
        number, kind = key >> 3, key & 7
        content = None
        if kind == _BYTES:
            length, position = _read_varint(message, position)
            content = message[position : position + length]
            position += length
        elif kind == 0:
            _, position = _read_varint(message, position)
        elif kind in (1, 5):
            position += 8 if kind == 1 else 4
        else:
            raise ValueError(f"field type {kind} in the message: not an ONNX network")
        if position > len(message):
            raise ValueError("the message is cut short")
        yield number, message[start:position], content


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(message) or shift > 63:
            raise ValueError("the message is cut short")
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position += 1
        shift += 7
        if byte < 0x80:
            return value, position
