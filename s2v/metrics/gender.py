"""Does a generated face look like someone of the speaker's gender? Asked of other people's real faces.

Speech2Face (Oh et al. 2019) and this paper's Fig. 4 say of unobserved persons that gender is kept where the face is
not; here the judge's embedding says it, since the speaker's own face is left out.
"""

import torch
from torch import Tensor

from s2v.metrics.identity import similarity_to_speakers


def gender_agreement(queries: Tensor, real: Tensor, speakers: Tensor, genders: Tensor) -> Tensor:
    """Is the nearest face among the OTHER labelled speakers, by cosine, of the speaker's gender?

    A speaker's face is the mean embedding of their real clips. A tie between genders is no agreement.

    Args:
        queries: (N, D) embeddings of generated (or real) clips; query n was made from clip n.
        real: (N, D) embeddings of the clips' real frames.
        speakers: (N,) int64, who speaks in clip n.
        genders: (N,) int64, the gender of clip n's speaker; -1 where it is not known.

    Returns:
        (N,) 1 or 0; nan where the speaker has no label, or the others are not of both genders: then either answer
        would be certain.
    """
    if len(queries) == 0:
        return torch.zeros(0, dtype=torch.float64)
    same, different = _others(speakers, genders)
    similarity, _ = similarity_to_speakers(queries, real, speakers)
    nearest = [similarity.masked_fill(~mask, -torch.inf).amax(dim=1) for mask in (same, different)]
    return torch.where(_is_asked(same, different), (nearest[0] > nearest[1]).double(), torch.nan)


def gender_chance(speakers: Tensor, genders: Tensor) -> Tensor:
    """How likely a face drawn from the other labelled speakers is of the speaker's gender: (N,), nan as above."""
    same, different = _others(speakers, genders)
    likely = same.sum(dim=1) / (same | different).sum(dim=1)
    return torch.where(_is_asked(same, different), likely.double(), torch.nan)


def _others(speakers: Tensor, genders: Tensor) -> tuple[Tensor, Tensor]:
    """Which of the S speakers, sorted, are others of the same gender, and which of another: (N, S) bool each."""
    names, own = speakers.unique(return_inverse=True)
    of_speaker = torch.full_like(names, -1).scatter(0, own, genders)
    others = own[:, None] != torch.arange(len(names), device=own.device)
    known = others & (of_speaker >= 0) & (genders >= 0)[:, None]
    alike = of_speaker == genders[:, None]
    return known & alike, known & ~alike


def _is_asked(same: Tensor, different: Tensor) -> Tensor:
    return same.any(dim=1) & different.any(dim=1)
