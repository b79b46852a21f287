"""Who is it? Face embeddings of generated clips against those of real ones, made by a judge network."""

import torch
import torch.nn.functional as F
from torch import Tensor

AT_ONCE = 4096
"""Clips whose similarities to all speakers are held: of all clips of VoxCeleb2's test they would take gigabytes."""


def clip_embedding(frame_embeddings: Tensor) -> Tensor:
    """Mean over a clip's frames, L2-normalised: (T, D) -> (D,)."""
    return F.normalize(frame_embeddings.float().mean(dim=0), dim=0)


def identity_cosine(generated: Tensor, real: Tensor) -> Tensor:
    """Cosine of clip embeddings (N, D) with those of the same clips' real frames (N, D): (N,)."""
    return F.cosine_similarity(generated, real, dim=-1)


def sums_of_speakers(real: Tensor, own: Tensor) -> Tensor:
    """Each speaker's sum of embeddings, which points where their mean does.

    Args:
        real: (N, D) embeddings of the clips' real frames.
        own: (N,) int64, who speaks in clip n, each of the S speakers numbered from 0.

    Returns:
        (S, D).
    """
    return real.new_zeros(int(own.max()) + 1, real.shape[1]).index_add(0, own, real)


def identity_ranks(queries: Tensor, real: Tensor, speakers: Tensor) -> Tensor:
    """At which place, by cosine, does each query find its own speaker among all speakers of the gallery?

    The gallery holds a speaker's mean embedding over the real clips, without the query's own clip where the
    speaker has others: a clip must be recognised from other clips of the person. Of speakers that tie with the own
    one, all count as nearer, and a query that is nan comes last. Retrieval at K (R@K, as Speech2Face reports it) is the
    share of ranks up to K.

    Args:
        queries: (N, D) embeddings of generated (or real) clips; query n was made from clip n.
        real: (N, D) embeddings of the clips' real frames, which make up the gallery.
        speakers: (N,) int64, who speaks in clip n.

    Returns:
        (N,) int64, from 1 (nearest) to the number of speakers.
    """
    if len(queries) == 0:
        return torch.zeros(0, dtype=torch.long)
    _, own, counts = speakers.unique(return_inverse=True, return_counts=True)
    sums = sums_of_speakers(real, own)
    gallery = F.normalize(sums, dim=1)
    found = []
    for some in torch.arange(len(queries), device=queries.device).split(AT_ONCE):
        who = own[some]
        own_gallery = torch.where((counts[who] > 1).unsqueeze(1), sums[who] - real[some], sums[who])
        mine = F.cosine_similarity(queries[some], own_gallery, dim=1)
        similarity = F.normalize(queries[some], dim=1) @ gallery.T
        others = similarity.scatter(1, who.unsqueeze(1), float("-inf"))
        # with nan nothing is, the own speaker's -inf neither
        farther = (others < mine.unsqueeze(1)).sum(dim=1)
        found.append((1 + len(gallery) - farther).clamp(max=len(gallery)))
    return torch.cat(found)
