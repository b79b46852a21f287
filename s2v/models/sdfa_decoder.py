"""SDFA's decoder: sound, noise and identity to a frame, with the picture's maps skipped to it (Vougioukas et al.)."""

from collections.abc import Sequence
from typing import cast

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn.functional import conv_transpose2d

from s2v.models.sdfa_identity import Identity, halvings, map_channels

NOISE_DIM = 10
NOISE_SIGMA = 0.33


def per_frame(x: Tensor, once_a_clip: Tensor) -> Tensor:
    """Add (B, C, h, w), the same for every frame, to (B*T, C, h, w)."""
    clips = rearrange(x, "(b t) c h w -> b t c h w", b=once_a_clip.shape[0])
    return rearrange(clips + once_a_clip.unsqueeze(1), "b t c h w -> (b t) c h w")


class UNetBlock(nn.Module):
    """Join the skipped map, mix, double the size. Keys `dcl1`, `dcl2`, `activation1`, `activation2` as published.

    A transposed convolution of two maps side by side is the sum of one over each, and the skipped map is the same
    for all frames of a clip: its half is computed once a clip, not once a frame.

    Args:
        channels: of the frames' features, and of the skipped map.
        skipped: whether there is one.
    """

    def __init__(self, channels: int, skipped: bool = True) -> None:
        super().__init__()
        self.channels = channels
        joined = 2 * channels if skipped else channels
        self.dcl1 = nn.ConvTranspose2d(joined, channels, 3, padding=1, bias=False)
        self.dcl2 = nn.ConvTranspose2d(channels, channels // 2, 4, stride=2, padding=1, bias=False)
        self.activation1 = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
        self.activation2 = nn.Sequential(nn.BatchNorm2d(channels // 2), nn.ReLU())

    def skip_part(self, skip: Tensor) -> Tensor:
        """The skipped map's half of the first convolution: (B, C, h, w) -> (B, C, h, w)."""
        return conv_transpose2d(skip, self.dcl1.weight[self.channels :], padding=1)

    def forward(self, x: Tensor, skip_part: Tensor | None) -> Tensor:
        """(B*T, C, h, w) and `skip_part`'s (B, C, h, w), if any -> (B*T, C/2, 2h, 2w)."""
        x = conv_transpose2d(x, self.dcl1.weight[: self.channels], padding=1)
        if skip_part is not None:
            x = per_frame(x, skip_part)
        return self.activation2(self.dcl2(self.activation1(x)))


class SDFADecoder(nn.Module):
    """One frame from the sound at its time, noise, and who speaks. Keys `rnn_noise.*`, `dcl.N.*` as published.

    Args:
        image_size: height and width.
        speech_dim: size of the speech encoder's output.
        code_dim: size of the identity code.
        width: factor on the channels.
        skipped: whether a picture's maps come with the identity.
    """

    def __init__(
        self,
        image_size: tuple[int, int],
        speech_dim: int = 256,
        code_dim: int = 128,
        width: float = 1.0,
        skipped: bool = True,
    ) -> None:
        super().__init__()
        times = halvings(image_size)
        channels = map_channels(image_size, width)[::-1]
        smallest = (image_size[0] >> times, image_size[1] >> times)
        self.rnn_noise = nn.GRU(NOISE_DIM, NOISE_DIM, batch_first=True)
        seed = nn.ConvTranspose2d(speech_dim + NOISE_DIM + code_dim, channels[0], smallest, bias=False)
        self.dcl = nn.ModuleList([nn.Sequential(seed, nn.BatchNorm2d(channels[0]), nn.ReLU())])
        self.dcl.extend(UNetBlock(count, skipped) for count in channels[:-1])
        self.dcl.append(nn.ConvTranspose2d(channels[-1], 3, 4, stride=2, padding=1, bias=False))

    def shape_noise(self, noise: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """White noise (B, T, 10) -> noise that moves as a face does (B, T, 10), and the GRU's state after it."""
        shaped, state = self.rnn_noise(noise, state)
        return torch.tanh(shaped), state

    def identity_parts(self, identity: Identity) -> list[Tensor | None]:
        """What depends on the identity alone, to be computed once a clip: the code, then a part for each block."""
        blocks = [cast(UNetBlock, block) for block in self.dcl[1:-1]]
        # the last of the picture's maps, the largest, meets no block: there is one map more than there are blocks
        skips: Sequence[Tensor | None] = identity.skips[: len(blocks)] or [None] * len(blocks)
        parts = [
            None if skip is None else block.skip_part(skip) for block, skip in zip(blocks, skips, strict=True)
        ]
        return [identity.code, *parts]

    def forward(self, speech: Tensor, noise: Tensor, identity_parts: list[Tensor | None]) -> Tensor:
        """Decode frames.

        Args:
            speech: (B, T, speech_dim).
            noise: (B, T, 10), from `shape_noise`.
            identity_parts: from `identity_parts`, batch B.

        Returns:
            (B, T, 3, H, W) in [-1, 1].
        """
        code, *skip_parts = identity_parts
        assert code is not None
        code = repeat(code, "b d -> b t d", t=speech.shape[1])
        x = rearrange(torch.cat([speech, noise, code], dim=-1), "b t d -> (b t) d 1 1")
        x = self.dcl[0](x)
        for block, part in zip(self.dcl[1:-1], skip_parts, strict=True):
            x = block(x, part)
        return rearrange(torch.tanh(self.dcl[-1](x)), "(b t) c h w -> b t c h w", b=speech.shape[0])
