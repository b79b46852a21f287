"""Epochs are permutations; a resumed sampler goes on where it stood; ranks share without overlap."""

from data_modules.exact_resume_sampler import ExactResumeSampler


def drawn(done: int = 0, rank: int = 0, world_size: int = 1, seed: int = 5, limit: int | None = None) -> list:
    sampler = ExactResumeSampler(
        50, 4, seed, lambda: done, rank, world_size, (lambda: limit) if limit else None
    )
    assert len(sampler) == 50 // (4 * world_size) * 4
    return list(sampler)


def test_an_epoch_is_a_permutation_without_its_rest() -> None:
    first = drawn()
    assert len(first) == 48
    assert {epoch for epoch, _ in first} == {0}
    assert len({index for _, index in first}) == 48
    assert drawn(12) != first
    assert {epoch for epoch, _ in drawn(12)} == {1}
    assert [index for _, index in drawn(seed=6)] != [index for _, index in first]


def test_resumed_at_every_batch() -> None:
    both = drawn(0) + drawn(12)
    for done in range(24):
        assert drawn(done) == both[done * 4 : 48 if done < 12 else 96]


def test_epochs_cut_short_by_the_trainer() -> None:
    assert drawn(5, limit=5) == drawn(12)
    assert drawn(7, limit=5) == drawn(12)[8:]


def test_ranks_share_each_global_batch() -> None:
    whole = [index for _, index in ExactResumeSampler(50, 8, 5, lambda: 3)]
    shares = [[index for _, index in drawn(3, rank, 2)] for rank in (0, 1)]
    assert len(shares[0]) == len(shares[1])
    for batch in range(len(shares[0]) // 4):
        together = shares[0][batch * 4 : batch * 4 + 4] + shares[1][batch * 4 : batch * 4 + 4]
        assert together == whole[batch * 8 : batch * 8 + 8]
