"""A data module and a system of talking squares, for callbacks: frames as drawn, no training."""

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from s2v.batch import SAMPLES_PER_FRAME, TalkingFaceBatch
from tests.s2v.evaluation.talking_squares import (
    COLOURS,
    EMOTIONS,
    loudness,
    speech_of,
    talking_square,
)


def square_batch(clips: list[tuple[str, str, int]], frames: int, start: int = 0) -> TalkingFaceBatch:
    """A batch of (speaker, emotion, seed), `frames` long; an emotion "" is unlabelled."""
    levels = [loudness(frames, seed) for _, _, seed in clips]
    pictures = torch.stack(
        [talking_square(who, how, level) for (who, how, _), level in zip(clips, levels, strict=True)]
    )
    times = (torch.arange(frames) + 0.5) / 25
    return {
        "frames": pictures,
        "speech": torch.stack([speech_of(level).float() / 32768 for level in levels]),
        "frame_times": times.expand(len(clips), -1),
        "still": pictures[:, 0],
        "speaker": torch.tensor([list(COLOURS).index(who) for who, _, _ in clips]),
        "emotion": torch.tensor([EMOTIONS.index(how) if how else -1 for _, how, _ in clips]),
        "start": torch.full((len(clips),), start),
        "clip_id": [f"{who}_{how}_{seed}" for who, how, seed in clips],
    }


class Squares(pl.LightningDataModule):
    """Batches as given; labels as `TalkingFaceDataModule` has them."""

    def __init__(
        self, test: list[TalkingFaceBatch] | None = None, val: list[TalkingFaceBatch] | None = None
    ) -> None:
        super().__init__()
        self.speakers = list(COLOURS)
        self.emotions = EMOTIONS
        self.genders = dict(zip(COLOURS, ("female", "male", "male"), strict=True))
        self.split = "seen"
        self.cached_crop = "none"
        self._test = test or []
        self._val = val or []

    def train_dataloader(self) -> Any:
        return DataLoader(self._val, batch_size=None)  # type: ignore[arg-type]

    def val_dataloader(self) -> Any:
        return DataLoader(self._val, batch_size=None)  # type: ignore[arg-type]

    def test_dataloader(self) -> Any:
        return DataLoader(self._test, batch_size=None)  # type: ignore[arg-type]


class SpeakingSquares(pl.LightningModule):
    """Draws ann's angry square from the speech's loudness: right lips for all, the right face for one.

    Args:
        brighter: added to every pixel, so that SSIM and PSNR are not perfect.
        breaks_on: clips for which `test_step` returns nothing.
    """

    def __init__(self, brighter: int = 5, breaks_on: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.brighter = brighter
        self.breaks_on = breaks_on
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def generate_clip(self, speech: Tensor, num_frames: int) -> Tensor:
        loud = speech.view(num_frames, SAMPLES_PER_FRAME).square().mean(dim=1).sqrt() * 2**0.5
        levels = ((loud * 32768 / 8000).log() / 3 + 1).clamp(0, 1)
        return talking_square("ann", "anger", levels.cpu()).to(self.device)

    def test_step(self, batch: TalkingFaceBatch, batch_idx: int) -> dict[str, Tensor] | None:
        if batch["clip_id"][0] in self.breaks_on:
            return None
        real = batch["frames"][0]
        made = self.generate_clip(batch["speech"][0], len(real)).int() + self.brighter
        return {"generated": made.clamp(0, 255).to(torch.uint8), "real": real}

    def training_step(self, batch: TalkingFaceBatch, batch_idx: int) -> Tensor:
        return self.weight.square()

    def validation_step(self, batch: TalkingFaceBatch, batch_idx: int) -> dict[str, Tensor]:
        real = batch["frames"].float() / 127.5 - 1
        return {"fake_frames": real + self.brighter / 127.5, "real_frames": real}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)
