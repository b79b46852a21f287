"""Lightning's counts of batches and of logged steps, which a resumed fit must go on with exactly.

`trainer.global_step` is neither: it counts optimizer steps, and a batch that only adds to gradients makes none. The
first has a public property of the loop; the second, by which Lightning numbers what it logs, has none. Read from
Lightning 2.6.6; a release that renames it fails in these lines, not by metrics at wrong steps.
"""

from pathlib import Path

import torch
from lightning.pytorch import Trainer


def batches_begun(trainer: Trainer) -> int:
    """Training batches begun since training's first start, restarts and the one being trained on included."""
    return trainer.fit_loop.total_batch_idx + 1  # Lightning's is the number of the newest, from 0


def logged_step(trainer: Trainer) -> int:
    """The step that Lightning logs a fit's metrics at, and after a fit its test's.

    It counts batches but for those that the Trainer's own `accumulate_grad_batches` adds up; of a module that steps its
    optimizers itself it counts all, unless the module says otherwise, as `AdversarialModule` does.
    """
    return trainer.fit_loop.epoch_loop._batches_that_stepped


def go_on_logging_at(trainer: Trainer, step: int) -> None:
    """Set `logged_step`: of a fit that Lightning resumes one too high or counts otherwise, or of a fit's closing test.

    Raises:
        AttributeError: this Lightning keeps it elsewhere; a new attribute would be set in vain.
    """
    logged_step(trainer)
    trainer.fit_loop.epoch_loop._batches_that_stepped = step


def log_where_it_was_written(trainer: Trainer, checkpoint: Path) -> None:
    """What is measured of a checkpoint is logged at the step and epoch that the fit had come to, not at 0.

    Args:
        trainer: of a validation or test.
        checkpoint: the file; one that can't be read, or is no fit's, says nothing. Whoever loads it says why.
    """
    try:
        # mmap: no weight is read
        content = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
        step = content["loops"]["fit_loop"]["epoch_loop.state_dict"]["_batches_that_stepped"]
        epoch = content["epoch"]
    except Exception:  # each kind of damage raises another
        return
    go_on_logging_at(trainer, step)
    trainer.fit_loop.epoch_progress.current.processed = epoch  # type: ignore[attr-defined]  # current_epoch
