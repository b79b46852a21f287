"""What SDFA's sync discriminator is shown: five frames in a row and 0.2 s of speech, true or of another instant."""

from dataclasses import dataclass

import torch
from torch import Tensor

from s2v.batch import FPS
from s2v.errors import InputError
from s2v.models.sdfa_discriminators import SYNC_FRAMES
from s2v.models.sdfa_speech import frame_windows


@dataclass
class SpeechPairs:
    """What the sync discriminator hears.

    Attributes:
        start: of the five frames, among those served.
        speech: (B, 10000), around the middle one of the five.
        other_speech: (B, 10000), of another instant.
    """

    start: int
    speech: Tensor
    other_speech: Tensor


def draw_pairs(speech: Tensor, numbers: Tensor) -> SpeechPairs:
    """Five frames at random, the speech around them, and speech of another instant of the same clip.

    Args:
        speech: (B, N), of the windows.
        numbers: (B, T), of the frames that are served, consecutive, counted from the window's first.
    """
    windows = frame_windows(speech)
    start = int(torch.randint(numbers.shape[1] - SYNC_FRAMES + 1, ()))
    middle = numbers[:, start] + SYNC_FRAMES // 2
    shift = torch.randint(1, windows.shape[1], (len(speech),), device=speech.device)
    clips = torch.arange(len(speech), device=speech.device)
    return SpeechPairs(start, windows[clips, middle], windows[clips, (middle + shift) % windows.shape[1]])


def frame_numbers(times: Tensor) -> Tensor:
    """Centre times in seconds -> int64 numbers of the frames, counted from the window's first."""
    return (times * FPS - 0.5).round().long()


def check_consecutive(numbers: Tensor) -> None:
    """The sync discriminator needs five frames in a row.

    Raises:
        InputError: fewer are served, or with gaps.
    """
    if numbers.shape[1] < SYNC_FRAMES or bool((numbers.diff(dim=1) != 1).any()):
        raise InputError(
            f"SDFA's sync discriminator sees {SYNC_FRAMES} frames in a row, the data serves {numbers.shape[1]}, "
            f"some with gaps: set data.init_args.num_frames to {SYNC_FRAMES} at least and frame_step to 1"
        )
