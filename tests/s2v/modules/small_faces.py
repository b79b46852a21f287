"""Small drawn faces that speak: what every module can learn in a few steps, in memory."""

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from s2v.batch import FPS, SAMPLE_RATE, SAMPLES_PER_FRAME, TalkingFaceBatch
from tests import quiet_trainer

FRAMES, SIZE = 16, 32
SPEAKERS, EMOTIONS = ["ann", "bob", "cyd"], ["calm", "glad"]


def draw_clip(index: int, frames: int = FRAMES) -> dict[str, Any]:
    """A clip, a function of its index.

    Its speaker has a colour and a pitch, its emotion a brow and a rough voice, and in each frame the mouth is as
    open as the voice is loud.
    """
    generator = torch.Generator().manual_seed(index)
    speaker, emotion = index % len(SPEAKERS), index // len(SPEAKERS) % len(EMOTIONS)
    loudness = torch.rand(frames, generator=generator)

    time = torch.arange(frames * SAMPLES_PER_FRAME) / SAMPLE_RATE
    phase = 2 * torch.pi * (130 + 70 * speaker) * time
    voice = sum(torch.sin(k * phase) / k for k in range(1, 8))
    rough = torch.randn(len(time), generator=generator) * (0.1 + 0.6 * emotion)
    speech = 0.3 * (voice + rough) * loudness.repeat_interleave(SAMPLES_PER_FRAME)

    pictures = torch.full((frames, 3, SIZE, SIZE), 60.0)
    pictures[:, speaker, 2:30, 4:28] = 200.0
    pictures[:, :, 10 - 5 * emotion : 13 - 5 * emotion, 6:26] = 20.0
    for picture, openness in zip(pictures, loudness.tolist(), strict=True):
        picture[:, 20 : 21 + round(7 * openness), 10:22] = 0.0
    pictures += torch.randn(pictures.shape, generator=generator) * 3
    pictures = pictures.clamp(0, 255).to(torch.uint8)
    return {
        "frames": pictures,
        "speech": speech.clamp(-1, 1),
        "frame_times": (torch.arange(frames) + 0.5) / FPS,
        "still": pictures[0],
        "speaker": speaker,
        "emotion": emotion,
        "start": 0,
        "clip_id": f"clip{index}",
    }


def batch_of(clips: list[dict[str, Any]], pictures: int | None = None) -> TalkingFaceBatch:
    """Clips as a batch; the first so many pictures of each, or all."""
    batch: dict[str, Any] = {
        key: torch.stack([clip[key] for clip in clips]) if isinstance(clips[0][key], Tensor) else None
        for key in clips[0]
    }
    batch["frames"], batch["frame_times"] = batch["frames"][:, :pictures], batch["frame_times"][:, :pictures]
    for key in ("speaker", "emotion", "start"):
        batch[key] = torch.tensor([clip[key] for clip in clips])
    batch["clip_id"] = [clip["clip_id"] for clip in clips]
    return batch  # type: ignore[return-value]


class SmallFaces(pl.LightningDataModule):
    """The same clips in the same order each epoch.

    Args:
        clips: how many.
        batch_size: clips a batch.
        pictures: frames served of each; None: all.
    """

    speakers, emotions = SPEAKERS, EMOTIONS

    def __init__(
        self, clips: int = 6, batch_size: int = 6, pictures: int | None = None, image_size: int = SIZE
    ) -> None:
        super().__init__()
        self.image_size = image_size
        self.count, self.batch_size, self.pictures = clips, batch_size, pictures

    def _loader(self, batch_size: int, pictures: int | None) -> DataLoader[Any]:
        return DataLoader(
            [draw_clip(index) for index in range(self.count)],  # type: ignore[arg-type]
            batch_size=batch_size,
            collate_fn=lambda clips: batch_of(clips, pictures),
        )

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader(self.batch_size, self.pictures)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader(self.batch_size, self.pictures)

    def test_dataloader(self) -> DataLoader[Any]:
        return self._loader(1, None)

    predict_dataloader = test_dataloader


def trainer(folder: Any, *callbacks: pl.Callback, **settings: Any) -> pl.Trainer:
    """A quiet one that does not validate unless it is told to."""
    unvalidated = {"num_sanity_val_steps": 0, "limit_val_batches": 0}
    return quiet_trainer.trainer(folder, *callbacks, **unvalidated | settings)


class Losses(pl.Callback):
    """What was logged under a name, step by step."""

    def __init__(self, name: str) -> None:
        self.name, self.values = name, list[float]()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.values.append(trainer.callback_metrics[self.name].item())
