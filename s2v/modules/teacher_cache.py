"""The face teachers' features of every frame, computed once: stage 1 without its teachers' forward passes."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from s2v.batch import FPS, TalkingFaceBatch
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
        fps: frames a second of the clips.
    """

    def __init__(self, folder: str, teachers: str, fps: float = FPS) -> None:
        super().__init__(folder, teachers, "teacher features", "teacher_cache")
        self.fps = fps


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
) -> TeacherCache:
    """The cache with the features of all training and validation clips.

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
    made_by = fingerprint(teachers, [*settings, emotion_output])
    cache = TeacherCache(folder, made_by, data.clips("train")[0].fps)
    identity, emotion = teachers["identity"], teachers["emotion"]
    fill(
        cache,
        trainer,
        lambda clip: clip_features(identity, emotion, emotion_output, clip["frames"].to(device)),
    )
    return cache


def kept_features(
    cache: TeacherCache, batch: TalkingFaceBatch, drawn: Tensor
) -> tuple[Tensor, Tensor] | None:
    """nu* (B, I) and eq. 1's mu* (B, E), the mean over the drawn ones (B, K) of each window's pictures.

    None where the cache was not filled with a clip of the batch.
    """
    if not all(map(cache.knows, batch["clip_id"])):
        return None
    numbers = batch["start"].unsqueeze(1) + (batch["frame_times"] * cache.fps).floor().long()
    chosen = numbers.gather(1, drawn).cpu()
    clips = zip(batch["clip_id"], chosen, strict=True)
    read = [cache.read(clip_id, nu=..., mu=frames) for clip_id, frames in clips]
    nu, mu = torch.stack([nu for nu, _ in read]), torch.stack([mu.mean(dim=0) for _, mu in read])
    return nu.to(drawn.device), mu.to(drawn.device)
