import pytest
from torch import nn

from s2v.models.evaluation_mode import evaluated


def test_every_part_has_its_own_mode_again_also_after_an_error() -> None:
    frozen, trained = nn.Linear(1, 1).eval(), nn.Linear(1, 1)
    network = nn.Sequential(trained, frozen)
    with pytest.raises(KeyError), evaluated(network):
        assert not network.training and not trained.training
        raise KeyError
    assert network.training and trained.training and not frozen.training
