"""SDFA's ear: 0.2 s of 50 kHz speech around each frame, encoded alone, then in order by a GRU (Vougioukas et al.)."""

import torch
from einops import rearrange
from torch import Tensor, nn

from s2v.batch import FPS, SAMPLE_RATE
from s2v.models.width import scaled_channels

SDFA_RATE = 50_000
"""Samples a second that SDFA hears."""

WINDOW_SAMPLES = SDFA_RATE // 5
SAMPLES_BETWEEN_FRAMES = SDFA_RATE // FPS


def resample_by_fft(speech: Tensor, samples: int) -> Tensor:
    """Band-limited resampling of the whole signal at once, as `scipy.signal.resample` does it.

    The signal is taken as periodic: its two ends ring into each other. SDFA was trained on speech made so.

    Args:
        speech: (..., N) float.
        samples: length wanted, at least N.

    Returns:
        (..., samples).

    Raises:
        ValueError: fewer samples are wanted.
    """
    length = speech.shape[-1]
    if samples < length:
        raise ValueError(f"resample_by_fft goes to higher rates only: {samples} samples of {length}")
    if samples == length:
        return speech
    spectrum = torch.fft.rfft(speech)
    if length % 2 == 0:  # the one bin at half the rate stands for two at a higher rate
        spectrum[..., -1] *= 0.5
    return torch.fft.irfft(spectrum, n=samples) * (samples / length)


def frame_windows(speech: Tensor) -> Tensor:
    """The 0.2 s of speech around each frame, silence beyond the ends: (B, N) at 16 kHz -> (B, N // 640, 10000).

    Speech counts full scale as 32767, as SDFA's own preparation does, not as 32768.
    """
    frames = speech.shape[-1] * FPS // SAMPLE_RATE
    heard = resample_by_fft(speech * (32768 / 32767), speech.shape[-1] * SDFA_RATE // SAMPLE_RATE)
    around = (WINDOW_SAMPLES - SAMPLES_BETWEEN_FRAMES) // 2
    padded = nn.functional.pad(heard, (around, around))
    return padded.unfold(-1, WINDOW_SAMPLES, SAMPLES_BETWEEN_FRAMES)[:, :frames]


class SpeechWindowEncoder(nn.Module):
    """A window of raw speech to one code, by six convolutions. Keys `cl.N`, `activations.N.0` as published.

    Args:
        code_dim: size of the code.
        width: factor on the convolutions' channels.
    """

    def __init__(self, code_dim: int = 256, width: float = 1.0) -> None:
        super().__init__()
        channels = [1] + [scaled_channels(c, width) for c in (16, 32, 64, 128, 256)] + [code_dim]
        shapes = ((250, 50, 100), (4, 2, 1), (4, 2, 1), (4, 2, 1), (10, 5, 3), (5, 1, 0))
        self.cl = nn.ModuleList(
            nn.Conv1d(before, after, kernel, stride=stride, padding=padding)
            for before, after, (kernel, stride, padding) in zip(channels, channels[1:], shapes, strict=False)
        )
        self.activations = nn.ModuleList(
            nn.Sequential(nn.BatchNorm1d(after), nn.ReLU()) for after in channels[1:-1]
        )
        self.activations.append(nn.Tanh())

    def forward(self, windows: Tensor) -> Tensor:
        """(M, 10000) -> (M, code_dim) in [-1, 1]."""
        x = windows.unsqueeze(1)
        for convolution, activation in zip(self.cl, self.activations, strict=True):
            x = activation(convolution(x))
        return x.squeeze(-1)


class SDFASpeechEncoder(nn.Module):
    """The window encoder and a two-layer GRU over the frames. Keys `encoder.*`, `rnn.*` as published.

    Args:
        dim: size of a window's code, and of what the GRU makes of it.
        width: factor on the convolutions' channels.
    """

    def __init__(self, dim: int = 256, width: float = 1.0) -> None:
        super().__init__()
        self.encoder = SpeechWindowEncoder(dim, width)
        self.rnn = nn.GRU(dim, dim, num_layers=2, batch_first=True)

    def forward(self, windows: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encode frames in order.

        Args:
            windows: (B, T, 10000) from `frame_windows`.
            state: of the GRU after the frame before, (2, B, dim); None at the beginning.

        Returns:
            (B, T, dim) and the state after the last frame.
        """
        codes = self.encoder(rearrange(windows, "b t n -> (b t) n"))
        return self.rnn(rearrange(codes, "(b t) d -> b t d", b=windows.shape[0]), state)
