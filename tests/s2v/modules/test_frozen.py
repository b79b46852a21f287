import pytest
import torch
from torch import nn

from s2v.modules.frozen import FrozenNetworks


class Owner(nn.Module):
    def __init__(self, with_teacher: bool = True) -> None:
        super().__init__()
        self.student = nn.Linear(3, 2)
        self.teachers = FrozenNetworks()
        if with_teacher:
            self.teachers["one"] = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout())


def test_stays_out_of_the_owners_state_and_forgives_that_when_loading() -> None:
    owner = Owner()
    assert owner.state_dict().keys() == {"student.weight", "student.bias"}
    assert FrozenNetworks().state_dict() == {}
    weights = {name: value.clone() for name, value in owner.teachers["one"].state_dict().items()}
    assert owner.load_state_dict(Owner(with_teacher=False).state_dict()) == ([], [])
    torch.testing.assert_close(owner.teachers["one"].state_dict(), weights, rtol=0, atol=0)


def test_what_is_missing_elsewhere_is_still_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"Missing key\(s\) in state_dict: \"student.bias\""):
        Owner().load_state_dict({"student.weight": torch.zeros(2, 3)})


def test_wants_no_gradients_and_never_trains() -> None:
    owner = Owner().train()
    teacher = owner.teachers["one"]
    assert owner.student.training and not any(m.training for m in owner.teachers.modules())
    assert not any(p.requires_grad for p in owner.teachers.parameters())
    before = teacher[1].running_mean.clone()
    assert torch.equal(teacher(torch.ones(5, 3)), teacher(torch.ones(5, 3)))  # no dropout
    assert torch.equal(teacher[1].running_mean, before)


def test_follows_its_owners_type_and_device() -> None:
    assert Owner().double().teachers["one"][0].weight.dtype == torch.float64
    assert Owner().to("meta").teachers["one"][0].weight.device.type == "meta"
