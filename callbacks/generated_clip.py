"""How callbacks ask a module for a clip."""

from typing import Any, Protocol, cast

import lightning.pytorch as pl
import torch
from torch import Tensor

from s2v.errors import InputError


class GeneratesClips(Protocol):
    """What the LightningModule has to offer."""

    def generate_clip(self, speech: Tensor, num_frames: int, **picture: Tensor) -> Tensor:
        """Speech (N,) on any device -> (num_frames, 3, H, W) uint8.

        A module whose `needs_still` is true is also given `still` (3, H, W) uint8, the clip's first frame.
        """
        ...


def check_generates_clips(callback: pl.Callback, module: pl.LightningModule) -> None:
    """Fail before an epoch has been trained, not after it.

    Raises:
        InputError: the module generates no clips.
    """
    if not hasattr(module, "generate_clip"):
        name = type(callback).__name__
        raise InputError(
            f"{name} needs a module with generate_clip, and {type(module).__name__} has none: remove it"
        )


@torch.no_grad()
def generated_clip(module: pl.LightningModule, speech: Tensor, num_frames: int, still: Tensor) -> Tensor:
    """Frames (num_frames, 3, H, W) uint8 where the module makes them, from speech (N,) and a still (3, H, W) uint8."""
    picture: dict[str, Any] = (
        {"still": still.to(module.device)} if getattr(module, "needs_still", False) else {}
    )
    return cast(GeneratesClips, module).generate_clip(speech.to(module.device), num_frames, **picture)


def compared_part(module: pl.LightningModule, frames: Tensor) -> Tensor:
    """What generated frames are held against, of real ones (..., S, S): all, or the part that `fitted` leaves."""
    fitted = getattr(module, "fitted", None)
    return frames if fitted is None else cast(Tensor, fitted(frames))
