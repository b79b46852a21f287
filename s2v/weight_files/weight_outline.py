"""Which kind of weights a file is, and whether all of it is there, by its outline: the values are not read.

Nothing in a file is executed: of a pickle that PyTorch wrote before 1.6, everything that it names is a stand-in.
"""

import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from s2v.errors import InputError

_ZIP = b"PK\x03\x04"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_TORCH_MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
"""What every file begins with that `torch.save` wrote before the zip format."""
_STORED_BYTES = {
    "Double": 8, "Float": 4, "Half": 2, "BFloat16": 2, "Long": 8, "Int": 4, "Short": 2, "Char": 1, "Byte": 1, "Bool": 1,
    "ComplexDouble": 16, "ComplexFloat": 8,
}  # fmt: skip
"""Bytes a value of torch's storages takes, by the beginning of their class' name; of others nothing is expected."""
_ONNX_FIELDS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26})
"""Of ModelProto; 1 is the version, 7 the graph, 8 the operators' versions."""
_ONNX_NEEDED = {1, 7, 8}


class _CutShort(Exception):
    """The file ends before its outline does."""


class _Unknown(Exception):
    """The file is none of the kinds."""

    def __init__(self, why: str = "its beginning is of no kind that is known") -> None:
        super().__init__(why)


def kind_of_weights(file: Path) -> str:
    """PyTorch, PyTorch before 1.6, HDF5, safetensors or ONNX; a large file takes no longer than a small one.

    Raises:
        InputError: the file is cut short or damaged, or of no such kind.
        OSError: it can't be read.
    """
    with file.open("rb") as stream:
        size, head = os.fstat(stream.fileno()).st_size, stream.read(512)
        stream.seek(0)
        try:
            if head.startswith(_ZIP):
                return _check_zip(stream)
            if head.startswith(_TORCH_MAGIC):
                return _check_old_torch(stream, size)
            if head.startswith(_HDF5):
                return _check_hdf5(head, size)
            if head[8:9] == b"{":
                return _check_safetensors(stream, size)
            return _check_onnx(stream, size)
        except _CutShort as error:
            raise InputError(
                f"{file} ({size} bytes) is cut short or damaged, {error}: download it again"
            ) from None
        except _Unknown as error:
            raise InputError(
                f"{file} ({size} bytes) is not weights, {error}; a file of PyTorch, HDF5, safetensors or ONNX was "
                "expected: give another path"
            ) from None


def damaged_part(file: Path) -> str | None:
    """The first part of a PyTorch file whose bytes are not those that were written, if any; reads all of it.

    None too where the file has no checksums (another format) or is cut short, which its outline tells.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.testzip()
    except (zipfile.BadZipFile, EOFError):
        return None


def _check_zip(stream: BinaryIO) -> str:
    """PyTorch's own: its directory lies at the end, and every part where the directory says."""
    try:
        with zipfile.ZipFile(stream) as archive:
            names = archive.namelist()
            for name in names:
                archive.open(name).close()  # looks at the part's own header
    except (zipfile.BadZipFile, RuntimeError, EOFError, ValueError, struct.error) as error:
        raise _CutShort(f"a PyTorch file without its end ({error})") from error
    if not any(name.endswith("/data.pkl") for name in names):
        raise _Unknown("it is a zip archive of something else")
    return "PyTorch"


def _check_old_torch(stream: BinaryIO, size: int) -> str:
    """Four pickles, a fifth with the storages' names, then each storage: its count in 8 bytes, and its values."""
    kind = "PyTorch before 1.6"
    try:
        for _ in range(3):  # magic, version, machine
            _Outline(stream).load()
        content = _Outline(stream)
        content.load()
        names = _Outline(stream).load()
        end = stream.tell() + sum(8 + content.storages[name] for name in names)
    except Exception as error:  # whatever a pickle ends in that was cut or damaged
        raise _CutShort(
            f"a file of {kind} whose list of weights breaks off ({type(error).__name__})"
        ) from error
    if size < end:
        raise _CutShort(f"a file of {kind} that should have {end} bytes")
    return kind


class _Outline(pickle.Unpickler):
    """Reads a pickle without calling anything that it names; keeps how many bytes each storage has."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream, encoding="latin1")
        self.storages: dict[Any, int] = {}

    def find_class(self, module: str, name: str) -> Any:
        return type(name, (_StandIn,), {})

    def persistent_load(self, reference: Any) -> Any:
        if reference[0] == "storage":
            _, kind, name, _, count, *_ = reference
            self.storages[name] = count * _STORED_BYTES.get(kind.__name__.removesuffix("Storage"), 0)
        # a module's class comes with its source
        return reference[1] if reference[0] == "module" else _StandIn()


class _StandIn:
    """Takes whatever a pickle does to the object that it stands for."""

    def __new__(cls, *args: Any, **kwargs: Any) -> "_StandIn":
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        pass

    def extend(self, values: Any) -> None:
        pass

    def add(self, value: Any) -> None:
        pass


def _check_hdf5(head: bytes, size: int) -> str:
    """The superblock says where the file ends."""
    version, wide = head[8:9], {0: 13, 1: 13, 2: 9, 3: 9}
    try:
        bytes_each = head[wide[version[0]]]
        # before the end's address lie the base's and one more
        first = {0: 24, 1: 28, 2: 12, 3: 12}[version[0]] + 2 * bytes_each
        end = int.from_bytes(_taken(io.BytesIO(head), first, bytes_each), "little")
    except (KeyError, IndexError) as error:
        raise _CutShort("an HDF5 file without its beginning") from error
    if size < end:
        raise _CutShort(f"an HDF5 file that should have {end} bytes")
    return "HDF5"


def _taken(stream: BinaryIO, start: int, count: int) -> bytes:
    stream.seek(start)
    found = stream.read(count)
    if len(found) < count:
        raise _CutShort("it ends in its header")
    return found


def _check_safetensors(stream: BinaryIO, size: int) -> str:
    """The header's length in 8 bytes, the header, which says where each tensor ends, the tensors."""
    length = int.from_bytes(_taken(stream, 0, 8), "little")
    if length > size - 8:
        if length > 100_000_000:  # no header of theirs is longer: text that has a { here
            raise _Unknown
        raise _CutShort("a safetensors file whose header breaks off")
    try:
        header = json.loads(_taken(stream, 8, length))
        ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
        end = 8 + length + max(ends, default=0)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _CutShort("a safetensors file whose header can't be read") from error
    if size < end:
        raise _CutShort(f"a safetensors file that should have {end} bytes")
    return "safetensors"


def _check_onnx(stream: BinaryIO, size: int) -> str:
    """A protobuf message, which has no mark of its own: its fields are ModelProto's, and the last ends with it."""
    fields: set[int] = set()
    while (here := stream.tell()) < size:
        try:
            tag = _varint(stream)
            field, wire = tag >> 3, tag & 7
            if field not in _ONNX_FIELDS or wire not in (0, 2):
                raise _Unknown
            fields.add(field)
            length = _varint(stream)
            end = stream.tell() + (length if wire == 2 else 0)
            if end > size:
                raise _CutShort(f"an ONNX file whose part at byte {here} should end at {end}")
            stream.seek(end)
        except _CutShort:
            if {1, 7} <= fields:
                raise
            raise _Unknown from None
    if not fields >= _ONNX_NEEDED:
        raise _CutShort("an ONNX file without its end")
    return "ONNX"


def _varint(stream: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = stream.read(1)
        if not byte:
            raise _CutShort("an ONNX file that ends in a field")
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    raise _Unknown
