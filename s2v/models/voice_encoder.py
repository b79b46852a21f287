"""Speech2Face's voice encoder: a face network's vector from the sound of a voice (Oh et al., CVPR 2019)."""

import torch
from einops import rearrange
from torch import Tensor, nn

from s2v.batch import SAMPLE_RATE
from s2v.models.width import scaled_channels

FRAME_SAMPLES, HOP_SAMPLES, FFT_SIZE = 400, 160, 512


def repeated_to(speech: Tensor, samples: int) -> Tensor:
    """Speech (B, N) from its beginning, as often as it takes: (B, samples)."""
    times = -(-samples // speech.shape[-1])
    return speech.repeat(1, times)[:, :samples]


def compressed_spectrogram(speech: Tensor) -> Tensor:
    """Power-law compressed complex spectrogram: (B, N) -> (B, 2, (N - 400) // 160 + 1, 257).

    Hann windows of 25 ms every 10 ms, FFT of 512; real and imaginary parts S are each sgn(S) |S|^0.3.
    """
    window = torch.hann_window(FRAME_SAMPLES, device=speech.device, dtype=speech.dtype)
    frames = speech.unfold(-1, FRAME_SAMPLES, HOP_SAMPLES) * window
    parts = torch.view_as_real(torch.fft.rfft(frames, n=FFT_SIZE))
    return rearrange(parts.sign() * parts.abs() ** 0.3, "b time frequency part -> b part time frequency")


def _block(before: int, after: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 4, stride=stride, padding=1), nn.ReLU(), nn.BatchNorm2d(after)]


class VoiceEncoder(nn.Module):
    """Convolutions of 4 x 4 with pooling over time alone: pitch and timbre lie in the frequencies.

    Args:
        out_dim: size of the vector: 4096 for VGGFace's fc7.
        width: factor on the channels.
        hidden: size of the layer before the last; None: as `out_dim`.
        seconds: of speech that are heard: the beginning, repeated where there is less.
    """

    def __init__(
        self, out_dim: int = 4096, width: float = 1.0, hidden: int | None = None, seconds: float = 6.0
    ) -> None:
        super().__init__()
        if seconds < 1.5:
            raise ValueError(
                f"the voice encoder's layers need 1.5 s of speech at least, got seconds={seconds}"
            )
        self.out_dim = out_dim
        self.samples = round(seconds * SAMPLE_RATE)
        c64, c128, c256, c512 = (scaled_channels(c, width) for c in (64, 128, 256, 512))
        self.convolutions = nn.Sequential(
            *_block(2, c64),
            *_block(c64, c64),
            *_block(c64, c128),
            nn.MaxPool2d((2, 1)),
            *_block(c128, c128),
            nn.MaxPool2d((2, 1)),
            *_block(c128, c128),
            nn.MaxPool2d((2, 1)),
            *_block(c128, c256),
            nn.MaxPool2d((2, 1)),
            *_block(c256, c512),
            *_block(c512, c512, stride=2),
            nn.Conv2d(c512, c512, 4, stride=2, padding=1),
        )
        frequencies = ((FFT_SIZE // 2 + 1 - 7) // 2) // 2  # seven convolutions take one each, two halve
        features = c512 * frequencies
        hidden = out_dim if hidden is None else hidden
        self.summarise = nn.Sequential(
            nn.ReLU(),
            nn.BatchNorm1d(features),
            nn.Linear(features, hidden),
            nn.ReLU(),
            nn.Linear(hidden, out_dim),
        )

    def forward(self, speech: Tensor) -> Tensor:
        """16 kHz speech (B, N) in [-1, 1] -> (B, out_dim)."""
        maps = self.convolutions(compressed_spectrogram(repeated_to(speech, self.samples)))
        return self.summarise(rearrange(maps.mean(dim=2), "b c frequency -> b (c frequency)"))
