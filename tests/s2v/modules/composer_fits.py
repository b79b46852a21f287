"""Short fits of stage 2, and what their steps are watched by."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from s2v.modules.composer import ComposerModule
from tests.s2v.modules.small_faces import SmallFaces, trainer

NAMES = ("generator", "identity", "frame", "sync")
NO_LEARNING = {"identity_lr": 0.0, "frame_lr": 0.0, "sync_lr": 0.0}
SEED = 101  # D_sync's two shifts differ with it


class Seed(pl.Callback):
    """Torch's generator as a function of the batch."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        torch.manual_seed(SEED + batch_idx)


class Outputs(pl.Callback):
    """What training_step returned."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_: Any) -> None:
        self.seen.append(outputs)


class Gradients(pl.Callback):
    """Each optimizer's gradients as it steps, and how often it does."""

    def __init__(self) -> None:
        self.steps: dict[str, list[list[Tensor]]] = defaultdict(list)

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        name = NAMES[trainer.optimizers.index(optimizer)]
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.steps[name].append([p.grad.clone() for p in parameters if p.grad is not None])

    def norm(self, name: str) -> float:
        return torch.stack([g.norm() for g in self.steps[name][0]]).norm().item()


class WithoutBatchStatistics(pl.Callback):
    """Everything in eval mode: a clip's result does not depend on which other clips share its batch."""

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        pl_module.generator.eval()
        pl_module.discriminators.eval()


def fit(folder: Path, module: ComposerModule, *callbacks: pl.Callback, **settings: Any) -> pl.Trainer:
    """Fit on six clips of two pictures in one batch, unless told otherwise."""
    data = SmallFaces(**{"pictures": 2} | settings.pop("data", {}))
    made = trainer(folder, *callbacks, **{"max_epochs": -1, "max_steps": 1} | settings)
    made.fit(module, datamodule=data)
    return made


def copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


class Blind(nn.Module):
    """A frame discriminator without maps."""

    def forward(self, frames: Tensor) -> Tensor:
        return frames.mean((1, 2, 3))
