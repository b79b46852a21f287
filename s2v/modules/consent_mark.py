"""Carries the list of speakers who did not agree from a checkpoint to whatever is trained on its networks."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from s2v.batch import WITHOUT_CONSENT


def unasked_in(checkpoint: Mapping[str, Any]) -> set[str]:
    """The speakers whom any part of a checkpoint names: its data, or what its networks had learned from before."""
    parts = [part for part in checkpoint.values() if isinstance(part, dict)]
    return {str(speaker) for part in parts for speaker in part.get(WITHOUT_CONSENT, [])}


def mark_unasked(network: nn.Module, checkpoint: Mapping[str, Any]) -> None:
    """Keep on a network what the checkpoint says that its weights, or its teaching, come from."""
    own: set[str] = getattr(network, WITHOUT_CONSENT, set())
    setattr(network, WITHOUT_CONSENT, own | unasked_in(checkpoint))


def unasked_of(network: nn.Module) -> list[str]:
    """The speakers whom the marks of a network and of all its parts name, teachers among them, sorted."""
    marks: list[set[str]] = [getattr(part, WITHOUT_CONSENT, set()) for part in network.modules()]
    return sorted(set().union(*marks))
