"""The face teachers' features of every frame, computed once: stage 1 without its teachers' forward passes."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from s2v.errors import InputError
from s2v.models.pictures_in_parts import in_parts
from s2v.modules.clip_tensors import ClipTensors, fill, fingerprint

if TYPE_CHECKING:
    from lightning.pytorch import Trainer


class TeacherCache(ClipTensors):
    """Of each clip `nu` (I,), of its first frame, and `mu` (T, E), of all frames.

    Args:
        folder: where the files lie; made where it is missing.
        teachers: their `fingerprint`.
    """

    def __init__(self, folder: str, teachers: str) -> None:
        super().__init__(folder, teachers, "teacher features", "teacher_cache")


@torch.no_grad()
def clip_features(identity: nn.Module, emotion: nn.Module, output: str, frames: Tensor) -> dict[str, Tensor]:
    """`nu` (I,) of the first of a clip's frames (T, 3, H, W) uint8, and `mu` (T, E), `output` of each of them.

    Raises:
        InputError: a teacher has no such output.
    """
    nu = teacher_output(identity, "identity", frames[:1], "embedding")[0]
    parts = [teacher_output(emotion, "emotion", some, output) for some in in_parts(frames)]
    return {"nu": nu, "mu": torch.cat(parts)}


def teacher_output(teacher: nn.Module, kind: str, faces: Tensor, output: str) -> Tensor:
    """One output of the identity or emotion teacher for faces (B, 3, H, W).

    Raises:
        InputError: it has no such output.
    """
    outputs: dict[str, Tensor] = teacher(faces)
    if output not in outputs:
        raise InputError(f"the {kind} teacher gives no {output}, only {', '.join(outputs)}")
    return outputs[output]


def filled_teacher_cache(
    folder: str,
    trainer: "Trainer",
    teachers: dict[str, nn.Module],
    emotion_output: str,
    settings: Iterable[str],
    device: torch.device,
) -> tuple[TeacherCache, float]:
    """The cache with the features of all training and validation clips, and the frames a second they count.

    Args:
        folder: see `TeacherCache`.
        trainer: of the fit, whose data module has the clips (`check_not_mirrored`).
        teachers: `identity` and `emotion`, on `device`.
        emotion_output: which output of the emotion teacher is kept.
        settings: what else the features depend on; see `fingerprint`.
        device: where the teachers are.

    Raises:
        InputError: the folder can't be written.
    """
    data: Any = getattr(trainer, "datamodule", None)
    cache = TeacherCache(folder, fingerprint(teachers, [*settings, emotion_output]))
    identity, emotion = teachers["identity"], teachers["emotion"]
    fill(
        cache,
        trainer,
        lambda clip: clip_features(identity, emotion, emotion_output, clip["frames"].to(device)),
    )
    return cache, data.clips("train")[0].fps
