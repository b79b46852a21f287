"""Work in pieces on a CPU: a piece a thread, instead of every operation on all threads.

Many short operations on all threads wait for the slowest thread in each, most of all on a processor that other
programs use too; pieces wait for each other once, at the end.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def map_on_threads(function: Callable[[Piece], Result], pieces: Sequence[Piece]) -> list[Result]:
    """`function` of each piece, in order, on as many threads as torch has; each works with one.

    Gradients are not recorded: `function` is for evaluation. What it raises is raised here.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        with torch.no_grad():
            return [function(piece) for piece in pieces]

    @torch.no_grad()  # which holds for a thread, not for those it starts
    def apply(piece: Piece) -> Result:
        return function(piece)

    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(apply, pieces))
    finally:
        torch.set_num_threads(threads)  # what the pool's threads set counts for the whole process


@dataclass
class _Inside:
    """How many are in `one_thread` at the moment, and what torch had before the first."""

    count: int = 0
    threads: int = 1


_inside, _changing = _Inside(), threading.Lock()


@contextmanager
def one_thread() -> Iterator[None]:
    """For one of several processes that share the processors: sums come out the same however many there are.

    Also for several threads of one process, as a Dask worker has: torch's number returns with the last one's end.
    """
    with _changing:
        if not _inside.count:
            _inside.threads = torch.get_num_threads()
        _inside.count += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _changing:
            _inside.count -= 1
            if not _inside.count:
                torch.set_num_threads(_inside.threads)
