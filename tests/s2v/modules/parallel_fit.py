"""A composer's fit on two processes, to be run as a program: `python -m tests.s2v.modules.parallel_fit FOLDER`.

Each rank leaves `rank0.pt`, `rank1.pt` in FOLDER: its networks, averages, running statistics and what it saw.
"""

import sys
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from callbacks.generator_ema import GeneratorEMA
from callbacks.reproducible_randomness import ReproducibleRandomness
from data_modules.crema_d import CremaD
from tests.s2v.modules.small_faces import trainer
from tests.s2v.modules.small_modules import composer


class Speech(pl.Callback):
    """The clips that this rank was given."""

    def __init__(self) -> None:
        self.clips: list[list[str]] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.clips.append(batch["clip_id"])


def main(folder: Path, cache: str, face_file: str) -> None:
    """Six steps of two clips a rank, two steps an epoch."""
    torch.set_num_threads(1)
    data = CremaD(
        cache, image_size=64, window_frames=20, num_frames=2, batch_size=2, num_workers=0, max_clips=8
    )
    module = composer(
        image_size=64,
        window_frames=20,
        feature_network=face_file,
        drawing={"pose_dim": 3, "num_speakers": 8},
    )
    seen = Speech()
    fit = trainer(
        folder,
        ReproducibleRandomness(0),
        GeneratorEMA(0.9),
        seen,
        strategy="ddp_find_unused_parameters_true",
        devices=2,
        max_steps=6,
        max_epochs=-1,
        use_distributed_sampler=False,
        limit_val_batches=1,
    )
    fit.fit(module, datamodule=data)
    left = {
        "steps": fit.global_step,
        "clips": seen.clips,
        "average": {name: p.detach() for name, p in module.generator.named_parameters()},
        "discriminators": {name: p.detach() for name, p in module.discriminators.named_parameters()},
        "statistics": {
            name: buffer
            for network in (module.generator, module.discriminators)
            for name, buffer in network.named_buffers()
        },
        "losses": {k: v for k, v in fit.callback_metrics.items() if k.startswith("train/loss")},
    }
    torch.save(left, folder / f"rank{fit.global_rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
