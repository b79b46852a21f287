"""Reading a file of weights and filling a network with it, or one InputError that says what is wrong.

Nothing in a file is ever executed. Kinds of damaged download (Git-LFS pointers, web pages, truncation) are
told apart, and weights that do not fit are named.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from s2v.errors import InputError, one_line
from s2v.files.file_hash import sha256_of_file

StateDict = dict[str, Tensor]
Network = TypeVar("Network", bound=nn.Module)

_KEYS_SHOWN = 5


def checked_weight_file(path: str | Path) -> Path:
    """The path, if the file looks like weights at all; otherwise an InputError that says what it is."""
    file = Path(path)
    if not file.is_file():
        raise InputError(f"no weights at {file}: give the path of an existing file")
    with file.open("rb") as stream:
        head = stream.read(512)
    if not head:
        raise InputError(f"{file} is empty: download it again")
    if head.startswith(b"version https://git-lfs"):
        raise InputError(
            f"{file} is a Git-LFS pointer, not the weights: run `git lfs pull` in its repository"
        )
    if re.match(rb"\s*<(!doctype|html|\?xml|head)", head, re.IGNORECASE):
        raise InputError(f"{file} is a web page, not weights: download it again from a direct link")
    return file


def numpy_arrays() -> list[Any]:
    """What PyTorch's restricted reader must be allowed to call so that a file may hold plain numpy arrays.

    These build arrays from bytes and numbers and can do nothing else; old files name numpy's older modules.
    """
    rebuild = np._core.multiarray._reconstruct  # type: ignore[attr-defined]
    scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]
    named = [(made, f"numpy.core.multiarray.{made.__name__}") for made in (rebuild, scalar)]
    kinds = [type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i2", "i4", "i8", "u1", "b1")]
    return [rebuild, scalar, *named, np.ndarray, np.dtype, *kinds]


def read_weight_file(path: str | Path, with_arrays: bool = False) -> dict[str, Any]:
    """The dictionary in a PyTorch file of either format (zip or before 1.6) or a safetensors file, tensors on the CPU.

    Args:
        path: the file.
        with_arrays: whether it may hold numpy arrays beside tensors; still nothing in it is executed.
    """
    file = checked_weight_file(path)
    if _is_safetensors(file):
        return _read_safetensors(file)
    try:
        with torch.serialization.safe_globals(numpy_arrays() if with_arrays else []):
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # each kind of damage raises another exception in torch.load
        raise InputError(
            f"{file} ({file.stat().st_size} bytes) can't be read as PyTorch weights: {why_not_loaded(error)}"
        ) from error
    if not isinstance(content, Mapping):
        raise InputError(f"{file} holds a {type(content).__name__}, expected a dictionary of weights")
    return {str(key): value for key, value in content.items()}


def _is_safetensors(file: Path) -> bool:
    """Whether a JSON object begins behind the 8 bytes that say how long it is, as in no file of PyTorch's."""
    with file.open("rb") as stream:
        return stream.read(9)[8:] == b"{"


def _read_safetensors(file: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    try:
        return dict(load_file(file))
    except Exception as error:  # damage raises its own exception, a type that PyTorch lacks another
        raise InputError(
            f"{file} ({file.stat().st_size} bytes) can't be read as safetensors: truncated, damaged or of another "
            f"kind ({one_line(error, 120)})"
        ) from error


def why_not_loaded(error: Exception) -> str:
    """What torch.load's restricted reader says, in a line and without its advice to execute the file."""
    if named := re.search(r"Unsupported global: GLOBAL (\S+)", str(error)):
        return f"it holds more than tensors ({named[1]}), which is not executed: save a network's state_dict() alone"
    reason = f"{type(error).__name__}: {one_line(error, 120)}"
    return f"truncated, damaged, of another kind, or holding more than tensors ({reason})"


def read_state_dict(path: str | Path) -> StateDict:
    """The state dict a file is, or keeps under `state_dict`, without DataParallel's "module." prefixes."""
    content = read_weight_file(path)
    inner = content.get("state_dict", content)
    if not isinstance(inner, Mapping):
        raise InputError(f"{path}: 'state_dict' is a {type(inner).__name__}, expected a dictionary")
    return only_tensors(path, {str(key).removeprefix("module."): value for key, value in inner.items()})


def only_tensors(path: str | Path, state: Mapping[str, Any]) -> StateDict:
    """The same dictionary, every value of which is a tensor."""
    if others := [key for key, value in state.items() if not isinstance(value, Tensor)]:
        raise InputError(f"{path}: expected nothing but tensors, but these are none: {some_of(others)}")
    return dict(state)


def shape_of(path: str | Path, state: StateDict, key: str, dims: int) -> tuple[int, ...]:
    """The shape of one weight that a network's sizes are read from."""
    if key not in state:
        raise InputError(f"{path}: missing {key}; its keys are {some_of(state)}")
    shape = tuple(state[key].shape)
    if len(shape) != dims:
        raise InputError(f"{path}: misshapen {key} {shape}, expected {dims} dimensions")
    return shape


def filled(path: str | Path, network: Network, state: StateDict) -> Network:
    """The network with a file's values, in evaluation mode, or an InputError naming the keys that do not fit.

    The network gains `weights_file` and `weights_sha256`: its origin, to be kept in reports.
    """
    expected = network.state_dict()
    # Files from before PyTorch 0.4.1 have no such counters, and evaluation does not use them.
    counters = {key: value for key, value in expected.items() if key.endswith("num_batches_tracked")}
    state = {**counters, **state}
    complaints = []
    if missing := [key for key in expected if key not in state]:
        complaints.append(f"missing {some_of(missing)}")
    if extra := [key for key in state if key not in expected]:
        complaints.append(f"unexpected {some_of(extra)}")
    misshapen = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(value.shape)}"
        for key, value in expected.items()
        if key in state and state[key].shape != value.shape
    ]
    if misshapen:
        complaints.append(f"misshapen {some_of(misshapen)}")
    if complaints:
        raise InputError(f"{path} does not fit {type(network).__name__}: {'; '.join(complaints)}")
    network.load_state_dict(state)
    network.weights_file = str(path)  # type: ignore[assignment]
    network.weights_sha256 = sha256_of_file(path)  # type: ignore[assignment]
    return network.eval()


def some_of(names: Iterable[str]) -> str:
    """The first five names and how many there are more."""
    names = list(names)
    shown = ", ".join(islice(names, _KEYS_SHOWN)) or "none"
    return shown if len(names) <= _KEYS_SHOWN else f"{shown} and {len(names) - _KEYS_SHOWN} more"
