"""Read a part of a Lightning checkpoint into a network, or say in one line why it can't be."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from s2v.errors import InputError
from s2v.modules.consent_mark import mark_unasked
from s2v.weight_files.weight_file import checked_weight_file, why_not_loaded


def read_checkpoint(path: str, purpose: str) -> dict[str, Any]:
    """The content of a Lightning checkpoint, on the CPU; nothing in it is executed.

    Args:
        path: the .ckpt file.
        purpose: what it is wanted for, to be named in the error.

    Raises:
        InputError: the file is missing, not a checkpoint, or damaged.
    """
    if not Path(path).is_file():
        raise InputError(f"{purpose}: no file at {path}; train it first or give another path")
    try:
        content = torch.load(checked_weight_file(path), map_location="cpu", weights_only=True)
    except InputError as error:  # it is empty, a Git-LFS pointer or a web page
        raise InputError(f"{purpose}: expected a checkpoint, but {error}") from None
    except Exception as error:  # each kind of damage raises another exception in torch.load
        raise InputError(f"{purpose}: {path} is no readable checkpoint: {why_not_loaded(error)}") from None
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise InputError(f"{purpose}: {path} has no state_dict; expected a checkpoint written by `s2v fit`")
    return content


def load_part(
    module: nn.Module,
    state: dict[str, Tensor],
    prefix: str,
    path: str,
    purpose: str,
    but: Collection[str] = (),
) -> None:
    """Load the entries under `prefix` into `module`, strictly, `but` some of the module's own, which stay as they are.

    Raises:
        InputError: naming the first keys that are missing, left over or of another shape.
    """
    part = {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
    part = {key: value for key, value in part.items() if key not in but}
    own = {key: value for key, value in module.state_dict().items() if key not in but}
    if own and not part:
        tops = ", ".join(sorted({key.partition(".")[0] for key in state})[:5]) or "nothing"
        raise InputError(
            f"{purpose}: {path} holds {tops}, and nothing of {prefix.rstrip('.')}: is it another stage's checkpoint?"
        )
    missing = sorted(own.keys() - part.keys())
    extra = sorted(part.keys() - own.keys())
    shapes = [
        f"{key} {tuple(part[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own.keys() & part.keys()
        if part[key].shape != own[key].shape
    ]
    faults = [
        f"{name}: {', '.join(keys[:3])}{' ...' if len(keys) > 3 else ''}"
        for name, keys in (("missing", missing), ("unknown", extra), ("misshapen", sorted(shapes)))
        if keys
    ]
    if faults:
        raise InputError(
            f"{purpose}: {path} does not fit the configured network ({'; '.join(faults)}); "
            "use the same network settings as when it was trained"
        )
    module.load_state_dict(part, strict=not but)


def begin_with(module: nn.Module, path: str, parts: Sequence[str]) -> dict[str, Tensor]:
    """Give some of a module's networks the weights that another run of its kind ended with.

    What a network remembers of its corpus' speakers (`speaker_buffers`) is left out: here they are others.

    Args:
        module: the LightningModule.
        path: that run's checkpoint.
        parts: the attributes to fill.

    Returns:
        All weights in the checkpoint.

    Raises:
        InputError: the file can't be read, or what it holds does not fit.
    """
    checkpoint = read_checkpoint(path, "initial checkpoint")
    for part in parts:
        network = module.get_submodule(part)
        load_part(
            network,
            checkpoint["state_dict"],
            f"{part}.",
            path,
            f"initial checkpoint, {part}",
            but={
                f"{name}.{buffer}"
                for name, child in network.named_modules()
                for buffer in getattr(child, "speaker_buffers", ())
            },
        )
        mark_unasked(network, checkpoint)
    return checkpoint["state_dict"]
