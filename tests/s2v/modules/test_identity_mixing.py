"""Stage 2 on nus part of the way to another speaker's."""

from pathlib import Path

import pytest
import torch

from s2v.errors import InputError
from s2v.modules.composer import mixed
from tests.s2v.modules.small_faces import batch_of, draw_clip
from tests.s2v.modules.small_modules import composer
from tests.s2v.modules.test_composer_step import Outputs, Seed, fit


def test_mixing_moves_each_nu_part_of_the_way_to_another() -> None:
    torch.manual_seed(0)
    nus = torch.eye(5)
    shares = []
    for _ in range(200):
        moved = mixed(nus, 0.3)
        torch.testing.assert_close(moved.sum(1), torch.ones(5))  # on the line between two of the unit vectors
        assert bool((moved.count_nonzero(1) == 2).all())
        shares += [1 - float(moved[row, row]) for row in range(5)]
    assert 0 <= min(shares) < 0.01 and 0.29 < max(shares) < 0.3001
    assert torch.equal(mixed(nus, 0.0), nus)
    assert torch.equal(mixed(nus[:1], 0.3), nus[:1])  # there is no other


def test_only_training_mixes(tmp_path: Path, face_file: str) -> None:
    """The first step's frames differ from those of the same weights without mixing; generation's do not."""
    outputs = {share: Outputs() for share in (0.0, 0.4)}
    modules = {share: composer(feature_network=face_file, identity_mixing=share) for share in outputs}
    batch = batch_of([draw_clip(index) for index in range(4)])
    made = [module.eval()(batch["speech"], batch["frame_times"]) for module in modules.values()]
    assert torch.equal(*made)
    for share, module in modules.items():
        fit(tmp_path, module.train(), Seed(), outputs[share])
    without, with_mixing = (found.seen[0]["fake_frames"] for found in outputs.values())
    assert not torch.allclose(without, with_mixing)


@pytest.mark.parametrize("share", [-0.1, 0.5, 1.0])
def test_mixing_must_leave_more_of_the_own_nu(share: float) -> None:
    with pytest.raises(InputError, match=rf"identity_mixing must be at least 0 and below 0.5.*got {share}"):
        composer(identity_mixing=share)
