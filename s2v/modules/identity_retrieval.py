"""Does a voice find its speaker's face? Rank-1 retrieval over a whole split."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.utilities.distributed import gather_all_tensors

from s2v.metrics.identity import AT_ONCE
from s2v.modules.hyperparameters import PlainHyperparameters
from s2v.modules.shared_validation import SharedValidation


class RetrievesIdentity(PlainHyperparameters, SharedValidation):
    """A module that hears faces in voices: logs `val/` and `test/identity_retrieval` at each epoch's end.

    Over the whole split, since batches of a sorted list have few speakers; and `identity_retrieval_by_speaker`, the
    mean of the speakers' own shares, where some have many clips and others few. Clips whose speaker is unknown are left
    out; nothing is logged where fewer than two speakers are left, since there is no face to mistake for the own.
    """

    def __init__(self) -> None:
        super().__init__()
        self._heard: list[tuple[Tensor, Tensor, Tensor]] = []

    def keep_for_retrieval(self, heard: Tensor, seen: Tensor, speaker: Tensor) -> None:
        """A batch's vectors (B, D) from speech and from faces, and its speakers (B,), -1 for unknown."""
        # a copy: what a loader's worker has sent holds a file descriptor as long as it is kept
        self._heard.append((heard.float(), seen.float(), speaker.clone()))

    def _log_retrieval(self, stage: str) -> None:
        mine = [torch.cat(part) for part in zip(*self._heard, strict=True)]
        self._heard.clear()
        heard, seen, speaker = mine if self._alone else [torch.cat(gather_all_tensors(part)) for part in mine]
        known = speaker >= 0
        heard, seen, speaker = heard[known], seen[known], speaker[known]
        if len(speaker.unique()) < 2:
            return
        right = finds_own_face(heard, seen, speaker).float()
        self.log(f"{stage}/identity_retrieval", right.mean(), prog_bar=True, sync_dist=True)
        by_speaker = torch.stack([right[speaker == name].mean() for name in speaker.unique()])
        self.log(f"{stage}/identity_retrieval_by_speaker", by_speaker.mean(), sync_dist=True)

    def on_validation_epoch_start(self) -> None:
        """An interrupted validation leaves nothing behind."""
        super().on_validation_epoch_start()
        self._heard.clear()

    def on_test_epoch_start(self) -> None:
        """Nor does an interrupted test."""
        self._heard.clear()

    def on_validation_epoch_end(self) -> None:
        """Retrieval needs all clips."""
        super().on_validation_epoch_end()
        self._log_retrieval("val")

    def on_test_epoch_end(self) -> None:
        """Retrieval needs all clips."""
        self._log_retrieval("test")


def finds_own_face(nu: Tensor, nu_target: Tensor, speaker: Tensor) -> Tensor:
    """Whether a voice's nu is nearest, by cosine, to the mean face of its own speaker: (N,) bool.

    Both sides are centred first: what all faces share, and the constant that a softmax does not see, say nothing.

    Args:
        nu: (N, D) from speech.
        nu_target: (N, D) from faces.
        speaker: (N,).
    """
    names, number = speaker.unique(return_inverse=True)
    faces = torch.stack([nu_target[number == k].mean(dim=0) for k in range(len(names))])
    nu, faces = nu - nu.mean(dim=0), faces - faces.mean(dim=0)
    faces = F.normalize(faces, dim=-1).T
    nearest = [(some @ faces).argmax(dim=1) for some in F.normalize(nu, dim=-1).split(AT_ONCE)]
    return torch.cat(nearest) == number
