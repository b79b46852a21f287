"""Contrastive losses of what the two stages stand on: InfoNCE for CPC, multi-way matching for SyncNet."""

import torch
import torch.nn.functional as F
from torch import Tensor


def info_nce(
    predictions: Tensor,
    positives: Tensor,
    negatives: Tensor,
    temperature: float = 0.1,
    own: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """InfoNCE (van den Oord et al. 2018): tell the true future latent from negatives.

    Scored by cosine over a temperature, as wav2vec 2.0 does: the inner product of the first CPC stays at its
    chance level for thousands of steps, because all latents begin with one large common direction.

    Args:
        predictions: (N, D) predicted latents.
        positives: (N, D) the true latents.
        negatives: (M, D) latents from other places, shared by all predictions.
        temperature: divides the cosines.
        own: (N, M), which of the negatives are the prediction's own true latent: these are left out.

    Returns:
        The mean cross-entropy in nats (log(M + 1) is chance) and the share of predictions whose positive
        scores above every negative.
    """
    predictions = F.normalize(predictions, dim=-1) / temperature
    positive = (predictions * F.normalize(positives, dim=-1)).sum(dim=-1, keepdim=True)
    negative = predictions @ F.normalize(negatives, dim=-1).T
    if own is not None:
        negative = negative.masked_fill(own, -torch.inf)
    logits = torch.cat([positive, negative], dim=-1)
    labels = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
    accuracy = (positive > negative.amax(dim=-1, keepdim=True)).float().mean()
    return F.cross_entropy(logits, labels), accuracy


def multi_way_matching(lips: Tensor, speech: Tensor, scale: Tensor | float = 1.0) -> Tensor:
    """Cross-entropy of each lip window against all speech windows of its own clip, and the other way round.

    Negatives are the same voice and the same face at other times, so that neither can be told by its speaker;
    the pairwise contrastive loss of the first SyncNet sits at its chance level for long where this one moves.

    Args:
        lips: (B, P, D) embeddings of P lip windows of each clip.
        speech: (B, P, D) embeddings of the speech at the same times.
        scale: inverse temperature of the negative squared distance.

    Returns:
        The mean of both directions, a scalar in nats; log(P) is chance.
    """
    logits = -scale * torch.cdist(lips.float(), speech.float()).square()
    labels = torch.arange(lips.shape[1], device=lips.device).expand(lips.shape[0], -1).flatten()
    by_speech = F.cross_entropy(logits.flatten(0, 1), labels)
    by_lips = F.cross_entropy(logits.transpose(1, 2).flatten(0, 1), labels)
    return 0.5 * (by_speech + by_lips)
