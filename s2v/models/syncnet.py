"""SyncNet (Chung & Zisserman 2016): embeds 0.2 s of speech and of lips so that those in step lie close.

State-dict keys are those of the published "syncnet_v2": `netcnnaud.N`, `netfcaud.N`, `netcnnlip.N`,
`netfclip.N`, N counting every layer of the sequence.
"""

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn

from s2v.cpu_kernels.filtered_tower import can_be_filtered, lip_features, speech_features
from s2v.errors import InputError
from s2v.face_regions import LipRegion
from s2v.metrics.mfcc import mfcc
from s2v.models.lip_speech_network import (
    STEPS_PER_FRAME,
    WINDOW_FRAMES,
    WINDOW_STEPS,
    LipSpeechNetwork,
)
from s2v.models.width import scaled_channels

_LIP_STRIDES = ((7, 2, 0), (3, 2, 0), (5, 2, 1), (3, 2, 1), (3, 2, 0))
"""(kernel, stride, padding) of the lip layers that shrink the picture, in order."""

Triple = tuple[int, int, int]


def _lip_map_size(image_size: int) -> int:
    """Side of the map that the lip network's last convolution covers: 6 for 224, 3 for 128, 1 for 64."""
    size = image_size
    for kernel, stride, padding in _LIP_STRIDES:
        size = (size + 2 * padding - kernel) // stride + 1 if size + 2 * padding >= kernel else 0
    return size


class SyncNet(LipSpeechNetwork):
    """Two towers, speech and lips, that meet in one embedding space of 1024 * width dimensions.

    Args:
        image_size: S of the lips' input; 224 as published. Smaller ones shrink the last lip convolution's
            kernel to what is left of the map (6 x 6 at 224).
        width: multiplier of every layer's channels; 1 as published (13.63 M parameters).
        region: which part of a face `prepare_lips` cuts out: the "full" face as published, "lower", the
            square around the mouth (rows H/2 to H, columns W/4 to 3W/4), or "mouth", a closer one.
    """

    def __init__(self, image_size: int = 224, width: float = 1.0, region: LipRegion = "full") -> None:
        super().__init__(image_size, region)
        map_size = _lip_map_size(image_size)
        if map_size < 1:
            raise InputError(f"SyncNet needs an image_size of at least 64, but got {image_size}")
        self.embedding_dim = scaled_channels(1024, width)
        # squared distances grow with the dimensions
        self.initial_scale = self.embedding_dim**-0.5
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

    def speech_features(self, speech: Tensor) -> Tensor:
        """MFCC (B, L, 13) or (L, 13) of speech, 16 kHz, int16-VALUED; see `s2v.metrics.mfcc.mfcc`."""
        return mfcc(speech)

    def embed_speech(self, mfcc: Tensor) -> Tensor:
        """MFCC windows (B, 1, 13, 20) to embeddings (B, embedding_dim), not normalised."""
        return self.netfcaud(self.netcnnaud(mfcc).flatten(1))

    def embed_lips(self, lips: Tensor) -> Tensor:
        """Windows of five lip frames (B, 3, 5, S, S), BGR 0..255, to embeddings (B, embedding_dim)."""
        return self.netfclip(self.netcnnlip(lips).flatten(1))

    def _can_be_filtered(self, tower: nn.Module, maps: Tensor) -> bool:
        """A subclass may have other layers, or ways to use them: what it says is asked."""
        return type(self) is SyncNet and can_be_filtered(tower, maps)

    def embed_lip_track(self, lips: Tensor) -> Tensor:
        """All T - 4 windows of consecutive lip frames (T, 3, S, S), BGR 0..255: (T - 4, embedding_dim).

        Only the first convolution looks along time, without padding, so the network slides over the clip as
        it stands: the numbers of `embed_lips` on every window. Evaluation on one thread of a CPU takes a faster way.
        """
        if self._can_be_filtered(self.netcnnlip, lips):
            return self.netfclip(lip_features(self.netcnnlip, lips))
        return super().embed_lip_track(lips)

    def embed_frames(self, frames: Tensor) -> Tensor:
        """As the base class says; bytes that need no resizing become floats where the faster way copies them."""
        if frames.dtype == torch.uint8 and self._can_be_filtered(self.netcnnlip, frames):
            lips = self.cut_lips(frames)
            if lips.shape[-2:] == (self.image_size, self.image_size):
                return self.netfclip(lip_features(self.netcnnlip, lips))
        return super().embed_frames(frames)

    def embed_lip_tracks(self, lips: Tensor) -> Tensor:
        """Clips (B, T, 3, S, S), BGR 0..255: the network slides over them, (B, T - 4, embedding_dim)."""
        seen = self.netcnnlip(rearrange(lips, "b t c h w -> b c t h w"))
        windows = self.netfclip(rearrange(seen, "b c p 1 1 -> (b p) c"))
        return rearrange(windows, "(b p) d -> b p d", b=len(lips))

    def embed_speech_tracks(self, features: Tensor) -> Tensor:
        """MFCC (B, L, 13), window by window: (B, (L - 20) // 4 + 1, embedding_dim)."""
        steps = features.unfold(1, WINDOW_STEPS, STEPS_PER_FRAME)
        steps = rearrange(steps, "b p m s -> (b p) 1 m s")
        if self._can_be_filtered(self.netcnnaud, steps):
            windows = self.netfcaud(speech_features(self.netcnnaud, steps))
        else:
            windows = self.embed_speech(steps)
        return rearrange(windows, "(b p) d -> b p d", b=len(features))

    def forward(self, mfcc: Tensor, lips: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, 13, 20) and (B, 3, 5, S, S) to the two embeddings (B, embedding_dim)."""
        return self.embed_speech(mfcc), self.embed_lips(lips)
