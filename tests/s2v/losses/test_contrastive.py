"""InfoNCE and multi-way matching against numbers worked out by hand."""

import math

import pytest
import torch

from s2v.losses.contrastive import info_nce, multi_way_matching


def test_info_nce_by_hand() -> None:
    predictions = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    positives = torch.tensor([[2.0, 0.0, 0.0, 0.0]])
    negatives = torch.tensor([[0.0, 3.0, 0.0, 0.0]]).expand(3, 4)
    loss, accuracy = info_nce(predictions, positives, negatives, temperature=1.0)
    # cosines 1 and 0: logits (1, 0, 0, 0)
    assert loss.item() == pytest.approx(-math.log(math.e / (math.e + 3)))
    assert accuracy.item() == 1


def test_info_nce_chance_is_log_of_the_choices() -> None:
    loss, accuracy = info_nce(torch.zeros(5, 4), torch.randn(5, 4), torch.randn(9, 4))
    assert loss.item() == pytest.approx(math.log(10))
    assert accuracy.item() == 0


def test_info_nce_leaves_out_the_positive_among_the_negatives() -> None:
    """Two predictions, each with the other's latent and its own among the negatives: one other is left to each."""
    latents = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    loss, accuracy = info_nce(latents, latents, latents, temperature=1.0, own=torch.eye(2, dtype=torch.bool))
    # cosines 1 and 0: logits (1, 0)
    assert loss.item() == pytest.approx(-math.log(math.e / (math.e + 1)))
    assert accuracy.item() == 1


def test_matching_by_hand() -> None:
    """Two windows, at distance 0 from their own speech and 1 from the other's: logits 0 and -1."""
    embeddings = torch.tensor([[[0.0], [1.0]]])
    expected = -math.log(1 / (1 + math.exp(-1)))
    assert multi_way_matching(embeddings, embeddings).item() == pytest.approx(expected)
    assert multi_way_matching(embeddings, embeddings, 2.0).item() == pytest.approx(
        -math.log(1 / (1 + math.exp(-2)))
    )


def test_matching_asks_both_ways_by_squared_distances() -> None:
    """Lips at 0 and 1, speech at 0 and 3: squares 0 and 9 from the first lips, 1 and 4 from the second."""
    loss = multi_way_matching(torch.tensor([[[0.0], [1.0]]]), torch.tensor([[[0.0], [3.0]]]))
    of_lips = [math.log(1 + math.exp(0 - 9)), math.log(1 + math.exp(4 - 1))]
    of_speech = [math.log(1 + math.exp(0 - 1)), math.log(1 + math.exp(4 - 9))]
    assert loss.item() == pytest.approx(sum(of_lips + of_speech) / 4)


def test_matching_chance_and_other_clips_do_not_matter() -> None:
    assert multi_way_matching(torch.zeros(2, 7, 3), torch.zeros(2, 7, 3)).item() == pytest.approx(math.log(7))
    lips, speech = torch.randn(2, 5, 4), torch.randn(2, 5, 4)
    apart = (multi_way_matching(lips[:1], speech[:1]) + multi_way_matching(lips[1:], speech[1:])) / 2
    assert multi_way_matching(lips, speech).item() == pytest.approx(apart.item(), rel=1e-5)


def test_gradients() -> None:
    p = torch.randn(3, 4, dtype=torch.double, requires_grad=True)
    others = torch.randn(3, 4).double(), torch.randn(5, 4).double()
    assert torch.autograd.gradcheck(lambda x: info_nce(x, *others)[0], p)
