"""Windows of cached clips, and whole clips, as `s2v.batch.TalkingFaceBatch` says."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from data_modules.clip_cache import read_clip, read_window
from data_modules.clip_columns import Clip, ClipColumns
from data_modules.speaker_turns import SpeakerTurns
from data_modules.speech_augmentation import SpeechAugmentation
from s2v.batch import TalkingFaceBatch


class Window(TypedDict):
    """One sample: a `TalkingFaceBatch` without its batch axis."""

    frames: Tensor
    speech: Tensor
    frame_times: Tensor
    still: Tensor
    speaker: int
    emotion: int
    start: int
    clip_id: str


class WindowDataset(Dataset[Window]):
    """Windows of `window_frames` frames of speech, `num_frames` of which are served as pictures, `frame_step` apart.

    Indexed by (epoch, index): where the window lies, where in it the pictures lie and whether they are
    mirrored is a function of (seed, epoch, index) alone, so that any order of workers and any resume serves
    the same. `random=False` takes the middle instead, always, and changes nothing. A window lies anywhere in its
    clip, and its pictures anywhere in it, so that a clip's first and last frames are hardly ever shown; with
    `even_frames` any frame that can be the first shown is as likely as the others.

    An epoch has `windows_per_clip` windows of each clip. With `windows_per_speaker` it has windows_per_speaker * n **
    speaker_exponent of a speaker with n clips instead, rounded, and these clips take turns from epoch to epoch. Clips
    without a speaker are strangers to each other, each a speaker of one clip.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        window_frames: int,
        num_frames: int,
        frame_step: int = 1,
        seed: int = 0,
        windows_per_clip: int = 1,
        flip: bool = False,
        random: bool = True,
        windows_per_speaker: int | None = None,
        speaker_exponent: float = 0.0,
        augmentation: SpeechAugmentation | None = None,
        even_frames: bool = False,
    ) -> None:
        self.clips = ClipColumns.of(clips)
        self.window_frames = window_frames
        self.num_frames = num_frames
        self.frame_step = frame_step
        self.seed = seed
        self.windows_per_clip = windows_per_clip
        self.flip = flip
        self.random = random
        self.augmentation = augmentation
        self.even_frames = even_frames
        self._turns: SpeakerTurns | None = None
        if windows_per_speaker is not None:
            self._turns = SpeakerTurns(self.clips.speakers, windows_per_speaker, speaker_exponent)

    def __len__(self) -> int:
        return len(self.clips) * self.windows_per_clip if self._turns is None else len(self._turns)

    def _clip(self, epoch: int, index: int) -> Clip:
        turns = self._turns
        return self.clips[index // self.windows_per_clip if turns is None else turns.place(epoch, index)]

    def __getitem__(self, position: "int | tuple[int, int]") -> Window:
        epoch, index = position if isinstance(position, tuple) else (0, position)
        clip = self._clip(epoch, index)
        reach = (self.num_frames - 1) * self.frame_step + 1
        spare, room = clip.frames - self.window_frames, self.window_frames - reach
        start, first, mirrored = spare // 2, room // 2, False
        if self.random:
            draw = np.random.default_rng([self.seed, epoch, index])
            if self.even_frames:
                shown = int(draw.integers(spare + room + 1))
                start = int(draw.integers(max(0, shown - room), min(spare, shown) + 1))
                first = shown - start
            else:
                start, first = int(draw.integers(spare + 1)), int(draw.integers(room + 1))
            mirrored = self.flip and bool(draw.random() < 0.5)
        frames, speech, still = read_window(
            clip.path, start, self.window_frames, first, self.num_frames, self.frame_step
        )
        if mirrored:
            frames, still = np.ascontiguousarray(frames[..., ::-1]), np.ascontiguousarray(still[..., ::-1])
        heard = _floats(speech)
        if self.random and self.augmentation is not None:
            seed = np.random.default_rng([self.seed, epoch, index, 1]).integers(2**62)
            draw_change = torch.Generator().manual_seed(int(seed))
            heard = self.augmentation(torch.from_numpy(heard)[None], draw_change)[0].numpy()
        return _window(clip, frames, heard, still, start, first, self.frame_step)


class WholeClipDataset(Dataset[Window]):
    """Whole clips: every frame, all of the speech, from 0."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self.clips = ClipColumns.of(clips)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Window:
        clip = self.clips[index]
        frames, speech = read_clip(clip.path)
        return _window(clip, frames, _floats(speech), frames[0].copy(), 0, 0)


def _floats(speech: np.ndarray) -> np.ndarray:
    """int16 (N,) -> float32 in [-1, 1]."""
    return speech.astype(np.float32) / 32768


def _window(
    clip: Clip,
    frames: np.ndarray,
    speech: np.ndarray,
    still: np.ndarray,
    start: int,
    first: int,
    frame_step: int = 1,
) -> Window:
    times = (first + frame_step * np.arange(len(frames), dtype=np.float32) + 0.5) / clip.fps
    return Window(
        frames=torch.from_numpy(frames),
        speech=torch.from_numpy(speech),
        frame_times=torch.from_numpy(times.astype(np.float32)),
        still=torch.from_numpy(still),
        speaker=clip.speaker,
        emotion=clip.emotion,
        start=start,
        clip_id=clip.clip_id,
    )


def collate_windows(windows: Sequence[Window]) -> TalkingFaceBatch:
    """Stacks windows of one shape; pixels stay uint8, to be converted on the device."""
    return TalkingFaceBatch(
        frames=torch.stack([window["frames"] for window in windows]),
        speech=torch.stack([window["speech"] for window in windows]),
        frame_times=torch.stack([window["frame_times"] for window in windows]),
        still=torch.stack([window["still"] for window in windows]),
        speaker=torch.tensor([window["speaker"] for window in windows], dtype=torch.int64),
        emotion=torch.tensor([window["emotion"] for window in windows], dtype=torch.int64),
        start=torch.tensor([window["start"] for window in windows], dtype=torch.int64),
        clip_id=[window["clip_id"] for window in windows],
    )
