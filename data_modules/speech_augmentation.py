"""Speech made a little different each time it is heard: what a small corpus lacks in recordings of one voice."""

from dataclasses import dataclass

import numpy as np

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

    def __call__(self, speech: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Speech (N,) float32 in [-1, 1] at 16 kHz -> the same, changed as `draw` says."""
        changed = speech.astype(np.float32)
        if self.equaliser_db:
            changed = equalised(changed, self.equaliser_db * draw.standard_normal(EQUALISER_BANDS))
        if self.noise_snr_db is not None:
            snr = self.noise_snr_db + 30 * draw.random()
            loudness = float(np.sqrt(np.mean(changed**2)))
            noise = draw.standard_normal(len(changed), dtype=np.float32)
            changed = changed + np.float32(loudness * 10 ** (-snr / 20)) * noise
        gain = 10 ** (self.gain_db * (2 * draw.random() - 1) / 20)
        return np.clip(gain * changed, -1, 1).astype(np.float32)


def equalised(speech: np.ndarray, gains_db: np.ndarray) -> np.ndarray:
    """Speech (N,) with gains in dB at points evenly spaced on the mel scale, and in between by interpolation.

    Zero phase, so that no sound moves in time.
    """
    spectrum = np.fft.rfft(speech, n=len(speech))
    mels = 2595 * np.log10(1 + np.linspace(0, 8000, len(spectrum)) / 700)
    points = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), len(gains_db))
    return np.fft.irfft(spectrum * 10 ** (np.interp(mels, points, gains_db) / 20), n=len(speech)).astype(
        np.float32
    )
