"""A small, real GAN: manual optimisation, four RMSprop optimizers; it returns what ComposerModule does."""

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.core.optimizer import do_nothing_closure
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from data_modules.exact_resume_sampler import ExactResumeSampler

BATCH, FRAMES, SIZE, CLIPS = 2, 3, 8, 8


class Clips(Dataset):
    """Random clips, a function of their index: frames (T, 3, S, S) in [-1, 1], speech code (T, 4)."""

    def __len__(self) -> int:
        return CLIPS

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(index)
        frames = torch.rand(FRAMES, 3, SIZE, SIZE, generator=generator) * 2 - 1
        return frames, torch.randn(FRAMES, 4, generator=generator)


class Indexed(Clips):
    """The same, asked for by (epoch, index)."""

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        return super().__getitem__(key[1])


def loader() -> DataLoader:
    """The clips in order: 4 batches."""
    return DataLoader(Clips(), batch_size=BATCH)


class ShuffledClips(pl.LightningDataModule):
    """The clips in an order that a resumed fit continues, as the project's data modules serve theirs."""

    def train_dataloader(self) -> DataLoader:
        progress = self.trainer.fit_loop.epoch_loop.batch_progress
        sampler = ExactResumeSampler(CLIPS, BATCH, seed=0, batches_done=lambda: progress.total.ready)
        return DataLoader(Indexed(), batch_size=BATCH, sampler=sampler)

    def val_dataloader(self) -> DataLoader:
        return loader()


class SmallGAN(pl.LightningModule):
    """`generator` (with batch norm) against three discriminators; draws noise, so randomness matters.

    Args:
        poison_at: the generator step whose loss is reported as NaN.
    """

    optimizer_names = ("generator", "identity", "frame", "sync")

    def __init__(
        self, lr: float = 1e-3, batches_a_step: int = 1, hidden: int = 16, poison_at: int | None = None
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.lr, self.batches_a_step = lr, batches_a_step
        pixels = 3 * SIZE * SIZE
        self.generator = nn.Sequential(
            nn.Linear(8, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, pixels), nn.Tanh()
        )
        self.discriminators = nn.ModuleDict({name: nn.Linear(pixels, 1) for name in self.optimizer_names[1:]})
        self.poison_at = poison_at

    def forward(self, speech: Tensor) -> Tensor:
        codes = torch.cat([speech, torch.randn_like(speech)], dim=-1).flatten(0, 1)
        return self.generator(codes).view(*speech.shape[:2], 3, SIZE, SIZE)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Any]:
        real, speech = batch
        optimizers = dict(zip(self.optimizer_names, self.optimizers(), strict=True))
        for name, optimizer in optimizers.items():
            if name != "generator":
                optimizer._on_before_step = optimizer._on_after_step = do_nothing_closure
        fake = self(speech)
        step_now = (batch_idx + 1) % self.batches_a_step == 0

        real_scores = {name: d(real.flatten(2)) for name, d in self.discriminators.items()}
        fake_scores = {name: d(fake.detach().flatten(2)) for name, d in self.discriminators.items()}
        losses = {
            f"d_{name}": 0.5 * (real_scores[name] - 1).square().mean()
            + 0.5 * fake_scores[name].square().mean()
            for name in real_scores
        }
        self.manual_backward(sum(losses.values()))
        if step_now:
            for name in real_scores:
                optimizers[name].step()
                optimizers[name].zero_grad()
        with self.toggled_optimizer(optimizers["generator"]):
            total = sum(0.5 * (d(fake.flatten(2)) - 1).square().mean() for d in self.discriminators.values())
            self.manual_backward(total)
            if step_now:
                optimizers["generator"].step()
                optimizers["generator"].zero_grad()
        losses["generator"] = total * (float("nan") if self.global_step == self.poison_at else 1)
        return {
            "losses": {name: loss.detach() for name, loss in losses.items()},
            "real_scores": {name: score.detach() for name, score in real_scores.items()},
            "fake_scores": fake_scores,
            "fake_frames": fake.detach(),
            "real_frames": real,
        }

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        real, speech = batch
        fake = self(speech)
        self.log("val/error", (fake - real).abs().mean(), batch_size=len(real))
        return {"fake_frames": fake, "real_frames": real}

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        networks = [self.generator, *self.discriminators.values()]
        return [torch.optim.RMSprop(network.parameters(), lr=self.lr) for network in networks]
