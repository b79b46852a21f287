"""Files of weights told from truncated ones and from others, without reading their values or running anything."""

import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from s2v.doctor import check_weights
from s2v.errors import InputError
from s2v.weight_files.weight_outline import kind_of_weights
from tests.s2v.weight_files.test_onnx_input_shape import relu_network

STATE = {
    "state_dict": {"a.weight": torch.randn(40, 30), "a.count": torch.tensor(3), "half": torch.ones(9).half()},
    "shared": torch.arange(12).view(3, 4)[1:],
    "epoch": 3,
}


def write_torch(path: Path) -> None:
    torch.save(STATE | {"array": np.ones(3)}, path)


def write_old_torch(path: Path) -> None:
    torch.save(STATE | {"array": np.ones(3)}, path, _use_new_zipfile_serialization=False)


def write_old_module(path: Path) -> None:
    torch.save(torch.nn.Linear(3, 2), path, _use_new_zipfile_serialization=False)


def write_safetensors(path: Path) -> None:
    save_file({"a": torch.randn(20, 3)}, path, metadata={"from": "a test"})


def write_hdf5(path: Path, **options: str) -> None:
    h5py = pytest.importorskip("h5py", reason="the extra hdf5 is not installed")
    with h5py.File(path, "w", **options) as file:
        file["model_weights/conv/kernel:0"] = np.ones((3, 3, 8))


def write_new_hdf5(path: Path) -> None:
    write_hdf5(path, libver="latest")


def write_onnx(path: Path) -> None:
    path.write_bytes(relu_network())


WRITERS: dict[Callable[[Path], None], str] = {
    write_torch: "PyTorch",
    write_old_torch: "PyTorch before 1.6",
    write_old_module: "PyTorch before 1.6",
    write_safetensors: "safetensors",
    write_hdf5: "HDF5",
    write_new_hdf5: "HDF5",
    write_onnx: "ONNX",
}


@pytest.mark.parametrize(("write", "kind"), WRITERS.items())
def test_whole_and_cut_short(write: Callable[[Path], None], kind: str, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    write(path)
    assert kind_of_weights(path) == kind
    check = check_weights(path)
    assert check.state == "ok" and f"{path} ({kind}) sha256 " in check.found
    data = path.read_bytes()
    for length in {*range(1, len(data), max(1, len(data) // 40)), len(data) - 1}:
        path.write_bytes(data[:length])
        check = check_weights(path)
        assert check.state == "wrong" and f"({length} bytes) is " in check.found, length
        assert check.mend in ("download it again", "give another path")
        if length > len(data) // 2:
            assert "cut short" in check.found and check.mend == "download it again"


def zip_of_text(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


@pytest.mark.parametrize(
    "content",
    [
        b"hello\n",
        b'{"layers": [1, 2, 3], "name": "x"}',
        b'{"loss": {"a": 1}, "name": "x"}',
        np.random.default_rng(0).bytes(5000),
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        bytes(5000),
        b"\x08\x07",
        b"\x12" + b"\xff" * 9 + b"\x01",
        pickle.dumps({"a": 1}),
        struct.pack("<Q", 10**6) + b"{}",
    ],
)
def test_others_are_not_ok(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    check = check_weights(path)
    assert check.state == "wrong" and check.mend in ("give another path", "download it again")


def test_zips_of_other_things_and_with_holes(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    zip_of_text(path)
    with pytest.raises(
        InputError, match=r"is not weights, it is a zip archive of something else; .*: give another"
    ):
        kind_of_weights(path)
    write_torch(path)
    data = bytearray(path.read_bytes())
    data[1000 : len(data) - 2000] = bytes(
        len(data) - 3000
    )  # a download that began its parts and did not end all
    path.write_bytes(data)
    with pytest.raises(InputError, match="is cut short or damaged"):
        kind_of_weights(path)


@pytest.mark.parametrize("place", [bytes.find, bytes.rfind])  # a part's own header, and the directory
def test_a_zip_with_a_damaged_name_is_one_line(place: Callable[..., int], tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    write_torch(path)
    data = bytearray(path.read_bytes())
    data[place(bytes(data), b"/data.pkl")] = 0x8F
    path.write_bytes(data)
    check = check_weights(path)
    assert check.state == "wrong" and check.mend == "download it again"


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    for new in (False, True):
        content = {"a": torch.ones(3), "b": Hostile(tmp_path / "made")}
        torch.save(content, tmp_path / "weights.pth", _use_new_zipfile_serialization=new)
        assert kind_of_weights(tmp_path / "weights.pth").startswith("PyTorch")
        assert not (tmp_path / "made").exists()


def test_a_large_file_is_as_fast_as_a_small_one(tmp_path: Path) -> None:
    """Its values are a hole of 8 GB in the disk: reading them would take its time."""
    path, count = tmp_path / "weights.pth", 2 * 10**9
    header = b'{"a":{"dtype":"F32","shape":[%d],"data_offsets":[0,%d]}}' % (count, 4 * count)
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(InputError, match="should have 8000000"):
        kind_of_weights(path)
    os.truncate(path, 8 + len(header) + 4 * count)
    assert kind_of_weights(path) == "safetensors"
