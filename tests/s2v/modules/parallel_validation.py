"""A validation on some processes, to be run as a program:
`python -m tests.s2v.modules.parallel_validation FOLDER CACHE SYNCNET PROCESSES`.

Each rank leaves `PROCESSES-RANK.pt` in FOLDER: what it logged of untrained modules, and the clips that it was served.
"""

import sys
import warnings
from pathlib import Path
from typing import Any

import torch

from callbacks.image_quality import ImageQuality
from callbacks.reproducible_randomness import ReproducibleRandomness
from callbacks.sync_confidence import SyncConfidenceCallback
from data_modules.crema_d import CremaD
from s2v.models.cpc import CPC
from s2v.models.senet import SENet50
from s2v.modules.cpc_pretraining import CPCPretraining
from s2v.modules.face_teacher import FaceTeacher
from tests.s2v.modules.small_faces import trainer
from tests.s2v.modules.small_modules import WIDTH, composer


class SomeUnlabelled(CremaD):
    """The first clip, which is a batch of its own, has no emotion."""

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        if batch["clip_id"][0] == self.clips("val")[0].clip_id:
            batch["emotion"].fill_(-1)
        return batch


def main(folder: Path, cache: str, syncnet: str, processes: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.filterwarnings("error", "It is recommended to use")  # of a number that is one process' share
    served: list[str] = []

    class Served(ReproducibleRandomness):
        """Seeds as in a fit, and notes what is served."""

        def on_validation_batch_start(self, trainer: Any, pl_module: Any, batch: Any, *numbers: Any) -> None:
            super().on_validation_batch_start(trainer, pl_module, batch, *numbers)
            served.extend(batch["clip_id"])

    run = trainer(
        folder,
        strategy="ddp" if processes > 1 else "auto",
        devices=processes,
        use_distributed_sampler=False,
        limit_val_batches=1.0,
    )
    logged: dict[str, float] = {}

    def validate(module: Any, batch_size: int, *callbacks: Any) -> None:
        run.callbacks = [Served(0), *callbacks]  # type: ignore[attr-defined]
        data = SomeUnlabelled(
            cache, image_size=64, window_frames=30, num_frames=2, batch_size=batch_size, num_workers=0
        )
        run.validate(module, datamodule=data, verbose=False)
        logged.update({f"{type(module).__name__}/{k}": v.item() for k, v in run.callback_metrics.items()})

    validate(composer(image_size=64), 2, ImageQuality(), SyncConfidenceCallback(syncnet, max_clips=3))
    # its negatives are drawn from the batch
    validate(CPCPretraining(CPC(channels=16, hidden=16), steps_ahead=2, negatives=8), 2)
    network = SENet50(image_size=64, width=WIDTH, blocks=(1, 1, 1, 1), num_classes=6)
    validate(FaceTeacher(network, labels="emotion"), 1)
    torch.save({"logged": logged, "served": served}, folder / f"{processes}-{run.global_rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:4], processes=int(sys.argv[4]))  # type: ignore[misc]
