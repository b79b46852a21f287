"""Whose face is it? Ranks among a test's speakers and agreement in gender, once all clips' embeddings are there."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from s2v.evaluation.clip_embeddings import ClipEmbeddings
from s2v.evaluation.clip_rows import GROUND_TRUTH, ClipRow
from s2v.evaluation.row_table import RowTable
from s2v.metrics.gender import gender_agreement, gender_chance
from s2v.metrics.identity import identity_ranks

RANKS = (1, 5, 10)
"""K of `identity_rankK`, as Speech2Face has them; left out where the test has no more than K speakers (but 1)."""


def add_retrieval(rows: RowTable, embeddings: ClipEmbeddings) -> None:
    """Add `identity_rankK` and `gender_agreement` to the rows of clips whose speaker is known.

    Args:
        rows: of all clips and systems, clips in the order of `embeddings`.
        embeddings: L2-normalised; of a clip whose real frames could not be had, none.
    """
    truth = [row for row in rows if row.system == GROUND_TRUTH]
    known = [index for index, row in enumerate(truth) if row.speaker and embeddings[index]]
    if not known:
        return
    real = torch.stack([embeddings[index][GROUND_TRUTH] for index in known])
    speakers, genders = _numbered([truth[index] for index in known])
    ranks = [rank for rank in RANKS if rank == 1 or len(speakers.unique()) > rank]
    indices: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        indices.setdefault(row.system, []).append(index)
    for system, own in indices.items():
        # a clip without a picture of this system asks nothing; its real clip stays in the gallery
        asked = [position for position, index in enumerate(known) if system in embeddings[index]]
        if not asked:
            continue
        queries = real.clone()
        queries[asked] = torch.stack([embeddings[known[position]][system] for position in asked])
        found = identity_ranks(queries, real, speakers)
        agrees = gender_agreement(queries, real, speakers, genders)
        for position in asked:
            row = rows[own[known[position]]]
            row.values |= {f"identity_rank{rank}": float(found[position] <= rank) for rank in ranks}
            if not agrees[position].isnan():
                row.values["gender_agreement"] = float(agrees[position])
            rows[own[known[position]]] = row


def describe_genders(rows: Iterable[ClipRow]) -> dict[str, Any] | None:
    """What stands behind `gender_agreement`; None where no speaker's gender is known.

    Of the ground truth's rows: `speakers`, gender -> how many; `unlabelled` speakers; `clips` that could be asked;
    `chance` that another speaker's face, drawn at random, agrees; `one_gender`, the share of clips on which the
    commoner gender is right. The last two are None where no clip could be asked.
    """
    # clips with an embedding are those that the gallery is made of
    clips = [
        row for row in rows if row.system == GROUND_TRUTH and row.speaker and "identity_cosine" in row.values
    ]
    of_speaker = {row.speaker: row.gender for row in clips}
    labelled = Counter(gender for gender in of_speaker.values() if gender)
    if not labelled:
        return None
    chance = gender_chance(*_numbered(clips))
    asked = ~chance.isnan()
    commonest = Counter(row.gender for row, is_asked in zip(clips, asked, strict=True) if is_asked)
    count = int(asked.sum())
    return {
        "speakers": dict(sorted(labelled.items())),
        "unlabelled": len(of_speaker) - labelled.total(),
        "clips": count,
        "chance": float(chance[asked].mean()) if count else None,
        "one_gender": max(commonest.values()) / count if count else None,
    }


def gender_note(meta: dict[str, Any]) -> str:
    """A report's sentence on its labels; empty where it has none."""
    genders = meta.get("genders")
    if not genders:
        return ""
    counts = " and ".join(f"{count} {gender}" for gender, count in genders["speakers"].items())
    without = f", {genders['unlabelled']} speakers without a label" if genders["unlabelled"] else ""
    if not genders["clips"]:
        return f"gender labels: {counts}{without}; too few of either to ask whose face is nearest"
    return (
        f"gender labels: {counts}{without}; gender_agreement on {genders['clips']} clips, by chance "
        f"{genders['chance']:.3f}, always the commoner gender {genders['one_gender']:.3f}"
    )


def _numbered(clips: list[ClipRow]) -> tuple[Tensor, Tensor]:
    """Speakers and genders as numbers, (N,) int64 each; -1 for no gender."""
    names = {name: number for number, name in enumerate(sorted({row.speaker for row in clips}))}
    labels = {label: number for number, label in enumerate(sorted({row.gender for row in clips} - {""}))}
    speakers = torch.tensor([names[row.speaker] for row in clips])
    genders = torch.tensor([labels.get(row.gender, -1) for row in clips])
    return speakers, genders
