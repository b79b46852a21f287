"""Validation shared out among processes: what each has measured, put together."""

from dataclasses import dataclass, replace
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor


@dataclass
class _Sum:
    """Of one name's values, each as often as its batch has samples."""

    total: float | Tensor = 0.0
    samples: int = 0
    prog_bar: bool = False


class SharedValidation(pl.LightningModule):
    """A module whose `val/` means are those of one process, though each process validates a part of the clips.

    With several processes, what `validation_step` logs as `val/...` with a `batch_size` is summed up and logged at the
    validation's end, the same in all of them: checkpoints are chosen by it. In place of Lightning's `sync_dist`, which
    halves the number of 5 clips on two processes to 2, and waits for ever for a process that had no clip to log.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sums: dict[str, _Sum] = {}

    @property
    def _alone(self) -> bool:
        return self._trainer is None or self._trainer.world_size == 1

    def log(self, name: str, value: Any, *args: Any, **options: Any) -> None:
        """Lightning's; see the class for `val/` means."""
        size = options.get("batch_size")
        if size is None or not name.startswith("val/") or self._alone:
            super().log(name, value, *args, **options)
            return
        found = self._sums.setdefault(name, _Sum(prog_bar=options.get("prog_bar", False)))
        found.total = found.total + torch.as_tensor(value).detach().double() * size
        found.samples += size

    def on_validation_epoch_start(self) -> None:
        """An interrupted validation leaves nothing behind."""
        self._sums.clear()

    def on_validation_epoch_end(self) -> None:
        """Log the means over all processes."""
        if self._alone:
            return
        mine = {name: replace(found, total=float(found.total)) for name, found in self._sums.items()}
        parts: list[Any] = [None] * self.trainer.world_size
        torch.distributed.all_gather_object(parts, mine)
        # a process may have had none of what another has logged; sync_dist spares Lightning's advice to use it
        for name in dict.fromkeys(name for part in parts for name in part):
            sums = [part[name] for part in parts if name in part]
            mean = sum(one.total for one in sums) / sum(one.samples for one in sums)
            super().log(name, mean, sync_dist=True, prog_bar=sums[0].prog_bar)
