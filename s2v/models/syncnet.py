"""SyncNet (Chung & Zisserman 2016): embeds 0.2 s of speech and of lips so that those in step lie close.

State-dict keys are those of the published "syncnet_v2": `netcnnaud.N`, `netfcaud.N`, `netcnnlip.N`,
`netfclip.N`, N counting every layer of the sequence.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from s2v.errors import InputError
from s2v.models.syncnet_folded import folded_lip_features
from s2v.models.width import scaled_channels

WINDOW_FRAMES = 5
"""Video frames (25 fps) one lip embedding sees."""

WINDOW_MFCC = 20
"""MFCC frames (100 a second) one speech embedding sees."""

MFCC_PER_FRAME = 4

MFCC_COEFFICIENTS = 13

_LIP_STRIDES = ((7, 2, 0), (3, 2, 0), (5, 2, 1), (3, 2, 1), (3, 2, 0))
"""(kernel, stride, padding) of the lip layers that shrink the picture, in order."""

Triple = tuple[int, int, int]


def _lip_map_size(image_size: int) -> int:
    """Side of the map that the lip network's last convolution covers: 6 for 224, 3 for 128, 1 for 64."""
    size = image_size
    for kernel, stride, padding in _LIP_STRIDES:
        size = (size + 2 * padding - kernel) // stride + 1 if size + 2 * padding >= kernel else 0
    return size


class SyncNet(nn.Module):
    """Two towers, speech and lips, that meet in one embedding space of 1024 * width dimensions.

    Args:
        image_size: S of the lips' input; 224 as published. Smaller ones shrink the last lip convolution's
            kernel to what is left of the map (6 x 6 at 224).
        width: multiplier of every layer's channels; 1 as published (13.63 M parameters).
        region: which part of a face `prepare_lips` cuts out: the "full" face as published, or "lower", the
            square around the mouth (rows H/2 to H, columns W/4 to 3W/4).
    """

    def __init__(
        self, image_size: int = 224, width: float = 1.0, region: Literal["full", "lower"] = "full"
    ) -> None:
        super().__init__()
        if region not in ("full", "lower"):
            raise InputError(f"SyncNet's region is 'full' or 'lower', but got {region!r}")
        map_size = _lip_map_size(image_size)
        if map_size < 1:
            raise InputError(f"SyncNet needs an image_size of at least 64, but got {image_size}")
        self.image_size = image_size
        self.region = region
        self.embedding_dim = scaled_channels(1024, width)
        c64, c96, c192, c256, c384, c512 = (scaled_channels(c, width) for c in (64, 96, 192, 256, 384, 512))

        def speech_layer(before: int, after: int) -> list[nn.Module]:
            return [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]

        self.netcnnaud = nn.Sequential(
            *speech_layer(1, c64),
            nn.MaxPool2d(kernel_size=1, stride=1),
            *speech_layer(c64, c192),
            nn.MaxPool2d(kernel_size=3, stride=(1, 2)),
            *speech_layer(c192, c384),
            *speech_layer(c384, c256),
            *speech_layer(c256, c256),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(c256, c512, kernel_size=(5, 4)),
            nn.BatchNorm2d(c512),
            nn.ReLU(),
        )

        def lip_layer(
            before: int, after: int, kernel: Triple, stride: Sequence[int] = (1, 1, 1), padding: int = 0
        ) -> list[nn.Module]:
            conv = nn.Conv3d(before, after, kernel, (stride[0], stride[1], stride[2]), (0, padding, padding))
            return [conv, nn.BatchNorm3d(after), nn.ReLU(inplace=True)]

        def lip_pool(padding: int = 0) -> nn.Module:
            return nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, padding, padding))

        self.netcnnlip = nn.Sequential(
            *lip_layer(3, c96, (WINDOW_FRAMES, 7, 7), stride=(1, 2, 2)),
            lip_pool(),
            *lip_layer(c96, c256, (1, 5, 5), stride=(1, 2, 2), padding=1),
            lip_pool(padding=1),
            *lip_layer(c256, c256, (1, 3, 3), padding=1),
            *lip_layer(c256, c256, (1, 3, 3), padding=1),
            *lip_layer(c256, c256, (1, 3, 3), padding=1),
            lip_pool(),
            *lip_layer(c256, c512, (1, map_size, map_size)),
        )

        def embedding_head() -> nn.Sequential:
            layers = (nn.Linear(c512, c512), nn.BatchNorm1d(c512), nn.ReLU())
            return nn.Sequential(*layers, nn.Linear(c512, self.embedding_dim))

        self.netfcaud = embedding_head()
        self.netfclip = embedding_head()
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def prepare_lips(self, frames: Tensor) -> Tensor:
        """Frames (T, 3, H, W), RGB 0..255 (uint8 or float), to lip frames (T, 3, S, S), float, BGR 0..255.

        Cuts out `region` and resizes with anti-aliasing. Differentiable for float frames.
        """
        height, width = frames.shape[-2:]
        if self.region == "lower":
            frames = frames[..., height // 2 :, width // 4 : width // 4 + width // 2]
        lips = frames if frames.is_floating_point() else frames.float()
        if lips.shape[-2:] != (self.image_size, self.image_size):
            size = (self.image_size, self.image_size)
            lips = functional.interpolate(lips, size=size, mode="bilinear", antialias=True)
        return lips.flip(1)

    def embed_speech(self, mfcc: Tensor) -> Tensor:
        """MFCC windows (B, 1, 13, 20) to embeddings (B, embedding_dim), not normalised."""
        return self.netfcaud(self.netcnnaud(mfcc).flatten(1))

    def embed_lips(self, lips: Tensor) -> Tensor:
        """Windows of five lip frames (B, 3, 5, S, S), BGR 0..255, to embeddings (B, embedding_dim)."""
        return self.netfclip(self.netcnnlip(lips).flatten(1))

    def embed_lip_track(self, lips: Tensor) -> Tensor:
        """All T - 4 windows of consecutive lip frames (T, 3, S, S), BGR 0..255: (T - 4, embedding_dim).

        Only the first convolution looks along time, without padding, so the network slides over the clip as
        it stands: the numbers of `embed_lips` on every window. Evaluation without gradients takes the faster way
        of `folded_lip_features`.
        """
        if not self.training and not torch.is_grad_enabled():
            return self.netfclip(folded_lip_features(self.netcnnlip, lips))
        clip = rearrange(lips, "frames channels height width -> 1 channels frames height width")
        features = self.netcnnlip(clip)
        return self.netfclip(rearrange(features, "1 channels windows 1 1 -> windows channels"))

    def embed_speech_track(self, mfcc: Tensor) -> Tensor:
        """Every speech window of MFCC (L, 13) that starts on a frame: ((L - 20) // 4 + 1, embedding_dim)."""
        windows = mfcc.unfold(0, WINDOW_MFCC, MFCC_PER_FRAME)
        windows = rearrange(windows, "windows coefficients steps -> windows 1 coefficients steps")
        return self.embed_speech(windows)

    def forward(self, mfcc: Tensor, lips: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, 13, 20) and (B, 3, 5, S, S) to the two embeddings (B, embedding_dim)."""
        return self.embed_speech(mfcc), self.embed_lips(lips)
