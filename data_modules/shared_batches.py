"""Whole batches dealt out among processes, none twice and none filled up: validation in parallel, exact."""

import math
from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.utilities import CombinedLoader
from torch.utils.data import DataLoader, Sampler


class SharedBatches(Sampler[int]):
    """The places of every `world_size`-th batch, in order: this rank's share of what one process would go through.

    Batches stay what they are in one process, since a contrastive loss depends on who is in a batch with whom. A rank
    may have one more than another. With fewer batches than ranks all of them go through all: Lightning calls no
    validation hooks in a rank without batches, and those of the others would wait for it.
    """

    def __init__(self, length: int, batch_size: int, rank: int, world_size: int) -> None:
        self.length = length
        self.batch_size = batch_size
        batches = -(-length // batch_size)
        self.rank, self.shares = (rank, world_size) if batches >= world_size else (0, 1)
        self.most = -(-batches // self.shares)
        """Batches of the ranks that have most."""

    def number(self, batch: int) -> int:
        """The number that this rank's `batch`-th batch has among all."""
        return batch * self.shares + self.rank

    def __len__(self) -> int:
        """Places of this rank."""
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[int]:
        step = self.shares * self.batch_size
        for first in range(self.rank * self.batch_size, self.length, step):
            yield from range(first, min(first + self.batch_size, self.length))


def validation_loaders(trainer: pl.Trainer) -> list[Any]:
    """A validation's loaders as Lightning numbers them, whether there is one, or a list or a dict of them."""
    return CombinedLoader(trainer.val_dataloaders).flattened


def test_loaders(trainer: pl.Trainer) -> list[Any]:
    """A test's loaders, likewise."""
    return CombinedLoader(trainer.test_dataloaders).flattened


def shared_batches(trainer: pl.Trainer, dataloader_idx: int = 0) -> SharedBatches | None:
    """The sampler of a validation's loader, where it deals out batches; None where every rank is served everything."""
    sampler = getattr(validation_loaders(trainer)[dataloader_idx], "sampler", None)
    return sampler if isinstance(sampler, SharedBatches) and sampler.shares > 1 else None


class WindowNumbers:
    """Numbers a validation's windows from 0 on, as one process would go through them, loader after loader.

    Attributes:
        total: how many there are, within limit_val_batches; None where a loader does not say (each rank counts).
        counted: how many this rank has been served so far.
    """

    def __init__(self, trainer: pl.Trainer) -> None:
        self._loaders = validation_loaders(trainer)
        self._shared = [shared_batches(trainer, number) for number in range(len(self._loaders))]
        self._served = _served_windows(trainer)
        self.counted = 0
        self.total = sum(self._served) if self._served else None

    def are_dealt_out(self, dataloader_idx: int) -> bool:
        """Whether a loader serves each rank other windows; where not, all are served all."""
        return self._shared[dataloader_idx] is not None

    def of_batch(self, batch_idx: int, dataloader_idx: int, size: int) -> range:
        """The numbers of a batch's `size` windows; to be asked once for each batch."""
        first = self.counted
        self.counted += size
        if self._served:
            shared = self._shared[dataloader_idx]
            number = batch_idx if shared is None else shared.number(batch_idx)
            first = sum(self._served[:dataloader_idx]) + number * self._loaders[dataloader_idx].batch_size
        return range(first, first + size)


def _served_windows(trainer: pl.Trainer) -> list[int]:
    """How many windows each loader of a validation serves, within limit_val_batches; empty where none can tell."""
    served = []
    loaders = validation_loaders(trainer)
    for number, (loader, batches) in enumerate(zip(loaders, trainer.num_val_batches, strict=False)):
        if not isinstance(loader, DataLoader) or loader.batch_size is None or not math.isfinite(batches):
            return []
        if not hasattr(loader.dataset, "__len__"):
            return []
        shared = shared_batches(trainer, number)
        if shared is not None:  # not this rank's own: one that has a batch less would choose other windows
            limit, most = trainer.limit_val_batches, shared.most
            batches = shared.shares * (min(limit, most) if isinstance(limit, int) else int(limit * most))
        served.append(min(int(batches) * loader.batch_size, len(loader.dataset)))
    return served
