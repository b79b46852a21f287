"""SyncNet's scores over many clips, as a torchmetrics metric; one clip's are `sync_confidence`'s."""

import torch
from einops import rearrange
from torch import Tensor
from torchmetrics import Metric

from s2v.metrics.sync_confidence import SyncMode, scored_windows, sync_mode, sync_scores
from s2v.models.lip_speech_network import LipSpeechNetwork


class SyncConfidence(Metric):
    """Mean confidence, distance and offset without its sign over clips, and how many could be scored.

    `update(frames, speech)` takes one clip, (T, 3, H, W) uint8 at 25 fps and (N,) int16 at 16 kHz, or a batch of
    equally long ones with one more leading dimension; a clip too short for a window is counted in `total` but not in
    `scored`.
    `compute()` is a dict of 0-d tensors; the means are nan when nothing was scored. Without a `mode`, the network's
    own, `sync_mode`.
    """

    full_state_update = False
    scored: Tensor
    total: Tensor
    sums: Tensor

    def __init__(self, syncnet: LipSpeechNetwork, vshift: int = 15, mode: SyncMode | None = None) -> None:
        super().__init__()
        # In a tuple, as the judge is no part of the metric's state: a module that holds this metric does not
        # save SyncNet's weights in its checkpoints; the clips go to where SyncNet is.
        self._judge = (syncnet,)
        self.vshift = vshift
        self.mode: SyncMode = mode or sync_mode(syncnet)
        self.add_state("sums", torch.zeros(3, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("scored", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, frames: Tensor, speech: Tensor) -> None:
        if frames.dim() == 4:
            frames, speech = (
                rearrange(frames, "time channels height width -> 1 time channels height width"),
                rearrange(speech, "samples -> 1 samples"),
            )
        for clip_frames, clip_speech in zip(frames, speech, strict=True):
            self.total += 1
            if scored_windows(len(clip_frames), len(clip_speech)) == 0:
                continue
            scores = sync_scores(self._judge[0], clip_frames, clip_speech, self.vshift, self.mode)
            found = (abs(scores.offset), scores.distance, scores.confidence)
            self.sums += torch.tensor(found, dtype=self.sums.dtype, device=self.sums.device)
            self.scored += 1

    def compute(self) -> dict[str, Tensor]:
        offset_abs, distance, confidence = self.sums / self.scored
        return {
            "sync_confidence": confidence,
            "sync_distance": distance,
            "sync_offset_abs": offset_abs,
            "scored": self.scored,
            "total": self.total,
        }
