"""docs/extending.md's own parts: a loss term, a discriminator, a data set, a system, a metric, a teacher."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from torch import Tensor, nn

from data_modules import VideoFolder
from data_modules.layouts import FoundClip, videos_below
from s2v.batch import TalkingFaceBatch
from s2v.errors import InputError
from s2v.evaluation.clip_metric import ClipMetric, ShownClip
from s2v.modules.composer import ComposerModule


class ComposerWithMotion(ComposerModule):
    """Frames are to change from one to the next as the real ones do.

    Args:
        motion_weight: of that term.
    """

    def __init__(self, *args: Any, motion_weight: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.motion_weight = motion_weight

    def generator_losses(
        self, inflated: list[Tensor], fake: Tensor, real: Tensor, contexts: Tensor
    ) -> dict[str, Tensor]:
        terms = super().generator_losses(inflated, fake, real, contexts)
        terms["motion"] = self.motion_weight * (fake.diff(dim=1) - real.diff(dim=1)).abs().mean()
        return terms


class PatchDiscriminator(nn.Module):
    """D_fr that looks at patches of 8 x 8 pixels, each for itself.

    Args:
        width: factor on the channels.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        channels = round(256 * width)
        self.layers = nn.Sequential(
            nn.Conv2d(3, channels, 8, 8), nn.LeakyReLU(0.2), nn.Conv2d(channels, 1, 1)
        )

    def forward(self, frames: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] -> scores (N, 1, H / 8, W / 8)."""
        return self.layers(frames)

    def feature_maps(self, frames: Tensor) -> list[Tensor]:
        """(N, 3, H, W) in [-1, 1] -> what its layers but the last see, for `weights.matching`."""
        return [self.layers[:2](frames)]


def find_interviews(root: Path) -> list[FoundClip]:
    """Clips `DATE_SPEAKER_EMOTION.mp4` below a folder."""
    clips = []
    for path in videos_below(root):
        try:
            _, speaker, emotion = path.stem.split("_")
        except ValueError:
            raise InputError(f"{path}: a name like DATE_SPEAKER_EMOTION.mp4 was expected") from None
        video = path.relative_to(root).as_posix()
        clips.append(FoundClip(clip_id=path.stem, video=video, speaker=speaker, emotion=emotion))
    return clips


class Interviews(VideoFolder):
    """A data set with a layout of its own."""

    layout = f"{__name__}.find_interviews"


class FrozenFace(pl.LightningModule):
    """A system to hold others against: the clip's first frame, all the time."""

    system_name = "frozen face"
    """In the report."""

    def test_step(self, batch: TalkingFaceBatch, batch_idx: int) -> dict[str, Tensor]:
        """One whole clip: generated and real frames, (T, 3, H, W) uint8."""
        real = batch["frames"][0]
        return {"generated": batch["still"].expand_as(real), "real": real}


class Flicker(ClipMetric):
    """How restless the light is: brightness from frame to frame, beside the real clip's."""

    better = {"flicker": "one", "flicker_peak": "down"}
    definitions = {
        "flicker": "mean absolute change of a frame's mean brightness, generated / real",
        "flicker_peak": "the largest such change of the generated clip, 0 to 255",
    }

    def measure(self, clip: ShownClip) -> dict[str, float]:
        shown, real = (x.float().mean(dim=(1, 2, 3)).diff().abs() for x in (clip.frames, clip.real))
        if not real.sum() > 0:
            raise InputError("the real clip's light never changes")
        return {"flicker": float(shown.mean() / real.mean()), "flicker_peak": float(shown.max())}


class SmallFace(nn.Module):
    """A face network that teaches stage 1 and stands behind stage 2's D_ID."""

    image_size = 32
    """Side of the faces that `forward` gets; without it they come in their own size."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3, 8, 4, 4), nn.Conv2d(8, 16, 2, 2), nn.Conv2d(16, 16, 2, 2)])
        self.embed, self.classify = nn.Linear(64, 128), nn.Linear(128, 6)

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        """RGB 0 to 255, (B, 3, 32, 32) float32 -> embedding (B, 128), logits (B, 6)."""
        embedding = self.embed(self.feature_maps(faces)[-1].flatten(1))
        return {"embedding": embedding, "logits": self.classify(embedding)}

    def feature_maps(self, faces: Tensor) -> list[Tensor]:
        """RGB 0 to 255, (B, 3, S, S) -> (B, 8, S/4, S/4), (B, 16, S/8, S/8), (B, 16, S/16, S/16)."""
        maps = [faces / 255]
        for layer in self.layers:
            maps.append(layer(maps[-1]).relu())
        return maps[1:]
