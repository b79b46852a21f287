"""A small SyncNet for little data: mouth crops and log-mels, frames first and time last."""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.functional import melscale_fbanks

from s2v.batch import SAMPLE_RATE
from s2v.face_regions import LipRegion
from s2v.metrics.mfcc import FRAME_SAMPLES, STEP_SAMPLES
from s2v.models.lip_speech_network import (
    STEPS_PER_FRAME,
    WINDOW_FRAMES,
    WINDOW_STEPS,
    LipSpeechNetwork,
)

MELS = 40

_QUIETEST = 1.0
"""Added to mel energies of int16-valued speech before the logarithm: below what a microphone's silence has."""


class MouthSyncNet(LipSpeechNetwork):
    """0.42 M parameters where SyncNet has 13.6 M: learns lips from minutes of video.

    Frames go through the lip tower one by one and meet in time at its end, so that a clip costs little more than
    its frames. Speech features are log-mels, each band less its mean over the clip: how loud, and which
    microphone, does not matter. Embeddings are of length 1.

    Args:
        image_size: S of the lips' input, a multiple of 16.
        region: the part of a face that is seen; see `s2v.face_regions.LIP_REGIONS`.
        embedding_dim: D.
        hidden: channels in time.
        dropout: before the embeddings, in training.
    """

    initial_scale = 5.0
    unit_length = True
    filters: Tensor
    taper: Tensor

    def __init__(
        self,
        image_size: int = 48,
        region: LipRegion = "mouth",
        embedding_dim: int = 64,
        hidden: int = 128,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(image_size, region)
        self.embedding_dim = embedding_dim

        def picture_layer(before: int, after: int, kernel: int) -> list[nn.Module]:
            conv = nn.Conv2d(before, after, kernel, stride=2, padding=kernel // 2, bias=False)
            return [conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]

        def time_layer(before: int, after: int, kernel: int) -> list[nn.Module]:
            conv = nn.Conv1d(before, after, kernel, bias=False)
            return [conv, nn.BatchNorm1d(after), nn.ReLU(inplace=True)]

        def embedding() -> list[nn.Module]:
            return [nn.Dropout(dropout), nn.Conv1d(hidden, embedding_dim, 1)]

        self.pictures = nn.Sequential(
            *picture_layer(3, 24, 5),
            *picture_layer(24, 48, 3),
            *picture_layer(48, 64, 3),
            *picture_layer(64, 96, 3),
            nn.Flatten(),
            nn.Linear(96 * (image_size // 16) ** 2, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
        )
        self.lips = nn.Sequential(*time_layer(hidden, hidden, WINDOW_FRAMES), *embedding())
        # 20 steps: 18, pooled 9, 7, pooled 3, 1 (18 are heard); without padding, so that sliding is each window alone
        self.speech = nn.Sequential(
            *time_layer(MELS, hidden, 3),
            nn.MaxPool1d(2),
            *time_layer(hidden, hidden, 3),
            nn.MaxPool1d(2),
            *time_layer(hidden, hidden, 3),
            *embedding(),
        )
        filters = melscale_fbanks(
            FRAME_SAMPLES // 2 + 1, 0.0, SAMPLE_RATE / 2, MELS, SAMPLE_RATE, mel_scale="slaney"
        )
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("taper", torch.hann_window(FRAME_SAMPLES), persistent=False)

    def speech_features(self, speech: Tensor) -> Tensor:
        """Log-mels: speech (B, N) or (N,), 16 kHz, int16-VALUED, N >= 400, to (B, L, 40) or (L, 40).

        Windows of 25 ms every 10 ms, L = 1 + (N - 400) // 160; step i hears what MFCC step i hears. In float32.
        """
        windows = speech.to(self.taper).unfold(-1, FRAME_SAMPLES, STEP_SAMPLES) * self.taper
        power = torch.fft.rfft(windows).abs().square() / FRAME_SAMPLES
        with torch.autocast(power.device.type, enabled=False):  # logarithms in bfloat16 are off by 0.06
            logs = torch.log(power @ self.filters + _QUIETEST)
        return logs - logs.mean(dim=-2, keepdim=True)

    def embed_lip_tracks(self, lips: Tensor) -> Tensor:
        """Clips (B, T, 3, S, S), BGR 0..255, to (B, T - 4, embedding_dim), of length 1."""
        frames = self.pictures(rearrange(lips, "b t c h w -> (b t) c h w") / 127.5 - 1)
        windows = self.lips(rearrange(frames, "(b t) c -> b c t", b=len(lips)))
        return functional.normalize(rearrange(windows, "b c t -> b t c"), dim=-1)

    def embed_speech_tracks(self, features: Tensor) -> Tensor:
        """Log-mels (B, L, 40) to (B, (L - 20) // 4 + 1, embedding_dim), of length 1."""
        count = (features.shape[1] - WINDOW_STEPS) // STEPS_PER_FRAME + 1
        windows = self.speech(rearrange(features, "b l f -> b f l"))[..., :count]
        return functional.normalize(rearrange(windows, "b c t -> b t c"), dim=-1)
