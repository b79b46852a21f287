"""Eqs. 2 and 3 against numbers worked out by hand."""

import math

import pytest
import torch

from s2v.losses.distillation import normalised_distance, soft_cross_entropy


def test_cross_entropy_by_hand() -> None:
    # softmax(log 3, log 1) = (3/4, 1/4), softmax(0, 0) = (1/2, 1/2)
    peaked = torch.tensor([[math.log(3.0), 0.0]])
    flat = torch.zeros(1, 2)
    assert soft_cross_entropy(flat, peaked).item() == pytest.approx(math.log(2))
    expected = -(0.75 * math.log(0.5) + 0.25 * math.log(0.5))
    assert soft_cross_entropy(flat, peaked, "teacher").item() == pytest.approx(expected)
    swapped = -0.5 * (math.log(0.75) + math.log(0.25))
    assert soft_cross_entropy(flat, peaked, "student").item() == pytest.approx(swapped)


def test_temperature_divides_both_logits() -> None:
    student, teacher = torch.randn(4, 8), torch.randn(4, 8)
    assert torch.equal(
        soft_cross_entropy(student, teacher, temperature=2.0), soft_cross_entropy(student / 2, teacher / 2)
    )


def minimise(target: str) -> torch.Tensor:
    teacher = torch.tensor([[2.0, 1.0, 0.0]])
    student = torch.zeros(1, 3, requires_grad=True)
    optimizer = torch.optim.Adam([student], lr=0.1)
    for _ in range(400):
        optimizer.zero_grad()
        soft_cross_entropy(student, teacher, target).backward()  # type: ignore[arg-type]
        optimizer.step()
    return student.softmax(dim=-1).detach()[0]


def test_where_each_direction_has_its_minimum() -> None:
    """H(teacher, student) is least at the teacher's distribution, the printed form at a one-hot vector."""
    assert torch.allclose(minimise("teacher"), torch.tensor([2.0, 1.0, 0.0]).softmax(-1), atol=1e-3)
    assert minimise("student")[0] > 0.99


def test_unknown_target_is_refused() -> None:
    with pytest.raises(ValueError, match="'teacher' or 'student'"):
        soft_cross_entropy(torch.zeros(1, 2), torch.zeros(1, 2), "both")  # type: ignore[arg-type]


def test_normalised_distance_by_hand() -> None:
    a, b = torch.tensor([[3.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.0, 5.0], [2.0, 0.0]])
    assert normalised_distance(a, b).item() == pytest.approx((2.0 + 0.0) / 2)
    assert normalised_distance(a, -a).item() == pytest.approx(4.0)


def test_gradients() -> None:
    student, teacher = torch.randn(2, 3, dtype=torch.double, requires_grad=True), torch.randn(2, 3).double()
    for target in ("teacher", "student"):
        assert torch.autograd.gradcheck(lambda s, t=target: soft_cross_entropy(s, teacher, t), student)
    assert torch.autograd.gradcheck(lambda s: normalised_distance(s, teacher), student)
