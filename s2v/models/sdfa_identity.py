"""What tells SDFA who is to speak: a picture through a U-Net's encoder, or a voice's vector in its place."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from s2v.models.width import scaled_channels


@dataclass
class Identity:
    """Who is to speak.

    Attributes:
        code: (B, code_dim) in [-1, 1].
        skips: the picture's feature maps for the decoder, smallest first; none where there is no picture.
    """

    code: Tensor
    skips: list[Tensor]


def halvings(image_size: tuple[int, int]) -> int:
    """How often SDFA halves a picture: until the longer side is 4, or just above (128 x 96: 5 times, to 4 x 3).

    Raises:
        ValueError: a side can't be halved so often without a remainder, or is too short for it.
    """
    times = max(image_size).bit_length() - 3
    if times < 1 or any(side % 2**times or side == 0 for side in image_size):
        raise ValueError(
            f"SDFA halves a picture of {image_size[0]} x {image_size[1]} {max(times, 1)} times: "
            f"give sides that are multiples of {2 ** max(times, 1)}, the longer one at least 8"
        )
    return times


def map_channels(image_size: tuple[int, int], width: float) -> list[int]:
    """Channels after each halving, twice as many each time: 64 ... 1024 for 128 x 96."""
    return [scaled_channels(64, width) * 2**index for index in range(halvings(image_size))]


class PictureIdentity(nn.Module):
    """The identity encoder: halve the picture, 128 x 96 to 4 x 3, then to one code. Keys `cl.N` as published.

    Args:
        image_size: height and width.
        code_dim: size of the code.
        width: factor on the channels.
    """

    def __init__(self, image_size: tuple[int, int], code_dim: int = 128, width: float = 1.0) -> None:
        super().__init__()
        channels = [3, *map_channels(image_size, width)]
        times = len(channels) - 1
        self.cl = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()
            )
            for before, after in pairwise(channels)
        )
        smallest = (image_size[0] >> times, image_size[1] >> times)
        self.cl.append(nn.Sequential(nn.Conv2d(channels[-1], code_dim, smallest, bias=False), nn.Tanh()))

    def forward(self, picture: Tensor) -> Identity:
        """(B, 3, H, W) in [-1, 1] -> the code, and a map from each halving, five of 128 x 96."""
        maps = [picture]
        for layer in self.cl:
            maps.append(layer(maps[-1]))
        return Identity(maps[-1].flatten(1), maps[-2:0:-1])


class VoiceIdentity(nn.Module):
    """S2F+SDFA: the voice encoder's vector takes the identity code's place, and there are no maps to skip along.

    The vector imitates a face network's fc7, whose entries have no fixed size; it is standardised over the voices
    of training, then brought to the code's size and range.

    Args:
        voice_dim: size of the voice encoder's vector.
        code_dim: size of the code.
    """

    def __init__(self, voice_dim: int = 4096, code_dim: int = 128) -> None:
        super().__init__()
        self.standardise = nn.BatchNorm1d(voice_dim, affine=False)
        self.project = nn.Linear(voice_dim, code_dim)

    def forward(self, vector: Tensor) -> Identity:
        """(B, voice_dim) -> the code alone."""
        return Identity(torch.tanh(self.project(self.standardise(vector))), [])
