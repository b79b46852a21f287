"""Speaker encoder by generalised end-to-end loss (GE2E; Wan et al., ICASSP 2018): who speaks, as a unit vector."""

import torch
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks

from s2v.batch import SAMPLE_RATE

HOP_SAMPLES, WINDOW_SAMPLES, MELS = 160, 400, 40
PARTIAL_FRAMES = 160
"""Mel frames, 1.6 s, that the published network was trained on."""

LEAST_LOUDNESS = 10 ** (-30 / 20)
"""RMS, -30 dBFS, that quieter speech is raised to."""


class SpeakerEncoder(nn.Module):
    """Three LSTM layers over mel energies; their last state, projected. Layout of resemble-ai/Resemblyzer.

    Speech is heard in partial utterances of 1.6 s that overlap by half, the last one perhaps by more, whose vectors are
    averaged. Resemblyzer also cuts silences out first; here they are heard.

    Args:
        hidden: LSTM units.
        out_dim: size of the vector.
        layers: LSTM layers.
    """

    def __init__(self, hidden: int = 256, out_dim: int = 256, layers: int = 3) -> None:
        super().__init__()
        self.out_dim = out_dim
        self.lstm = nn.LSTM(MELS, hidden, layers, batch_first=True)
        self.linear = nn.Linear(hidden, out_dim)
        bands = melscale_fbanks(
            WINDOW_SAMPLES // 2 + 1, 0, SAMPLE_RATE / 2, MELS, SAMPLE_RATE, "slaney", "slaney"
        )
        self.register_buffer("bands", bands, persistent=False)
        self.register_buffer("window", torch.hann_window(WINDOW_SAMPLES), persistent=False)

    def mels(self, speech: Tensor) -> Tensor:
        """Mel energies of Hann windows of 25 ms every 10 ms: (B, N) -> (B, N // 160 + 1, 40).

        Less than a window's 400 samples are filled up with silence.
        """
        missing = max(0, WINDOW_SAMPLES - speech.shape[-1])
        spectra = torch.stft(
            nn.functional.pad(speech, (0, missing)),
            WINDOW_SAMPLES,
            HOP_SAMPLES,
            window=self.get_buffer("window"),
            return_complex=True,
        )
        return spectra.abs().square().transpose(1, 2) @ self.get_buffer("bands")

    def forward(self, speech: Tensor) -> Tensor:
        """16 kHz speech (B, N) in [-1, 1] -> unit vectors (B, out_dim)."""
        loudness = speech.square().mean(dim=-1, keepdim=True).sqrt().clamp_min(1e-6)
        mels = self.mels(speech * (LEAST_LOUDNESS / loudness).clamp_min(1))
        starts = partial_starts(mels.shape[1])
        vectors = [self._of_partial(mels[:, start : start + PARTIAL_FRAMES]) for start in starts]
        return nn.functional.normalize(torch.stack(vectors).mean(dim=0), dim=-1)

    def _of_partial(self, mels: Tensor) -> Tensor:
        """Mel energies (B, T, 40) -> unit vectors (B, out_dim)."""
        _, (last, _) = self.lstm(mels)
        return nn.functional.normalize(self.linear(last[-1]).relu(), dim=-1)


def partial_starts(mel_frames: int) -> list[int]:
    """Where the partial utterances of so many mel frames start: every half of one, and the last that fits."""
    last = max(0, mel_frames - PARTIAL_FRAMES)
    starts = list(range(0, last + 1, PARTIAL_FRAMES // 2))
    # speech that partials fit exactly has one frame more, centred on its end: no reason for another
    return [*starts, last] if last - starts[-1] > 1 else starts
