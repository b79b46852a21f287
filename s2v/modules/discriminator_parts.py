"""What discriminators offer beside `forward`, so that a step looks at no picture twice with the same weights."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from torch import Tensor, nn


def sync_parts(
    network: nn.Module,
) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]:
    """D_sync's `embed_frames` and `score_pairs`; for a network without them the frames as they are, and its `forward`.

    Either way the first takes frames (B, T, 3, S, S) to something (B, T, ...), and the second contexts (B, T, D) and
    that to scores (B, T).
    """
    if _stand_for(network, ("embed_frames", "score_pairs"), ("forward",)):
        parts = cast(Any, network)
        return parts.embed_frames, parts.score_pairs
    return _as_they_are, network


def scores_of_maps(network: nn.Module) -> Callable[[Sequence[Tensor]], Tensor] | None:
    """D_fr's `score_maps`, which makes of its `feature_maps` what `forward` makes of the frames; None without it."""
    if _stand_for(network, ("score_maps",), ("forward", "feature_maps")):
        return cast(Any, network).score_maps
    return None


def _as_they_are(frames: Tensor) -> Tensor:
    return frames


def _stand_for(network: nn.Module, parts: Sequence[str], wholes: Sequence[str]) -> bool:
    """Whether the parts come from the class that the wholes come from, or from one below.

    A subclass with a `forward` of its own inherits the parts, which would be another network's.
    """
    classes = type(network).__mro__

    def place(name: str) -> int:
        return next((index for index, kind in enumerate(classes) if name in vars(kind)), len(classes))

    return max(map(place, parts)) <= min(map(place, wholes))
