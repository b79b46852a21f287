"""Speech made a little different each time it is heard: what a small corpus lacks in recordings of one voice."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

EQUALISER_BANDS = 8
"""Points, evenly spaced on a mel scale from 0 to 8 kHz, between which the equaliser's gain is interpolated."""


@dataclass(frozen=True)
class SpeechAugmentation:
    """How far training speech may be changed; 0 everywhere leaves it alone. What is said and by whom stays.

    Attributes:
        gain_db: louder or softer by up to so many dB.
        equaliser_db: standard deviation of a smooth random frequency response, dB.
        noise_snr_db: white noise, at this signal-to-noise ratio in dB or up to 30 dB above it; None: no noise.
    """

    gain_db: float = 6.0
    equaliser_db: float = 3.0
    noise_snr_db: float | None = 20.0

    def __call__(self, speech: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Speech (B, N) in [-1, 1] at 16 kHz -> the same, each row changed by itself, where it lies.

        Args:
            speech: floating point, on any device.
            generator: what draws, on that device; None: PyTorch's own there.
        """
        heard = speech.float()
        place: Any = {"device": speech.device, "generator": generator}
        if self.equaliser_db:
            gains = self.equaliser_db * torch.randn(len(heard), EQUALISER_BANDS, **place)
            heard = equalised(heard, gains)
        if self.noise_snr_db is not None:
            snr = self.noise_snr_db + 30 * torch.rand(len(heard), 1, **place)
            loudness = heard.square().mean(dim=1, keepdim=True).sqrt()
            heard = heard + loudness * 10 ** (-snr / 20) * torch.randn(heard.shape, **place)
        gain = 10 ** (self.gain_db * (2 * torch.rand(len(heard), 1, **place) - 1) / 20)
        return (gain * heard).clamp(-1, 1).to(speech.dtype)


def equalised(speech: Tensor, gains_db: Tensor) -> Tensor:
    """Speech (B, N) at 16 kHz with each row's gains (B, P), dB, at P points evenly spaced on the mel scale.

    In between gains are interpolated. Zero phase, so that no sound moves in time.
    """
    spectrum = torch.fft.rfft(speech)
    mels = torch.log1p(torch.linspace(0, 8000, spectrum.shape[-1], device=speech.device) / 700)
    place = mels / mels[-1] * (gains_db.shape[-1] - 1)
    below = place.long().clamp(max=gains_db.shape[-1] - 2)
    response = torch.lerp(gains_db[:, below], gains_db[:, below + 1], place - below)
    return torch.fft.irfft(spectrum * 10 ** (response / 20), n=speech.shape[-1])
