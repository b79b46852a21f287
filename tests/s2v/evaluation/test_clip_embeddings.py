"""Embeddings come back as they were put in; a tensor of two systems is kept once."""

import torch

from s2v.evaluation.clip_embeddings import ClipEmbeddings


def test_embeddings_come_back() -> None:
    given: list[dict[str, torch.Tensor]] = [
        {"truth": torch.randn(5), "ours": torch.randn(5)},
        {},
        {"truth": torch.randn(5)},
        {"ours": torch.randn(6)[1:], "truth": torch.randn(5, dtype=torch.float64).float()},
        {},
    ]
    kept = ClipEmbeddings()
    for embeddings in given:
        kept.append(embeddings)
    for clip, embeddings in enumerate(given):
        assert list(kept[clip]) == list(embeddings)
        assert all(torch.equal(kept[clip][name], value) for name, value in embeddings.items())


def test_a_shared_tensor_is_kept_once() -> None:
    kept, truth = ClipEmbeddings(), torch.randn(4)
    kept.append({"truth": truth, "ours": torch.zeros(4), "shifted": truth, "swapped": truth})
    assert len(kept._floats) == 8
    assert torch.equal(kept[0]["swapped"], truth) and torch.equal(kept[0]["ours"], torch.zeros(4))
