"""SDFA's three discriminators: a frame beside the still, a sequence of frames, speech and lips (IJCV 2020).

Their sizes were not published beyond what is said here; scores are logits, so that losses can be computed stably.
"""

from itertools import pairwise

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn.functional import pairwise_distance

from s2v.face_regions import RowRegion, cut_rows
from s2v.models.sdfa import height_and_width
from s2v.models.sdfa_identity import halvings
from s2v.models.sdfa_speech import SpeechWindowEncoder
from s2v.models.width import scaled_channels

SYNC_FRAMES = 5
"""Frames that 0.2 s of speech last."""


def picture_encoder(
    in_channels: int, size: tuple[int, int], times: int, out_channels: int, width: float
) -> nn.Sequential:
    """Halve a picture `times` times, then one convolution over all of what is left.

    Args:
        in_channels: of the picture.
        size: its height and width.
        times: halvings; the channels double from 64 to at most 512.
        out_channels: of the result (B, out_channels).
        width: factor on the channels.
    """
    channels = [in_channels] + [scaled_channels(min(64 * 2**index, 512), width) for index in range(times)]
    layers: list[nn.Module] = []
    for index, (before, after) in enumerate(pairwise(channels)):
        # as in DCGAN the first layer is not normalised
        layers += [nn.Conv2d(before, after, 4, stride=2, padding=1)]
        layers += [nn.BatchNorm2d(after)] if index else []
        layers += [nn.LeakyReLU(0.2)]
    left = (size[0] >> times, size[1] >> times)
    return nn.Sequential(*layers, nn.Conv2d(channels[-1], out_channels, left), nn.Flatten())


class StillFrameDiscriminator(nn.Module):
    """Is this a real frame of the one in the still? Six convolutions at 128 pixels, on both side by side in depth.

    Args:
        image_size: height and width, or a square's side.
        width: factor on the channels.
    """

    def __init__(self, image_size: int | list[int] = 128, width: float = 1.0) -> None:
        super().__init__()
        size = height_and_width(image_size)
        self.layers = picture_encoder(6, size, halvings(size), 1, width)

    def forward(self, frames: Tensor, still: Tensor) -> Tensor:
        """frames (B, T, 3, H, W) and the still (B, 3, H, W), in [-1, 1] -> logits (B, T)."""
        beside = repeat(still, "b c h w -> b t c h w", t=frames.shape[1])
        pairs = rearrange(torch.cat([frames, beside], dim=2), "b t c h w -> (b t) c h w")
        return rearrange(self.layers(pairs), "(b t) 1 -> b t", b=len(frames))


class SequenceDiscriminator(nn.Module):
    """Does a face move like this? A small network on each frame, a GRU over them.

    Args:
        image_size: height and width, or a square's side.
        width: factor on the channels.
        dim: size of a frame's code and of the GRU's state.
    """

    def __init__(self, image_size: int | list[int] = 128, width: float = 1.0, dim: int = 256) -> None:
        super().__init__()
        size = height_and_width(image_size)
        hidden = scaled_channels(dim, width)
        self.encoder = picture_encoder(3, size, halvings(size), hidden, width)
        self.rnn = nn.GRU(hidden, hidden, batch_first=True)
        self.score = nn.Linear(hidden, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Consecutive frames (B, T, 3, H, W) in [-1, 1] -> a logit for each clip (B,)."""
        codes = self.encoder(rearrange(frames, "b t c h w -> (b t) c h w"))
        _, last = self.rnn(rearrange(codes, "(b t) d -> b t d", b=len(frames)))
        return self.score(last[-1]).squeeze(-1)


class SpeechLipsDiscriminator(nn.Module):
    """Were these 0.2 s of speech and five frames made together? Judged by the distance of their embeddings.

    Args:
        image_size: height and width, or a square's side.
        width: factor on the channels.
        dim: size of the embeddings.
        region: rows it sees; by default the mouth half.
    """

    def __init__(
        self,
        image_size: int | list[int] = 128,
        width: float = 1.0,
        dim: int = 256,
        region: RowRegion = "lower",
    ) -> None:
        super().__init__()
        height, side = height_and_width(image_size)
        self.region: RowRegion = region
        self.dim = dim
        seen = (height if region == "full" else height // 2, side)
        times = halvings((height, side)) - 1
        self.speech = SpeechWindowEncoder(dim, width)
        self.lips = picture_encoder(3 * SYNC_FRAMES, seen, times, dim, width)
        self.score = nn.Linear(1, 1)
        # begin with "the closer, the likelier", undecided at the distance one starts from
        with torch.no_grad():
            self.score.weight.fill_(-4.0)
            self.score.bias.fill_(2.0)

    def forward(self, windows: Tensor, lips: Tensor) -> Tensor:
        """windows (M, 10000) of speech and the five frames each (M, 5, 3, H, W) in [-1, 1] -> logits (M,)."""
        stacked = rearrange(cut_rows(lips, self.region), "m t c h w -> m (t c) h w")
        distance = pairwise_distance(self.speech(windows), self.lips(stacked)) / self.dim**0.5
        return self.score(distance.unsqueeze(-1)).squeeze(-1)


def snippet(frames: Tensor, start: int) -> Tensor:
    """Five consecutive frames, a view: (B, T, 3, H, W) -> (B, 5, 3, H, W)."""
    return frames[:, start : start + SYNC_FRAMES]
