"""A cache on disk of frozen networks' outputs for every clip, in files named by all that their numbers depend on."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from s2v.errors import InputError, one_line
from s2v.files.whole_file import whole_file

if TYPE_CHECKING:
    from lightning.pytorch import Trainer


def fingerprint(networks: dict[str, nn.Module], settings: Iterable[str]) -> str:
    """A name for what these networks compute: their layers, their weights and the settings they don't hold, hashed."""
    digest = hashlib.blake2b(digest_size=16)
    for text in settings:
        digest.update(text.encode("utf-8", "surrogateescape") + b"\0")
    for name, network in sorted(networks.items()):
        for layer in _layers_of(network):
            digest.update(f"{name}.{layer}\0".encode())
        for key, value in network.state_dict().items():
            digest.update(f"{name}.{key} {value.dtype} {tuple(value.shape)}\0".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _layers_of(network: nn.Module) -> Iterator[str]:
    """Each layer's class and public plain attributes: an activation or a crop changes numbers, and has no weights."""
    for path, layer in network.named_modules():
        plain = {name: value for name, value in vars(layer).items() if name[0] != "_" and _is_plain(value)}
        plain.pop("training", None)
        yield f"{path} {type(layer).__qualname__} {sorted(plain.items())}"


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


class ClipTensors:
    """One safetensors file a clip, of float32 tensors.

    A file's name holds what its numbers depend on: the networks (`fingerprint`) and the clip as it is served. Whatever
    changes there makes another file, so that a stale number is never read; files nobody asks for any more may be
    deleted at any time.

    Args:
        folder: where the files lie; made where it is missing.
        made_by: the networks' `fingerprint`.
        what: the files hold, in words.
        option: that `folder` comes from.
    """

    def __init__(self, folder: str, made_by: str, what: str, option: str) -> None:
        self.folder = Path(folder) / made_by
        self.what = what
        self.option = option
        self._paths: dict[str, Path] = {}

    def missing(self, served: dict[str, str]) -> list[str]:
        """Clips of which nothing is kept, sorted.

        Args:
            served: clip id -> a name for the clip as it is served (source, size, crop).
        """
        for clip_id, name in served.items():
            digest = hashlib.blake2b(f"{clip_id}\0{name}".encode("utf-8", "surrogateescape"), digest_size=16)
            self._paths[clip_id] = self.folder / digest.hexdigest()[:2] / f"{digest.hexdigest()}.safetensors"
        return sorted(clip_id for clip_id in served if not self._paths[clip_id].is_file())

    def knows(self, clip_id: str) -> bool:
        """Was this clip asked for with `missing`?"""
        return clip_id in self._paths

    def write(self, clip_id: str, **tensors: Tensor) -> None:
        """Keep a clip's tensors; the file appears whole or not at all."""
        path = self._paths[clip_id]
        kept = {name: tensor.float().cpu().contiguous() for name, tensor in tensors.items()}
        try:
            with whole_file(path) as partial:
                # not by save_file, which has an error of its own for a full disk
                partial.write_bytes(save(kept))
        except OSError as error:
            raise InputError(
                f"cannot write {self.what} to {path.parent} ({error.strerror or error}): free some space or set "
                f"model.init_args.{self.option} to another folder"
            ) from error

    def read(self, clip_id: str, **rows: Any) -> list[Tensor]:
        """A clip's tensors by name, of each the rows asked for (anything that indexes a tensor; `...` is all).

        Raises:
            InputError: the file is damaged, or has no such tensor or row.
        """
        path = self._paths[clip_id]
        try:
            with safe_open(str(path), framework="pt") as file:
                # one row comes without the others
                return [
                    file.get_slice(name)[chosen] if isinstance(chosen, int) else file.get_tensor(name)[chosen]
                    for name, chosen in rows.items()
                ]
        except (OSError, SafetensorError, IndexError) as error:
            raise InputError(
                f"the {self.what} in {path} cannot be used ({one_line(error)}): delete the file; the "
                "next fit makes it again"
            ) from error


def check_serves_clips(data: Any, option: str) -> None:
    """What is kept is computed from whole clips.

    Raises:
        InputError: the data module can't serve them.
    """
    if not hasattr(data, "whole_clips"):
        raise InputError(f"{option} needs a data module that serves whole clips, as those of data_modules do")


def check_not_mirrored(data: Any, option: str, what: str) -> None:
    """What is kept of a clip's pictures is of no mirrored window.

    Raises:
        InputError: the data module can't serve whole clips, or mirrors windows.
    """
    check_serves_clips(data, option)
    if getattr(data, "flip", False):
        raise InputError(
            f"{option} keeps {what} of the frames as they are, but data.init_args.flip mirrors half of the windows: "
            f"set flip to false, or leave {option} out"
        )


def fill(
    cache: ClipTensors,
    trainer: "Trainer",
    tensors_of: Callable[[Any], dict[str, Tensor]],
    parts: Sequence[str] = ("train", "val"),
) -> None:
    """Keep the tensors of all clips that are missing, of training and of validation.

    Each rank computes its share.

    Args:
        cache: to be filled.
        trainer: of the fit, whose data module has the clips (`check_serves_clips`).
        tensors_of: a whole clip, `s2v.batch.TalkingFaceBatch` without its batch axis -> its tensors by name.
        parts: of the split, if not both are asked for later.

    Raises:
        InputError: the folder can't be written.
    """
    # here, for `s2v cache-targets`, whose processes need no Lightning
    from lightning.pytorch.utilities import rank_zero_info
    from rich.progress import track

    data: Any = getattr(trainer, "datamodule", None)
    rank, ranks = trainer.global_rank, trainer.world_size
    for part in parts:
        missing = cache.missing(data.pixel_names(part))
        # no rank may count what another has begun to fill
        trainer.strategy.barrier("clip_tensors_missing")
        mine = missing[rank::ranks]
        if mine:
            rank_zero_info(f"{cache.what} of {len(missing)} {part} clips go to {cache.folder.parent}, once")
        clips = data.whole_clips(part, mine) if mine else []
        for number in track(range(len(mine)), f"{cache.what}, {part}", disable=not mine or rank > 0):
            cache.write(mine[number], **tensors_of(clips[number]))
        trainer.strategy.barrier("clip_tensors")
