"""Does a generated face look like someone of the speaker's gender? Asked of other people's real faces.

Speech2Face (Oh et al. 2019) and this paper's Fig. 4 say of unobserved persons that gender is kept where the face is
not; here the judge's embedding says it, since the speaker's own face is left out.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from s2v.metrics.identity import AT_ONCE, sums_of_speakers


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
    _, own = speakers.unique(return_inverse=True)
    of_speaker = _genders_of_speakers(own, genders)
    gallery = F.normalize(sums_of_speakers(real, own), dim=1)
    agrees = []
    for some in torch.arange(len(queries), device=queries.device).split(AT_ONCE):
        similarity = F.normalize(queries[some], dim=1) @ gallery.T
        similarity.scatter_(1, own[some].unsqueeze(1), -torch.inf)
        alike = of_speaker == genders[some].unsqueeze(1)
        nearest = [
            similarity.masked_fill(mask, -torch.inf).amax(dim=1)
            for mask in (~alike, alike | (of_speaker < 0))
        ]
        agrees.append((nearest[0] > nearest[1]).double())
    same, different = _others(own, genders)
    return torch.where((same > 0) & (different > 0), torch.cat(agrees), torch.nan)


def gender_chance(speakers: Tensor, genders: Tensor) -> Tensor:
    """How likely a face drawn from the other labelled speakers is of the speaker's gender: (N,), nan as above."""
    same, different = _others(speakers.unique(return_inverse=True)[1], genders)
    return torch.where((same > 0) & (different > 0), same.double() / (same + different), torch.nan)


def _genders_of_speakers(own: Tensor, genders: Tensor) -> Tensor:
    """(S,) from each clip's speaker, numbered from 0, and their gender, (N,) both."""
    return genders.new_full((int(own.max()) + 1,), -1).scatter(0, own, genders)


def _others(own: Tensor, genders: Tensor) -> tuple[Tensor, Tensor]:
    """Of clip n's speaker, how many others are of the same gender, and of another: (N,) each, 0 without a label."""
    of_speaker = _genders_of_speakers(own, genders)
    labelled = of_speaker[of_speaker >= 0]
    alike = torch.bincount(labelled, minlength=1)[genders.clamp(min=0)]
    known = genders >= 0
    return torch.where(known, alike - 1, 0), torch.where(known, len(labelled) - alike, 0)
