"""Macro-F1 against hand-computed values and torchmetrics."""

import math

import pytest
import torch
from torchmetrics.functional.classification import multiclass_confusion_matrix, multiclass_f1_score

from s2v.metrics.emotion import canonical_emotion, clip_emotion, confusion_matrix, macro_f1


def test_macro_f1_by_hand() -> None:
    true = torch.tensor([0, 0, 0, 1, 1, 2])
    predicted = torch.tensor([0, 0, 1, 1, 0, 2])
    confusion = confusion_matrix(predicted, true, 3)
    assert confusion.tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 1]]
    # F1 = 2 hits / (true + predicted): 4/6, 2/4, 2/2
    assert macro_f1(confusion).item() == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)


def test_macro_f1_equals_torchmetrics() -> None:
    generator = torch.Generator().manual_seed(0)
    for classes in (2, 4, 8):
        true = torch.randint(0, classes, (30,), generator=generator)
        predicted = torch.randint(0, classes, (30,), generator=generator)
        confusion = confusion_matrix(predicted, true, classes)
        assert torch.equal(confusion, multiclass_confusion_matrix(predicted, true, classes))
        each = multiclass_f1_score(predicted, true, classes, average="none")
        assert macro_f1(confusion).item() == pytest.approx(each[true.unique()].mean().item())


def test_a_class_that_is_only_predicted_is_no_class_to_be_right_about() -> None:
    """Six emotions of 100 clips each, all seen right but one clip, in which a judge of eight sees a seventh."""
    confusion = torch.diag(torch.tensor([100, 100, 100, 100, 100, 100, 0, 0]))
    confusion[0, 0], confusion[0, 6] = 99, 1
    assert macro_f1(confusion).item() == pytest.approx((198 / 199 + 5) / 6)


def test_absent_classes_do_not_count_and_nothing_is_nan() -> None:
    confusion = torch.tensor([[3, 0, 0], [0, 1, 0], [0, 0, 0]])
    assert macro_f1(confusion).item() == 1.0
    assert math.isnan(macro_f1(torch.zeros(3, 3, dtype=torch.long)).item())
    assert macro_f1(confusion_matrix(torch.tensor([0]), torch.tensor([0]), 1)).item() == 1.0
    empty = torch.zeros(0, dtype=torch.long)
    assert confusion_matrix(empty, empty, 2).tolist() == [[0, 0], [0, 0]]


def test_macro_f1_of_many_matrices_at_once() -> None:
    many = torch.tensor([[[2, 0], [0, 2]], [[0, 2], [2, 0]], [[1, 1], [1, 1]]])
    assert macro_f1(many).tolist() == [1.0, 0.0, 0.5]


def test_clip_emotion_averages_probabilities_not_logits() -> None:
    # one frame shouts for class 0, two frames are fairly sure of class 1
    logits = torch.tensor([[50.0, 0.0], [0.0, 2.0], [0.0, 2.0]])
    assert logits.mean(dim=0).argmax() == 0
    assert clip_emotion(logits) == 1


@pytest.mark.parametrize(
    ("name", "canonical"),
    [("HAP", "happiness"), ("Happy", "happiness"), ("anger", "anger"), ("angry", "anger"), ("FEA", "fear"),
     ("NEU", "neutral"), (" sad ", "sadness"), ("Boredom", "boredom"), ("", "")],
)  # fmt: skip
def test_spellings(name: str, canonical: str) -> None:
    assert canonical_emotion(name) == canonical
