import pytest
import torch
from torch import Tensor

from s2v.losses.feature_distance import distance_seen_by, feature_distance


def test_by_hand() -> None:
    real = [torch.tensor([[[[1.0, -3.0]]]]), torch.tensor([[[[10.0]]], [[[10.0]]]])]
    fake = [torch.tensor([[[[2.0, -2.0]]]]), torch.tensor([[[[10.0]]], [[[5.0]]]])]
    # 2 of 4, and 5 of 20
    assert feature_distance(fake, real).item() == pytest.approx((0.5 + 0.25) / 2)
    assert feature_distance(real, real).item() == 0


def test_does_not_know_the_networks_scale() -> None:
    torch.manual_seed(0)
    fake, real = torch.randn(2, 3, 4, 5, 5).unbind(0)
    once = feature_distance([fake, fake], [real, real])
    torch.testing.assert_close(feature_distance([fake, 1e3 * fake], [real, 1e3 * real]), once)


def test_of_nothing_real_there_is_no_nan() -> None:
    assert feature_distance([torch.zeros(1, 1, 2, 2)], [torch.zeros(1, 1, 2, 2)]).item() == 0


def test_gradients_flow_into_the_made_frames_alone() -> None:
    torch.manual_seed(0)
    fake, real = torch.randn(2, 2, 3, 3, 8, 8).unbind(0)
    fake.requires_grad_()
    real.requires_grad_()
    shapes: list[torch.Size] = []

    def maps(frames: Tensor) -> list[Tensor]:
        shapes.append(frames.shape)
        return [frames.square(), frames[..., ::2]]

    distance_seen_by(maps, fake, real).backward()
    assert shapes == [(6, 3, 8, 8)] * 2
    assert fake.grad is not None and fake.grad.abs().min() > 0 and real.grad is None
    feature_distance([fake], [real]).backward()
    assert real.grad is None
