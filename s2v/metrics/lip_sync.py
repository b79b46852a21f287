"""What the protocol reads from SyncNet's embeddings of a clip: its score, and if true speech is preferred."""

import math

import torch
from torch import Tensor

from s2v.metrics.sync_confidence import (
    MIN_FRAMES,
    SyncMode,
    lip_embeddings,
    scores_of_curve,
    shift_distances,
)
from s2v.models.lip_speech_network import LipSpeechNetwork

VSHIFT = 15
"""Furthest shift compared, frames, as in the public evaluation."""

TRUE_WITHIN = 1
"""Shifts up to this many frames count as true: nobody sees 40 ms."""

FALSE_FROM = 5
"""Shifts from here on count as false: 0.2 s is one SyncNet window."""


def still_lips(syncnet: LipSpeechNetwork, frame: Tensor, speech: Tensor, windows: int) -> Tensor:
    """Lip embeddings (W, D) of one frame (3, H, W) uint8 held for W windows: all are the first one's."""
    lips = lip_embeddings(syncnet, frame.expand(MIN_FRAMES, -1, -1, -1), speech)
    return lips[:1].expand(windows, -1)


def pair_with_later_speech(lips: Tensor, heard: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Lip window v beside speech window v + `frames`: (W, D) twice -> (W - frames, D) twice.

    The embeddings of a clip whose speech was shifted, without embedding anything again.
    """
    kept = max(len(lips) - frames, 0)
    return lips[:kept], heard[frames : frames + kept]


def sync_values(lips: Tensor, heard: Tensor, mode: SyncMode = "stock") -> dict[str, float]:
    """SyncNet's values of lip windows (W, D) beside speech windows (W, D), W at least 1.

    `sync_confidence`, `sync_distance` and `sync_offset` (frames) are those of `mode`, the network's `sync_mode`:
    in "stock" those of the public evaluation, which compares windows beyond the clip's ends with zeros; that can
    favour small shifts whatever is said, and among embeddings of length 1 the largest.
    `sync_offset_abs` is the offset without its sign: over clips, early and late must not cancel out. The
    others compare windows that exist on both sides alone in every mode: the same four as
    `sync_..._valid`. `sync_within_one`: is the nearest shift at most one
    frame. `sync_prefers_true`: see `true_is_nearest`; `sync_prefers_true_pairs`: `share_farther_than_true`.
    These three and `sync_offset_abs_valid` are nan where there is no shift of FALSE_FROM frames: among few shifts the
    nearest is a small one whatever is said.
    """
    curve = shift_distances(lips, heard, VSHIFT, "valid_only").cpu()
    valid = scores_of_curve(curve)
    apart = len(_false_distances(curve)) > 0
    own = valid if mode == "valid_only" else scores_of_curve(shift_distances(lips, heard, VSHIFT, mode).cpu())
    return {
        "sync_confidence": own.confidence,
        "sync_distance": own.distance,
        "sync_offset": float(own.offset),
        "sync_offset_abs": float(abs(own.offset)),
        "sync_confidence_valid": valid.confidence,
        "sync_distance_valid": valid.distance,
        "sync_offset_valid": float(valid.offset),
        "sync_offset_abs_valid": float(abs(valid.offset)) if apart else math.nan,
        "sync_within_one": float(abs(valid.offset) <= TRUE_WITHIN) if apart else math.nan,
        "sync_prefers_true": true_is_nearest(curve),
        "sync_prefers_true_pairs": share_farther_than_true(curve),
    }


def true_is_nearest(curve: Tensor) -> float:
    """1 if the nearest shift of up to 1 frame beats EVERY shift of 5 to 15 frames, both ways; else 0.

    Args:
        curve: (2 V + 1,) mean distance for shifts -V..V, nan where a shift has no window.

    Returns:
        nan where a clip is too short for a shift of 5 frames. Unrelated speech gives about 0.1.
    """
    false = _false_distances(curve)
    true = curve[_distances_from_zero(curve) <= TRUE_WITHIN].nan_to_num(nan=math.inf).amin()
    return float(true < false.amin()) if len(false) else math.nan


def share_farther_than_true(curve: Tensor) -> float:
    """Share of the shifts of 5 to 15 frames, both ways, that are farther than no shift at all.

    `curve` and nan as in `true_is_nearest`. Unrelated speech gives about 0.5.
    """
    false = _false_distances(curve)
    return float((curve[len(curve) // 2] < false).double().mean()) if len(false) else math.nan


def _distances_from_zero(curve: Tensor) -> Tensor:
    reach = len(curve) // 2
    return torch.arange(-reach, reach + 1).abs()


def _false_distances(curve: Tensor) -> Tensor:
    false = curve[_distances_from_zero(curve) >= FALSE_FROM]
    return false[~false.isnan()]
