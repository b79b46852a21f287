"""Mel-frequency cepstral coefficients as python_speech_features computes them by default: SyncNet's input.

pre-emphasis 0.97 -> frames of 25 ms every 10 ms, no window -> |FFT_512|^2 / 512 -> 26 triangular mel filters
-> log -> orthonormal DCT-II -> the first 13, liftered by 22, the first replaced by the log frame energy.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from s2v.batch import SAMPLE_RATE

FRAME_SAMPLES = 400
STEP_SAMPLES = 160
NUM_COEFFICIENTS = 13

_FFT_SIZE = 512
_NUM_FILTERS = 26
_LIFTER = 22
_PRE_EMPHASIS = 0.97
_EPSILON = 2.0**-52
"""Stands in for a zero before the logarithm: float64's spacing at 1, and the same in float32."""


def mfcc_frames(samples: int) -> int:
    """How many MFCC frames `samples` samples give; the last one is padded with zeros."""
    return 1 + max(0, math.ceil((samples - FRAME_SAMPLES) / STEP_SAMPLES))


@lru_cache(maxsize=1)
def mel_filters() -> Tensor:
    """Triangles in mel scale over the FFT bins: (26, 257) float64, corners rounded down to bins."""

    def to_mel(hertz: float) -> float:
        return 2595.0 * math.log10(1.0 + hertz / 700.0)

    top = to_mel(SAMPLE_RATE / 2)
    corners = [top * index / (_NUM_FILTERS + 1) for index in range(_NUM_FILTERS + 2)]
    hertz = [700.0 * (10.0 ** (mel / 2595.0) - 1.0) for mel in corners]
    bins = [math.floor((_FFT_SIZE + 1) * value / SAMPLE_RATE) for value in hertz]
    filters = torch.zeros(_NUM_FILTERS, _FFT_SIZE // 2 + 1, dtype=torch.float64)
    for index in range(_NUM_FILTERS):
        left, peak, right = bins[index : index + 3]
        for position in range(left, peak):
            filters[index, position] = (position - left) / (peak - left)
        for position in range(peak, right):
            filters[index, position] = (right - position) / (right - peak)
    return filters


@lru_cache(maxsize=1)
def liftered_dct() -> Tensor:
    """Orthonormal DCT-II of 26 log energies, its first 13 rows, times the lifter: (13, 26) float64."""
    row = torch.arange(NUM_COEFFICIENTS, dtype=torch.float64).unsqueeze(1)
    column = torch.arange(_NUM_FILTERS, dtype=torch.float64)
    basis = torch.cos(math.pi * row * (2 * column + 1) / (2 * _NUM_FILTERS)) * math.sqrt(2 / _NUM_FILTERS)
    basis[0] /= math.sqrt(2)
    return basis * (1 + _LIFTER / 2 * torch.sin(math.pi * row / _LIFTER))


def mfcc(speech: Tensor) -> Tensor:
    """Speech (B, N) or (N,), 16 kHz, int16-VALUED (-32768..32767), to (B, L, 13) or (L, 13).

    float64 in, float64 out; anything else is computed in float32. L = `mfcc_frames(N)`.
    """
    signal = speech if speech.dtype == torch.float64 else speech.float()
    emphasised = torch.cat([signal[..., :1], signal[..., 1:] - _PRE_EMPHASIS * signal[..., :-1]], dim=-1)
    length = (mfcc_frames(signal.shape[-1]) - 1) * STEP_SAMPLES + FRAME_SAMPLES
    padded = functional.pad(emphasised, (0, length - signal.shape[-1]))
    frames = padded.unfold(-1, FRAME_SAMPLES, STEP_SAMPLES)
    power = torch.fft.rfft(frames, n=_FFT_SIZE).abs().square() / _FFT_SIZE
    energy = power.sum(dim=-1)
    with torch.autocast(power.device.type, enabled=False):  # logarithms of 20 in bfloat16 are off by 0.06
        filtered = power @ mel_filters().to(power).T
        cepstrum = torch.log(_without_zeros(filtered)) @ liftered_dct().to(power).T
    return torch.cat([torch.log(_without_zeros(energy)).unsqueeze(-1), cepstrum[..., 1:]], dim=-1)


def _without_zeros(values: Tensor) -> Tensor:
    return torch.where(values == 0, torch.full_like(values, _EPSILON), values)
