from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing, nn

from s2v.models.running_standardisation import RunningStandardisation


def test_by_hand() -> None:
    standardise = RunningStandardisation(1)
    # mean 2, variance 2
    torch.testing.assert_close(
        standardise(torch.tensor([[1.0], [3.0]])), torch.tensor([[-1.0], [1.0]]) / 2**0.5
    )
    # mean 7, variance 18: both batches count alike
    torch.testing.assert_close(
        standardise(torch.tensor([[4.0], [10.0]])), torch.tensor([[-0.5], [5.5]]) / 10**0.5
    )


def test_later_batches_count_for_momentum() -> None:
    standardise = RunningStandardisation(1, momentum=0.5)
    for mean in (0.0, 0.0, 8.0, 8.0):
        standardise(torch.tensor([[mean - 1], [mean + 1]]))
    torch.testing.assert_close(standardise.running_mean, torch.tensor([6.0]))


def test_evaluation_is_a_batch_norms_with_the_same_statistics() -> None:
    standardise, norm = RunningStandardisation(5), nn.BatchNorm1d(5, affine=False)
    for _ in range(3):
        standardise(torch.randn(8, 5) * 3 + 1)
    norm.load_state_dict(standardise.state_dict())
    x = torch.randn(4, 5)
    torch.testing.assert_close(standardise.eval()(x), norm.eval()(x))


def test_a_vector_hardly_depends_on_its_batch() -> None:
    """Beside other vectors than before a batch norm moves it by a third of the spread."""
    torch.manual_seed(0)
    standardise, norm = RunningStandardisation(256), nn.BatchNorm1d(256, affine=False)
    for _ in range(50):
        standardise(torch.randn(12, 256))
    x = torch.randn(1, 256)
    moved = [
        float((layer(torch.cat([x, torch.randn(11, 256)]))[0] - x).square().mean().sqrt())
        for layer in (standardise, norm)
    ]
    assert moved[0] < 0.2 < 0.3 < moved[1]


def test_gradients_of_two_forward_passes() -> None:
    standardise = RunningStandardisation(2)
    first, second = (torch.randn(4, 2, requires_grad=True) for _ in range(2))
    (standardise(first).sum() + standardise(second).sum()).backward()  # type: ignore[no-untyped-call]
    assert first.grad is not None and second.grad is not None
    torch.testing.assert_close(second.grad, (standardise.running_var + 1e-5).rsqrt().expand(4, 2))


def test_one_vector_says_nothing_of_the_spread() -> None:
    standardise = RunningStandardisation(3)
    assert standardise(torch.full((1, 3), 7.0)).eq(0).all()
    assert standardise.running_var.eq(1).all()


@pytest.mark.parametrize("training", [True, False])
def test_statistics_change_in_training_alone(training: bool) -> None:
    standardise = RunningStandardisation(3).train(training)
    standardise(torch.randn(4, 3) + 5)
    assert bool(standardise.running_mean.any()) is training
    assert int(standardise.num_batches_tracked) == training


BATCHES = [(5, 3), (1, 4)]
"""Vectors of a rank in each step, unlike shares as at an epoch's end."""


def see_a_share(rank: int, folder: Path) -> None:
    distributed.init_process_group("gloo", f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    standardise = RunningStandardisation(6)
    seen = [standardise(batch) for batch in shares()[rank]]
    torch.save((seen, standardise.state_dict()), folder / f"{rank}.pt")
    distributed.destroy_process_group()


def shares() -> list[list[torch.Tensor]]:
    draw = torch.Generator().manual_seed(0)
    return [[torch.randn(size, 6, generator=draw) * 3 + 20 for size in sizes] for sizes in BATCHES]


@pytest.mark.slow
def test_two_processes_see_what_one_does(tmp_path: Path) -> None:
    multiprocessing.spawn(see_a_share, (tmp_path,), nprocs=2)
    standardise = RunningStandardisation(6)
    whole = [standardise(torch.cat(batches)) for batches in zip(*shares(), strict=True)]
    for rank, sizes in enumerate(BATCHES):
        seen, state = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(dict(state), dict(standardise.state_dict()))
        for mine, everybodys, size in zip(seen, whole, sizes, strict=True):
            torch.testing.assert_close(mine, everybodys[-size:] if rank else everybodys[:size])
