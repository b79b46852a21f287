"""Does a voice find its speaker's face? Rank-1 retrieval over a whole split."""

import torch
import torch.nn.functional as F
from torch import Tensor

from s2v.modules.hyperparameters import PlainHyperparameters


class RetrievesIdentity(PlainHyperparameters):
    """A module that hears faces in voices: logs `val/` and `test/identity_retrieval` at each epoch's end.

    Over the whole split, since batches of a sorted list have few speakers.
    """

    def __init__(self) -> None:
        super().__init__()
        self._heard: list[tuple[Tensor, Tensor, Tensor]] = []

    def keep_for_retrieval(self, heard: Tensor, seen: Tensor, speaker: Tensor) -> None:
        """A batch's vectors (B, D) from speech and from faces, and its speakers (B,)."""
        self._heard.append((heard.float(), seen.float(), speaker))

    def _log_retrieval(self, stage: str) -> None:
        heard, seen, speaker = (torch.cat(part) for part in zip(*self._heard, strict=True))
        self._heard.clear()
        self.log(f"{stage}/identity_retrieval", identity_retrieval(heard, seen, speaker), prog_bar=True)

    def on_validation_epoch_end(self) -> None:
        """Retrieval needs all clips."""
        self._log_retrieval("val")

    def on_test_epoch_end(self) -> None:
        """Retrieval needs all clips."""
        self._log_retrieval("test")


def identity_retrieval(nu: Tensor, nu_target: Tensor, speaker: Tensor) -> Tensor:
    """Share of voices whose nu is nearest, by cosine, to the mean face of their own speaker.

    Both sides are centred first: what all faces share, and the constant that a softmax does not see, say nothing.

    Args:
        nu: (N, D) from speech.
        nu_target: (N, D) from faces.
        speaker: (N,).
    """
    names, number = speaker.unique(return_inverse=True)
    faces = torch.stack([nu_target[number == k].mean(dim=0) for k in range(len(names))])
    nu, faces = nu - nu.mean(dim=0), faces - faces.mean(dim=0)
    similarity = F.normalize(nu, dim=-1) @ F.normalize(faces, dim=-1).T
    return (similarity.argmax(dim=1) == number).float().mean()
