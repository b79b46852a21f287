"""Pieces in order, each on one thread, and the process as it was afterwards."""

import threading

import pytest
import torch

from s2v.process.one_thread_each import map_on_threads, one_thread


def test_order_threads_and_gradients(threads: int) -> None:
    weight = torch.ones(1, requires_grad=True)
    seen = map_on_threads(lambda piece: (piece, torch.get_num_threads(), weight * piece), range(7))
    assert [piece for piece, _, _ in seen] == list(range(7))
    assert {inside for _, inside, _ in seen} == {1}
    assert not any(result.requires_grad for _, _, result in seen)
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()


def test_pieces_work_at_the_same_time() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    both = threading.Barrier(2, timeout=10)  # breaks unless two pieces meet
    try:
        assert sorted(map_on_threads(lambda _: both.wait(), range(2))) == [0, 1]
    finally:
        torch.set_num_threads(before)


def test_an_error_of_a_piece_is_raised(threads: int) -> None:
    def fail(piece: int) -> int:
        raise ValueError(f"piece {piece}")

    with pytest.raises(ValueError, match="piece 0"):
        map_on_threads(fail, range(3))
    assert torch.get_num_threads() == threads
    with torch.enable_grad():
        assert map_on_threads(lambda piece: piece, []) == []


def test_one_thread_until_the_last_has_left(threads: int) -> None:
    with one_thread():
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads
    with pytest.raises(ValueError, match="within"), one_thread():
        raise ValueError("within")
    assert torch.get_num_threads() == threads
