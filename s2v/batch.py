"""What data modules serve and LightningModules receive: the batch contract, with shapes and units."""

from typing import TypedDict

from torch import Tensor

SAMPLE_RATE = 16_000
"""Speech samples per second, everywhere after decoding."""

LOUDEST = 16.0
"""Times full scale: what float samples may reach, far above any overshoot, and far below integers written as floats."""

FPS = 25
"""Stored video frames per second: the rate of VoxCeleb2 and of SyncNet."""

SAMPLES_PER_FRAME = SAMPLE_RATE // FPS
"""640 speech samples pass while one stored frame is shown."""

WITHOUT_CONSENT = "speakers_without_consent"
"""Under this name a data module's part of a checkpoint lists who had not agreed to be trained on: speakers, and clips
whose speaker is unknown."""


class TalkingFaceBatch(TypedDict):
    """Windows of talking-face clips.

    A window's speech (`window_frames` long) may be longer than the frames served from it (`num_frames`,
    placed at random inside): the contexts then have history, and omega, read at the window's end, hears
    enough to tell who speaks, while only few frames have to be generated.
    """

    frames: Tensor
    """(B, T, 3, H, W) uint8 RGB: T frames in order, consecutive unless the data module's `frame_step` says more."""

    speech: Tensor
    """(B, N) float32 in [-1, 1], 16 kHz mono: the whole window, N = window_frames * 640."""

    frame_times: Tensor
    """(B, T) float32, seconds: the centre of each frame, counted from the first sample of `speech`."""

    still: Tensor
    """(B, 3, H, W) uint8 RGB: the clip's first frame (the identity teacher's input, D_ID's still face)."""

    speaker: Tensor
    """(B,) int64: index into the data module's `speakers`; -1 where the clip's speaker is unknown."""

    emotion: Tensor
    """(B,) int64: index into the data module's `emotions`; -1 where the clip has no label."""

    start: Tensor
    """(B,) int64: index, in the clip, of the window's first frame."""

    clip_id: list[str]
    """B names, unique within a data set."""
