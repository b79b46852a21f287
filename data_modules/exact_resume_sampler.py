"""A shuffling sampler: its order is a function of (seed, epoch), and it knows where a resumed run stands."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Sampler

from s2v.errors import InputError


class ExactResumeSampler(Sampler[tuple[int, int]]):
    """Yields (epoch, index) in an order that an interrupted and resumed run continues to the letter.

    `batches_done()` says how many batches (of this rank) training has begun since its first start, restarts
    included; epoch and position follow from it by division, so there is no state to save. Every rank takes
    its own share of each global batch, and samples that fill no global batch are left out of that epoch.
    """

    def __init__(
        self,
        length: int,
        batch_size: int,
        seed: int,
        batches_done: Callable[[], int],
        rank: int = 0,
        world_size: int = 1,
        batches_per_epoch: Callable[[], int] | None = None,
    ) -> None:
        self.length = length
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self._batches_done = batches_done
        self._batches_per_epoch = batches_per_epoch

    @property
    def full_batches(self) -> int:
        """Batches an epoch that every rank can fill."""
        return self.length // (self.batch_size * self.world_size)

    def __len__(self) -> int:
        """Samples of a whole epoch for this rank."""
        return self.full_batches * self.batch_size

    def __iter__(self) -> Iterator[tuple[int, int]]:
        # a trainer with limit_train_batches ends its epochs early: its number is the one to divide by
        batches = self._batches_per_epoch() if self._batches_per_epoch else self.full_batches
        epoch, skip = divmod(self._batches_done(), max(batches, 1))
        order = np.random.default_rng([self.seed, epoch]).permutation(self.length)
        for batch in range(skip, self.full_batches):
            first = (batch * self.world_size + self.rank) * self.batch_size
            for index in order[first : first + self.batch_size].tolist():
                yield epoch, index


class ResumableLoader(DataLoader[Any]):
    """A loader that may be resumed inside an epoch: its sampler needs no state to know where it stands.

    An InputError in a worker process arrives as it was raised, in one line; torch would give its traceback too.
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        # A generator, so that the workers' first batches are drawn when one is asked for: where a schedule asks
        # for the number of steps, Lightning makes the iterator before it restores a checkpoint's loops.
        try:
            yield from super().__iter__()
        except InputError as error:
            if "Original Traceback" not in str(error):
                raise
            raise InputError(str(error).rsplit("InputError: ", 1)[1].strip()) from None

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to restore."""
