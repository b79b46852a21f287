"""What the frozen speech encoder says of every window, computed once: stage 1 without CPC's forward passes."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from s2v.errors import InputError
from s2v.generation.first_hearing import RecentLatents
from s2v.generation.portrait import WINDOWS_AT_ONCE, Window
from s2v.models.speech_representation import SpeechRepresentation
from s2v.modules.clip_tensors import ClipTensors, fill, fingerprint

if TYPE_CHECKING:
    from lightning.pytorch import Trainer


class HearingCache(ClipTensors):
    """Of each clip, for the window that begins with each of its frames, omega (S, D) and what a speaker encoder says,
    voice (S, V), if there is one.

    Args:
        folder: where the files lie; made where it is missing.
        encoders: their `fingerprint`, with the windows' length.
    """

    def __init__(self, folder: str, encoders: str) -> None:
        super().__init__(folder, encoders, "last contexts", "context_cache")


@torch.no_grad()
def heard_windows(
    representation: SpeechRepresentation, speech: Tensor, frames: int, window_frames: int
) -> dict[str, Tensor]:
    """Omega, and the speaker encoder's vectors, of each window of a clip, heard alone as in training.

    Neighbouring windows share nearly all of their speech, so that the convolutions, nine tenths of CPC's work, run once
    over the clip, and again only for a window's edges.

    Args:
        representation: in eval mode.
        speech: (N,), of the whole clip.
        frames: that the clip has, F.
        window_frames: of a window, W.

    Returns:
        `omega` (F - W + 1, D) and, with a speaker encoder, `voice` (F - W + 1, V).
    """
    each = len(speech) // frames
    cpc, length = representation.cpc, window_frames * each
    stream = RecentLatents(cpc, len(speech))
    stream.push(cpc.encode(speech.unsqueeze(0)))
    # of a clip shorter than a window, which is never served, one shorter window
    starts = [frame * each for frame in range(max(1, frames - window_frames + 1))]
    heard: dict[str, list[Tensor]] = {}
    for first in range(0, len(starts), WINDOWS_AT_ONCE):
        windows = [Window(at, speech[at : at + length]) for at in starts[first : first + WINDOWS_AT_ONCE]]
        contexts, _ = cpc.summarise(torch.cat([stream.of_window(window) for window in windows]))
        heard.setdefault("omega", []).append(contexts[:, -1])
        voice = representation.voice(torch.stack([window.speech for window in windows]))
        if voice is not None:
            heard.setdefault("voice", []).append(voice)
    return {name: torch.cat(parts) for name, parts in heard.items()}


def filled_hearing_cache(
    folder: str, trainer: "Trainer", representation: SpeechRepresentation, device: torch.device
) -> HearingCache:
    """The cache with what is heard in all training and validation clips.

    Args:
        folder: see `HearingCache`.
        trainer: of the fit, whose data module has the clips.
        representation: on `device`, in eval mode.
        device: where it is.

    Raises:
        InputError: the data module has no windows, changes speech at random, or can't serve whole clips; the folder
            can't be written.
    """
    data: Any = getattr(trainer, "datamodule", None)
    if not hasattr(data, "window_frames"):
        raise InputError("context_cache needs a data module with windows, as those of data_modules have")
    if getattr(data, "speech_augmentation", None) is not None:
        raise InputError(
            "context_cache keeps what is heard in the speech as it is, but data.init_args.speech_augmentation "
            "changes it each time: set that to null, or leave context_cache out"
        )
    encoders: dict[str, nn.Module] = {"cpc": representation.cpc}
    if representation.speaker_encoder is not None:
        encoders["speaker_encoder"] = representation.speaker_encoder
    cache = HearingCache(folder, fingerprint(encoders, [f"windows of {data.window_frames} frames"]))

    def heard(clip: Any) -> dict[str, Tensor]:
        speech = clip["speech"].to(device, next(representation.cpc.parameters()).dtype)
        return heard_windows(representation, speech, len(clip["frames"]), data.window_frames)

    fill(cache, trainer, heard)
    return cache
