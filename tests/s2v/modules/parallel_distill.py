"""Stage 1 on one process or two, to be run as a program:
`python -m tests.s2v.modules.parallel_distill FOLDER CACHE IDENTITY_TEACHER EMOTION_TEACHER PROCESSES`.

Rank 0 leaves `PROCESSES.pt` in FOLDER: the students' weights before and after 20 steps of four clips, shared out
among the processes, and what they are worth on the validation clips.
"""

import sys
from pathlib import Path

import torch

from callbacks.reproducible_randomness import ReproducibleRandomness
from data_modules.crema_d import CremaD
from tests.s2v.modules.small_faces import trainer
from tests.s2v.modules.small_modules import distill

GLOBAL_BATCH, STEPS = 4, 20


def main(folder: Path, cache: str, identity_teacher: str, emotion_teacher: str, processes: int) -> None:
    torch.set_num_threads(1)
    data = CremaD(
        cache,
        image_size=64,
        window_frames=20,
        num_frames=2,
        batch_size=GLOBAL_BATCH // processes,
        num_workers=0,
    )
    module = distill(
        identity_teacher=identity_teacher, emotion_teacher=emotion_teacher, frames_per_clip=2, lr=1e-3
    )
    before = {name: p.detach().clone() for name, p in module.representation.named_parameters()}
    fit = trainer(
        folder,
        ReproducibleRandomness(0),
        strategy="ddp" if processes > 1 else "auto",
        devices=processes,
        max_steps=STEPS,
        max_epochs=-1,
        use_distributed_sampler=False,
        limit_val_batches=1.0,
        check_val_every_n_epoch=STEPS,
        precision="64-true",  # where rounding is no excuse: RMSprop divides by what may be rounding itself
    )
    fit.fit(module, datamodule=data)
    metrics = fit.validate(module, datamodule=data)[0]
    if fit.global_rank == 0:
        after = {name: p.detach() for name, p in module.representation.named_parameters()}
        left = {"steps": fit.global_step, "before": before, "after": after, "metrics": metrics}
        torch.save(left, folder / f"{processes}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:5], processes=int(sys.argv[5]))  # type: ignore[misc]
