"""Cosine and retrieval by hand."""

import math

import pytest
import torch

from s2v.metrics.gender import gender_agreement
from s2v.metrics.identity import clip_embedding, identity_cosine, identity_ranks


def on_circle(*degrees: float) -> torch.Tensor:
    """Unit vectors (N, 2) at these angles."""
    angles = torch.tensor(degrees).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_clip_embedding_is_the_normalised_mean() -> None:
    frames = torch.tensor([[3.0, 0.0], [3.0, 8.0]])  # mean (3, 4)
    assert clip_embedding(frames).tolist() == pytest.approx([0.6, 0.8])


def test_cosine_is_of_pairs() -> None:
    values = identity_cosine(on_circle(0, 0, 0), on_circle(0, 60, 180))
    assert values.tolist() == pytest.approx([1.0, 0.5, -1.0], abs=1e-6)


def test_retrieval_by_hand() -> None:
    speakers = torch.tensor([7, 7, 3, 3])
    real = on_circle(0, 20, 90, 110)
    # Speaker 3's gallery lies at 100 (90 or 110 for its own clips), speaker 7's at 10 (20 or 0 for its own).
    assert identity_ranks(real, real, speakers).tolist() == [1] * 4
    # Query 0 (gallery 20 against 100) turns at 60, query 1 (0 against 100) at 50.
    assert identity_ranks(on_circle(59, 49, 100, 100), real, speakers).tolist() == [1, 1, 1, 1]
    assert identity_ranks(on_circle(61, 51, 100, 100), real, speakers).tolist() == [2, 2, 1, 1]


def test_own_clip_is_left_out() -> None:
    """Clip 0 shows speaker 0 looking like speaker 1: only its own picture, at no distance, would find it."""
    speakers = torch.tensor([0, 0, 1])
    real = on_circle(80, 0, 90)
    assert identity_ranks(real, real, speakers).tolist() == [2, 1, 1]


def test_a_speaker_with_one_clip_keeps_it() -> None:
    real = on_circle(0, 90)
    assert identity_ranks(real, real, torch.tensor([0, 1])).tolist() == [1, 1]
    assert identity_ranks(on_circle(80, 10), real, torch.tensor([0, 1])).tolist() == [2, 2]


def test_one_face_for_all_is_hardly_ever_right() -> None:
    """A system that always makes speaker 0's face is right for speaker 0 alone."""
    speakers = torch.arange(4).repeat_interleave(3)
    real = on_circle(*(90.0 * int(s) + wobble for s, wobble in zip(speakers, [0, 4, 8] * 4, strict=True)))
    always_first = on_circle(4).expand(12, -1)
    ranks = identity_ranks(always_first, real, speakers)
    assert [(ranks <= most).float().mean().item() for most in (1, 4)] == [0.25, 1.0]


def test_ties_count_as_nearer() -> None:
    real = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert identity_ranks(real, real, torch.tensor([0, 1])).tolist() == [2, 2]


def test_nan_is_recognised_as_nobody() -> None:
    queries = torch.stack([torch.full((2,), torch.nan), on_circle(0)[0]])
    assert identity_ranks(queries, on_circle(0, 0), torch.tensor([0, 0])).tolist() == [
        1,
        1,
    ]  # nobody else is there
    speakers = torch.tensor([0, 1, 2])
    queries = torch.cat([queries, on_circle(120)])
    assert identity_ranks(queries, on_circle(0, 60, 120), speakers).tolist() == [3, 2, 1]


def test_scale_of_embeddings_does_not_matter() -> None:
    generator = torch.Generator().manual_seed(0)
    speakers = torch.arange(5).repeat(4)
    real = torch.nn.functional.normalize(torch.randn(20, 8, generator=generator), dim=1)
    queries = torch.randn(20, 8, generator=generator)
    assert torch.equal(identity_ranks(queries, real, speakers), identity_ranks(queries * 1e3, real, speakers))
    one_by_one = []
    for n in range(20):
        gallery = []
        for s in range(5):
            members = [real[m] for m in range(20) if speakers[m] == s and m != n]
            gallery.append(torch.stack(members).mean(dim=0))
        similarity = [torch.cosine_similarity(queries[n], face, dim=0).item() for face in gallery]
        one_by_one.append(1 + sorted(similarity, reverse=True).index(similarity[int(speakers[n])]))
    assert identity_ranks(queries, real, speakers).tolist() == one_by_one
    assert set(one_by_one) == {1, 2, 3, 4, 5}


def test_no_queries() -> None:
    assert identity_ranks(torch.zeros(0, 4), torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)).shape == (
        0,
    )
    assert not math.isnan(identity_cosine(torch.zeros(1, 4), torch.ones(1, 4)).item())


def test_many_clips_are_ranked_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same result, for gender too."""
    draw = torch.Generator().manual_seed(0)
    real, queries = torch.randn(50, 4, generator=draw), torch.randn(50, 4, generator=draw)
    speakers = torch.arange(50) % 9
    genders = torch.tensor([0, 1, 1, 0, -1, 0, 1, 0, 0])[speakers]
    whole = identity_ranks(queries, real, speakers), gender_agreement(queries, real, speakers, genders)
    monkeypatch.setattr("s2v.metrics.identity.AT_ONCE", 7)
    monkeypatch.setattr("s2v.metrics.gender.AT_ONCE", 7)
    parts = identity_ranks(queries, real, speakers), gender_agreement(queries, real, speakers, genders)
    assert torch.equal(whole[0], parts[0]) and whole[0].unique().numel() > 5
    torch.testing.assert_close(whole[1], parts[1], equal_nan=True, rtol=0, atol=0)
