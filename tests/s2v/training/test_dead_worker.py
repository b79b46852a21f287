"""A batch that a loader worker can't hand over ends the loader instead of keeping it waiting."""

import errno
from typing import NoReturn

import pytest
from torch.utils.data import DataLoader

from data_modules.loader_worker import begin_worker
from s2v.errors import InputError
from s2v.training.dead_worker import check_workers_can_start, explain_dead_worker


class NotHandedOver:
    """Fails where the worker's queue pickles it, as a tensor does whose shared memory can't be had."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __reduce__(self) -> NoReturn:
        raise RuntimeError(self.reason)


class Clips:
    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> NotHandedOver:
        return NotHandedOver(self.reason)


def _first(batch: list[NotHandedOver]) -> NotHandedOver:
    return batch[0]


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        (
            "unable to allocate shared memory(shm) for file </torch_7_1>: Success (0)",
            "no room for a batch in shared memory (/dev/shm",
        ),
        ("received 0 items of ancdata", "exited unexpectedly"),
    ],
)
@pytest.mark.timeout(
    120
)  # for what would wait without end; with a limit of its own torch looks after no worker
def test_a_batch_that_is_not_handed_over(reason: str, line: str) -> None:
    # on a busy machine torch may see that a worker is dead before it is told its exit status
    for _ in range(3):
        loader = DataLoader(
            Clips(reason),  # type: ignore[arg-type]
            num_workers=1,
            collate_fn=_first,
            worker_init_fn=begin_worker,
        )
        with pytest.raises(RuntimeError) as caught:
            next(iter(loader))
        explained = explain_dead_worker(caught.value)
        assert explained is not None and "num_workers" in explained and "\n" not in explained
        if "exit code" in str(caught.value):
            break
    assert line in explained


def test_shared_memory_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    check_workers_can_start(2)

    def refused(*arguments: object, **more: object) -> NoReturn:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("multiprocessing.Lock", refused)
    check_workers_can_start(0)
    with pytest.raises(InputError, match=r"/dev/shm can't be written \(Read-only file system\)"):
        check_workers_can_start(1)


def test_a_worker_that_the_system_killed_for_want_of_shared_memory() -> None:
    """As in a container, whose /dev/shm has 64 MB."""
    error = RuntimeError(
        "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's workers are out of "
        "shared memory. Please try to raise your shared memory limit."
    )
    line = explain_dead_worker(error)
    assert line is not None and "no room for a batch in shared memory" in line and "--shm-size 8g" in line


def test_other_errors_are_not_explained() -> None:
    assert explain_dead_worker(RuntimeError("CUDA out of memory")) is None
