"""The face teachers' features of every frame, computed once: stage 1 without its teachers' forward passes."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from s2v.errors import InputError
from s2v.files.whole_file import whole_file
from s2v.models.pictures_in_parts import in_parts

if TYPE_CHECKING:
    from lightning.pytorch import Trainer


def fingerprint(networks: dict[str, nn.Module], settings: Iterable[str]) -> str:
    """A name for what these networks compute: their weights and the settings, hashed."""
    digest = hashlib.blake2b(digest_size=16)
    for text in settings:
        digest.update(text.encode("utf-8", "surrogateescape") + b"\0")
    for name, network in sorted(networks.items()):
        for key, value in network.state_dict().items():
            digest.update(f"{name}.{key} {value.dtype} {tuple(value.shape)}\0".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


class TeacherCache:
    """One safetensors file a clip: `nu` (I,) of its first frame and `mu` (T, E) of all frames, float32.

    A file's name holds what its numbers depend on: the teachers (`fingerprint`) and the clip's pixels. Whatever
    changes there makes another file, so that a stale feature is never read; files nobody asks for any more may be
    deleted at any time.

    Args:
        folder: where the files lie; made where it is missing.
        teachers: their `fingerprint`.
    """

    def __init__(self, folder: str, teachers: str) -> None:
        self.folder = Path(folder) / teachers
        self._paths: dict[str, Path] = {}

    def missing(self, pixels: dict[str, str]) -> list[str]:
        """Clips of which nothing is cached, sorted.

        Args:
            pixels: clip id -> a name for the clip's frames as they are served (source, size, crop).
        """
        for clip_id, name in pixels.items():
            digest = hashlib.blake2b(f"{clip_id}\0{name}".encode("utf-8", "surrogateescape"), digest_size=16)
            self._paths[clip_id] = self.folder / digest.hexdigest()[:2] / f"{digest.hexdigest()}.safetensors"
        return sorted(clip_id for clip_id in pixels if not self._paths[clip_id].is_file())

    def write(self, clip_id: str, nu: Tensor, mu: Tensor) -> None:
        """Keep a clip's features, nu (I,) and mu (T, E); the file appears whole or not at all."""
        path = self._paths[clip_id]
        try:
            with whole_file(path) as partial:
                # not by save_file, which has an error of its own for a full disk
                partial.write_bytes(
                    save({"nu": nu.float().cpu().contiguous(), "mu": mu.float().cpu().contiguous()})
                )
        except OSError as error:
            raise InputError(
                f"cannot write teacher features to {path.parent} ({error.strerror or error}): free some space or set "
                "model.init_args.teacher_cache to another folder"
            ) from error

    def read(self, clip_id: str, frames: Tensor) -> tuple[Tensor, Tensor]:
        """nu (I,), and mu (K, E) of the frames (K,) int64 of a clip.

        Raises:
            InputError: the file is damaged, or has no such frame.
        """
        path = self._paths[clip_id]
        try:
            with safe_open(str(path), framework="pt") as file:
                return file.get_tensor("nu"), file.get_tensor("mu")[frames]
        except (OSError, SafetensorError, IndexError) as error:
            raise InputError(
                f"the teacher features in {path} cannot be used ({' '.join(str(error).split())}): delete the file; the "
                "next fit makes it again"
            ) from error

    def knows(self, clip_id: str) -> bool:
        """Was this clip asked for with `missing`?"""
        return clip_id in self._paths


@torch.no_grad()
def clip_features(
    identity: nn.Module, emotion: nn.Module, output: str, frames: Tensor
) -> tuple[Tensor, Tensor]:
    """nu (I,) of the first of a clip's frames (T, 3, H, W) uint8, and mu (T, E), `output` of each of them.

    Raises:
        InputError: a teacher has no such output.
    """
    nu = _output(identity, "identity", frames[:1], "embedding")[0]
    parts = [_output(emotion, "emotion", some, output) for some in in_parts(frames)]
    return nu, torch.cat(parts)


def _output(teacher: nn.Module, kind: str, frames: Tensor, name: str) -> Tensor:
    outputs: dict[str, Tensor] = teacher(frames)
    if name not in outputs:
        raise InputError(f"the {kind} teacher gives no {name}, only {', '.join(outputs)}")
    return outputs[name]


def filled_cache(
    folder: str,
    trainer: "Trainer",
    teachers: dict[str, nn.Module],
    emotion_output: str,
    settings: Iterable[str],
    device: torch.device,
) -> tuple[TeacherCache, float]:
    """The cache with the features of all training and validation clips, and the frames a second they count.

    Each rank computes its share of what is missing.

    Args:
        folder: see `TeacherCache`.
        trainer: of the fit, whose data module has the clips.
        teachers: `identity` and `emotion`, on `device`.
        emotion_output: which output of the emotion teacher is kept.
        settings: what else the features depend on; see `fingerprint`.
        device: where the teachers are.

    Raises:
        InputError: the data module can't serve whole clips, or mirrors windows; the folder can't be written.
    """
    # here, for `s2v cache-targets`, whose processes need no Lightning
    from lightning.pytorch.utilities import rank_zero_info
    from rich.progress import track

    data: Any = getattr(trainer, "datamodule", None)
    if not hasattr(data, "whole_clips"):
        raise InputError(
            "teacher_cache needs a data module that serves whole clips, as those of data_modules do"
        )
    if data.flip:
        raise InputError(
            "teacher_cache keeps features of the frames as they are, but data.init_args.flip mirrors half of "
            "the windows: set flip to false, or leave teacher_cache out"
        )
    cache = TeacherCache(folder, fingerprint(teachers, [*settings, emotion_output]))
    rank, ranks = trainer.global_rank, trainer.world_size
    for part in ("train", "val"):
        missing = cache.missing(data.pixel_names(part))
        # no rank may count what another has begun to fill
        trainer.strategy.barrier("teacher_cache_missing")
        mine = missing[rank::ranks]
        if mine:
            rank_zero_info(f"teacher features of {len(missing)} {part} clips go to {folder}, once")
        clips = data.whole_clips(part, mine) if mine else []
        for number in track(range(len(mine)), f"Teachers, {part}", disable=not mine or rank > 0):
            frames = clips[number]["frames"].to(device)
            cache.write(
                mine[number],
                *clip_features(teachers["identity"], teachers["emotion"], emotion_output, frames),
            )
        trainer.strategy.barrier("teacher_cache")
    return cache, data.clips("train")[0].fps
