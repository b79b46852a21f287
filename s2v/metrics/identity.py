"""Who is it? Face embeddings of generated clips against those of real ones, made by a judge network."""

import torch
import torch.nn.functional as F
from torch import Tensor


def clip_embedding(frame_embeddings: Tensor) -> Tensor:
    """Mean over a clip's frames, L2-normalised: (T, D) -> (D,)."""
    return F.normalize(frame_embeddings.float().mean(dim=0), dim=0)


def identity_cosine(generated: Tensor, real: Tensor) -> Tensor:
    """Cosine of clip embeddings (N, D) with those of the same clips' real frames (N, D): (N,)."""
    return F.cosine_similarity(generated, real, dim=-1)


def rank1_hits(queries: Tensor, real: Tensor, speakers: Tensor) -> Tensor:
    """Is each query nearest, by cosine, to its own speaker among all speakers of the gallery?

    The gallery holds a speaker's mean embedding over the real clips, without the query's own clip where the
    speaker has others: a clip must be recognised from other clips of the person. A tie with another speaker
    is no hit.

    Args:
        queries: (N, D) embeddings of generated (or real) clips; query n was made from clip n.
        real: (N, D) embeddings of the clips' real frames, which make up the gallery.
        speakers: (N,) int64, who speaks in clip n.

    Returns:
        (N,) bool.
    """
    if len(queries) == 0:
        return torch.zeros(0, dtype=torch.bool)
    names, own = speakers.unique(return_inverse=True)
    sums = torch.zeros(len(names), real.shape[1], dtype=real.dtype, device=real.device).index_add(
        0, own, real
    )
    counts = torch.bincount(own, minlength=len(names))
    similarity = F.normalize(queries, dim=1) @ F.normalize(sums, dim=1).T
    has_others = (counts[own] > 1).unsqueeze(1)
    own_gallery = torch.where(has_others, sums[own] - real, sums[own])
    mine = F.cosine_similarity(queries, own_gallery, dim=1)
    others = similarity.scatter(1, own.unsqueeze(1), float("-inf")).amax(dim=1)
    return mine > others
