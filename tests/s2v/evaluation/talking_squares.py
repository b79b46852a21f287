"""Clips whose truth is known in closed form, and judges that see it: no training, no files.

A clip is a coloured square (speaker) with bright or dark stripes (emotion) whose lower half brightens with
the loudness of the speech. `LoudnessSyncNet` reads both, so it prefers true speech for a reason.
"""

import math

import torch
from torch import Tensor, nn

from s2v.batch import SAMPLES_PER_FRAME
from s2v.evaluation.clip_rows import TestClip
from s2v.evaluation.judges import FaceJudge, SyncJudge
from s2v.models.lip_speech_network import STEPS_PER_FRAME, WINDOW_FRAMES, WINDOW_STEPS
from s2v.models.syncnet import SyncNet

SIZE = 32
COLOURS = {"ann": (200, 40, 40), "ben": (40, 200, 40), "cem": (40, 40, 200)}
EMOTIONS = ["anger", "happiness"]
_LOUDEST = 8000.0


def loudness(frames: int, seed: int) -> Tensor:
    """Random steps in 0..1, one value a frame: (T,)."""
    return torch.rand(frames, generator=torch.Generator().manual_seed(seed))


def talking_square(speaker: str, emotion: str, levels: Tensor) -> Tensor:
    """(T, 3, 32, 32) uint8: colour by speaker, bright (anger) or dark columns, lower half by loudness."""
    frames = (
        torch.tensor(COLOURS[speaker]).view(1, 3, 1, 1).expand(len(levels), 3, SIZE, SIZE).float().clone()
    )
    frames[..., : SIZE // 2, ::8] = 250.0 if emotion == "anger" else 0.0
    frames[..., SIZE // 2 :, 8:24] = (40 + 200 * levels).view(-1, 1, 1, 1)
    return frames.round().to(torch.uint8)


def speech_of(levels: Tensor) -> Tensor:
    """(T,) -> (T * 640,) int16: a tone whose LOG energy is linear in the level."""
    amplitude = _LOUDEST * torch.exp(3 * (levels - 1)).repeat_interleave(SAMPLES_PER_FRAME)
    time = torch.arange(len(amplitude)) / 16_000
    return (amplitude * torch.sin(2 * math.pi * 400 * time)).to(torch.int16)


class LoudnessSyncNet(SyncNet):
    """Both towers answer with the loudness of their five frames, the lips' from the mouth's brightness."""

    def __init__(self) -> None:
        super().__init__(image_size=64, width=1 / 64)

    def embed_lip_track(self, lips: Tensor) -> Tensor:
        brightness = lips[:, :, 48:, 24:40].mean(dim=(1, 2, 3))
        return ((brightness - 40) / 200).unfold(0, WINDOW_FRAMES, 1)

    def embed_speech_track(self, mfcc: Tensor) -> Tensor:
        # log energy = constant + 6 (level - 1); the constant is that of a full-scale frame of the tone
        levels = (mfcc[:, 0] - _loudest_log_energy()) / 6 + 1
        windows = levels.unfold(0, WINDOW_STEPS, STEPS_PER_FRAME)
        return windows.unflatten(1, (WINDOW_FRAMES, STEPS_PER_FRAME))[..., :2].mean(dim=-1)


def _loudest_log_energy() -> float:
    from s2v.metrics.mfcc import mfcc

    return float(mfcc(speech_of(torch.ones(2)))[1, 0])


class SquareNetwork(nn.Module):
    """`embedding`: mean colour of the upper half, centred; `logits`: bright columns or dark ones."""

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        upper = faces.float()[..., : SIZE // 2, :]
        colour = upper[..., 1:8].mean(dim=(2, 3))
        stripes = upper[..., ::8].mean(dim=(1, 2, 3)) - 125
        return {
            "embedding": colour - colour.mean(dim=1, keepdim=True),
            "logits": torch.stack([stripes, -stripes], dim=1) / 50,
        }


def face_judge(class_names: list[str] | None = None) -> FaceJudge:
    names = EMOTIONS if class_names is None else class_names
    return FaceJudge(SquareNetwork(), list(names), "squares.pt", "0" * 64, "made for the test")


def sync_judge() -> SyncJudge:
    return SyncJudge(LoudnessSyncNet(), "loudness.pt", "1" * 64, "made for the test")


def square_clip(
    speaker: str,
    emotion: str,
    seed: int,
    frames: int = 50,
    generated: Tensor | None = None,
    label: str | None = None,
) -> TestClip:
    """One clip; `generated` is the real one by default, `label` the emotion."""
    levels = loudness(frames, seed)
    real = talking_square(speaker, emotion, levels)
    return TestClip(
        clip_id=f"{speaker}_{emotion}_{seed}",
        speaker=speaker,
        emotion=emotion if label is None else label,
        real=real,
        generated=real if generated is None else generated,
        speech=speech_of(levels),
    )
