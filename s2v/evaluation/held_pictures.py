"""Pictures of other clips to hold against a clip: what one would get by not looking at it at all.

They need the whole list before its first clip is measured, so they are gathered in a pass of their own; what is kept
is two frames and one sum of pictures a speaker: 4.5 MiB at 512 x 512.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from s2v.evaluation.clip_rows import ANOTHER_CLIP, ANOTHER_SPEAKER, MEAN_IMAGE


@dataclass
class _Speaker:
    firsts: list[tuple[str, Tensor]] = field(default_factory=list)
    """(clip, its first frame (3, H, W) uint8) of the speaker's first two clips."""
    total: Tensor | None = None
    """Sum of the clips' mean pictures, (3, H, W) float32; None where their sizes differ."""
    clips: int = 0


class HeldPictures:
    """The first frame of another clip, the mean of the other clips, another speaker's first frame.

    The other clip is the speaker's first in the list, and for that one the second; the other speaker is the next one
    in the list, and for the last one the first.
    """

    def __init__(self) -> None:
        self._speakers: dict[str, _Speaker] = {}

    @property
    def speakers(self) -> int:
        """How many are known."""
        return len(self._speakers)

    def add(self, clip_id: str, speaker: str, real: Tensor) -> None:
        """Take in one clip, (T, 3, H, W) uint8; a clip without a speaker is passed over."""
        if speaker and len(real):
            self.add_seen(clip_id, speaker, real[0].cpu().clone(), mean_frame(real))

    def add_seen(self, clip_id: str, speaker: str, first: Tensor, mean: Tensor) -> None:
        """`add` where only the clip's first frame (3, H, W) uint8 and its `mean_frame` are at hand."""
        if not speaker:
            return
        kept = self._speakers.setdefault(speaker, _Speaker())
        if len(kept.firsts) < 2:
            kept.firsts.append((clip_id, first))
        if kept.clips == 0:
            kept.total = mean
        elif kept.total is not None:
            kept.total = kept.total + mean if kept.total.shape == mean.shape else None
        kept.clips += 1

    def for_speaker(self, speaker: str) -> "HeldPictures":
        """What `against` needs for one speaker's clips, and no more: small enough to send along with a clip."""
        names = list(self._speakers)
        place = names.index(speaker) if speaker in names else 0
        part = HeldPictures()
        for name in (names[place:] + names[:place])[:2]:
            known = self._speakers[name]
            part._speakers[name] = known if name == speaker else _Speaker(known.firsts[:1])
        return part

    def against(self, clip_id: str, speaker: str, real: Tensor) -> dict[str, Tensor | str]:
        """Calibration row -> a picture (1, 3, H, W) uint8 of the clip's size and device, or why there is none."""
        found = {
            ANOTHER_CLIP: self._of_another_clip(clip_id, speaker),
            MEAN_IMAGE: self._mean_of_others(speaker, real),
            ANOTHER_SPEAKER: self._of_another_speaker(speaker),
        }
        size = tuple(real.shape[1:])
        return {
            name: what
            if isinstance(what, str)
            else what[None].to(real.device)
            if tuple(what.shape) == size
            else f"{_size(what)}, but this clip is {_size(real)}"
            for name, what in found.items()
        }

    def _of_another_clip(self, clip_id: str, speaker: str) -> Tensor | str:
        frames = [frame for name, frame in self._known(speaker).firsts if name != clip_id]
        return frames[0] if frames else "no other clip of this speaker"

    def _mean_of_others(self, speaker: str, real: Tensor) -> Tensor | str:
        kept = self._known(speaker)
        if kept.clips < 2:
            return "no other clip of this speaker"
        if kept.total is None or kept.total.shape != real.shape[1:]:
            return "the speaker's clips differ in size"
        mean = (kept.total - mean_frame(real)) / (kept.clips - 1)
        return mean.round().clamp(0, 255).to(torch.uint8)

    def _of_another_speaker(self, speaker: str) -> Tensor | str:
        names = list(self._speakers)
        if speaker not in names or len(names) < 2:
            return "no other speaker" if speaker else "the clip's speaker is not known"
        return self._speakers[names[(names.index(speaker) + 1) % len(names)]].firsts[0][1]

    def _known(self, speaker: str) -> _Speaker:
        return self._speakers.get(speaker, _Speaker())


def mean_frame(frames: Tensor) -> Tensor:
    """(T, 3, H, W) uint8 -> (3, H, W) float32 on the CPU: what is made of them is rounded to whole levels."""
    return (frames.sum(dim=0, dtype=torch.int64).cpu().double() / len(frames)).float()


def _size(pictures: Tensor) -> str:
    return f"{pictures.shape[-1]} x {pictures.shape[-2]}"
