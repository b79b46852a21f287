"""Processes share out whole batches, in order, none twice and none filled up."""

import pytest
from torch.utils.data import DataLoader

from data_modules.shared_batches import SharedBatches


def shares(length: int, batch_size: int, world_size: int) -> list[list[list[int]]]:
    """The batches of each rank, as a loader makes them."""
    samplers = [SharedBatches(length, batch_size, rank, world_size) for rank in range(world_size)]
    return [
        [batch.tolist() for batch in DataLoader(range(length), batch_size, sampler=sampler)]  # type: ignore[arg-type]
        for sampler in samplers
    ]


def test_each_takes_every_third_batch() -> None:
    assert shares(10, 2, 3) == [[[0, 1], [6, 7]], [[2, 3], [8, 9]], [[4, 5]]]


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
@pytest.mark.parametrize("length", [20, 23])
def test_together_they_have_the_batches_of_one(length: int, world_size: int) -> None:
    found: dict[int, list[int]] = {}
    for rank, batches in enumerate(shares(length, 4, world_size)):
        sampler = SharedBatches(length, 4, rank, world_size)
        assert len(sampler) == sum(map(len, batches))
        found |= {sampler.number(number): batch for number, batch in enumerate(batches)}
    assert [found[number] for number in range(len(found))] == shares(length, 4, 1)[0]


def test_fewer_batches_than_processes_are_seen_by_all() -> None:
    assert shares(5, 2, 4) == shares(5, 2, 1) * 4
    assert SharedBatches(5, 2, rank=3, world_size=4).number(1) == 1
