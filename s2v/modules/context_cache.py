"""A cache of the frozen speech networks' outputs for every window: CPC contexts, speaker vectors, nu and mu."""

from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from s2v.batch import TalkingFaceBatch
from s2v.errors import InputError
from s2v.models.speech_representation import SpeechRepresentation, contexts_at
from s2v.modules.clip_tensors import ClipTensors, check_serves_clips, fill, fingerprint
from s2v.speech.first_hearing import RecentLatents
from s2v.speech.portrait import WINDOWS_AT_ONCE, Window

if TYPE_CHECKING:
    from lightning.pytorch import Trainer


class Telling(Protocol):
    """What is kept of windows: `for_students` or `for_frames`."""

    def __call__(
        self, representation: SpeechRepresentation, contexts: Tensor, windows: Tensor, times: Tensor
    ) -> dict[str, Tensor]:
        """By name, tensors (B, ...).

        Args:
            representation: in eval mode.
            contexts: (B, L, D), of the windows.
            windows: (B, N), their speech.
            times: (W,), the centres of a window's frames, seconds from its beginning.
        """


def for_students(
    representation: SpeechRepresentation, contexts: Tensor, windows: Tensor, times: Tensor
) -> dict[str, Tensor]:
    """What stage 1's students read: `omega` (B, D) and, with a speaker encoder, `voice` (B, V). See `Telling`."""
    voice = representation.voice(windows)
    return {"omega": representation.cpc.omega(contexts)} | ({} if voice is None else {"voice": voice})


def for_frames(
    representation: SpeechRepresentation, contexts: Tensor, windows: Tensor, times: Tensor
) -> dict[str, Tensor]:
    """What stage 2 is trained on: `contexts` (B, W, D) of all frames, `nu` (B, I), `mu` (B, E). See `Telling`."""
    nu, mu = representation.students(representation.cpc.omega(contexts), representation.voice(windows))
    return {"contexts": contexts_at(contexts, times.expand(len(contexts), -1)), "nu": nu, "mu": mu}


@torch.no_grad()
def heard_windows(
    representation: SpeechRepresentation,
    speech: Tensor,
    frames: int,
    window_frames: int,
    tell: Telling,
    times: Tensor,
) -> dict[str, Tensor]:
    """What is told of each window of a clip, heard alone as in training.

    Neighbouring windows share nearly all of their speech, so that the convolutions, nine tenths of CPC's work, run once
    over the clip, and again only for a window's edges.

    Args:
        representation: in eval mode.
        speech: (N,), of the whole clip.
        frames: that the clip has, F.
        window_frames: of a window, W.
        tell: what is kept of them.
        times: (F,), the centres of the clip's frames, seconds.

    Returns:
        By name, tensors (F - W + 1, ...).
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
        contexts = cpc.contexts_of(torch.cat([stream.of_window(window) for window in windows]))
        sounds = torch.stack([window.speech for window in windows])
        for name, told in tell(representation, contexts, sounds, times[:window_frames]).items():
            heard.setdefault(name, []).append(told)
    return {name: torch.cat(parts) for name, parts in heard.items()}


def check_heard_as_it_is(data: Any) -> None:
    """What is kept of windows is of speech as it is.

    Raises:
        InputError: the data module has no windows, can't serve whole clips, or changes speech at random.
    """
    if not hasattr(data, "window_frames"):
        raise InputError("context_cache needs a data module with windows, as those of data_modules have")
    check_serves_clips(data, "context_cache")
    if getattr(data, "speech_augmentation", None) is not None:
        raise InputError(
            "context_cache keeps what is heard in the speech as it is, but data.init_args.speech_augmentation "
            "changes it each time: set that to null, or leave context_cache out"
        )


def filled_context_cache(
    folder: str,
    trainer: "Trainer",
    representation: SpeechRepresentation,
    networks: dict[str, nn.Module],
    tell: Telling,
    device: torch.device,
) -> ClipTensors:
    """The cache with what is told of all windows of all training and validation clips.

    Args:
        folder: where the files lie; made where it is missing.
        trainer: of the fit, whose data module has the clips (`check_heard_as_it_is`).
        representation: on `device`, in eval mode.
        networks: those of its networks that are asked, whose weights name the files.
        tell: what is kept of a window.
        device: where the networks are.

    Raises:
        InputError: the folder can't be written.
    """
    data: Any = getattr(trainer, "datamodule", None)
    window = data.window_frames
    cache = ClipTensors(
        folder, fingerprint(networks, [f"windows of {window} frames"]), "contexts", "context_cache"
    )

    def heard(clip: Any) -> dict[str, Tensor]:
        speech = clip["speech"].to(device, next(representation.cpc.parameters()).dtype)
        times = clip["frame_times"].to(device)
        return heard_windows(representation, speech, len(clip["frames"]), window, tell, times)

    fill(cache, trainer, heard)
    return cache


def heard_by_students(
    cache: ClipTensors, batch: TalkingFaceBatch, has_voice: bool
) -> tuple[Tensor, Tensor | None] | None:
    """omega (B, D) and, if `has_voice`, voice (B, V) of a batch's windows, as a cache of `for_students` has them.

    None where it was not filled with a clip of the batch.
    """
    if not all(map(cache.knows, batch["clip_id"])):
        return None
    windows = zip(batch["clip_id"], batch["start"].tolist(), strict=True)
    names = ["omega", "voice"] if has_voice else ["omega"]
    read = [cache.read(clip_id, **dict.fromkeys(names, start)) for clip_id, start in windows]
    omega, *voice = (torch.stack(vectors).to(batch["speech"]) for vectors in zip(*read, strict=True))
    return omega, voice[0] if voice else None


def heard_frames(
    cache: ClipTensors, batch: TalkingFaceBatch, fps: float
) -> tuple[Tensor, Tensor, Tensor] | None:
    """C (B, T, D), nu (B, I) and mu (B, E) of a batch's windows, as a cache of `for_frames` has them.

    None where it was not filled with a clip of the batch.
    """
    if not all(map(cache.knows, batch["clip_id"])):
        return None
    windows = zip(batch["clip_id"], batch["start"].tolist(), strict=True)
    read = [cache.read(clip_id, contexts=start, nu=start, mu=start) for clip_id, start in windows]
    contexts, nu, mu = (torch.stack(tensors).to(batch["speech"]) for tensors in zip(*read, strict=True))
    numbers = (batch["frame_times"] * fps).floor().long()
    return contexts.take_along_dim(numbers.unsqueeze(2), dim=1), nu, mu
