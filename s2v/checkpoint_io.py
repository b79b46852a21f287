"""Checkpoints that are whole or not there, on any file system."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from s2v.errors import InputError
from s2v.files.whole_file import whole_file, why_unwritten


class WholeCheckpointIO(TorchCheckpointIO):
    """Writes beside the checkpoint, to the disk, and then renames: a kill or a power cut leaves the old one whole.

    Lightning's own writes to the system's folder for temporary files and moves from there; where that is another
    file system, moving is copying, and what a kill interrupts is the only `last.ckpt`.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Replace `path` in one step.

        Raises:
            InputError: it can't be written; what was there before still is.
        """
        target = Path(path)
        try:
            # checkpoints are large: what a kill leaves is not to pile up
            with whole_file(target, durable=True, lone_writer=True) as partial, partial.open("wb") as stream:
                torch.save(checkpoint, stream)
        except (OSError, RuntimeError) as error:  # PyTorch's writer turns a full disk into a RuntimeError
            older = f"the one before, {target}, is whole: go on from it" if target.exists() else "make room"
            raise InputError(
                f"the checkpoint {target} can't be written ({why_unwritten(error)}); {older}"
            ) from error
