"""What a speech encoder is to both stages: 16 kHz speech to 100 contexts a second."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from s2v.errors import InputError
from s2v.speech_time import SAMPLES_PER_LATENT


class SpeechEncoder(nn.Module, ABC):
    """Speech (B, N), 16 kHz in [-1, 1], to latents (B, L, channels) and contexts (B, L, hidden).

    L = (N + 1) // 160; where latents and contexts have their centres, `s2v.speech_time` says. An encoder of one's own
    is a subclass of one of these two, by which clips can be made from speech of any length:

    - `s2v.models.cpc.CPC`, whose contexts hear nothing of what comes later;
    - `s2v.models.windowed_speech_encoder.WindowedSpeechEncoder`, for networks that look ahead.

    Attributes:
        channels: size of a latent.
        hidden: size of a context.
    """

    channels: int
    hidden: int

    @abstractmethod
    def encode(self, speech: Tensor) -> Tensor:
        """Speech (B, N) to latents (B, L, channels)."""

    @abstractmethod
    def contexts_of(self, latents: Tensor) -> Tensor:
        """Latents (B, L, channels) of speech that begins and ends there to contexts (B, L, hidden)."""

    def omega(self, contexts: Tensor) -> Tensor:
        """What the students read of a clip: its contexts (B, L, hidden) -> (B, hidden).

        The last one, which has heard the whole clip (paper, Fig. 2).
        """
        return contexts[:, -1]

    def check_speech(self, speech: Tensor) -> None:
        """Raise InputError for what is no speech (B, N) of at least a latent's 160 samples."""
        if speech.dim() != 2 or speech.shape[1] < SAMPLES_PER_LATENT:
            raise InputError(
                f"{type(self).__name__} expects speech of shape (B, N) with N >= {SAMPLES_PER_LATENT} samples (10 ms), "
                f"but got shape {tuple(speech.shape)}"
                + ("; one clip is speech[None]" if speech.dim() == 1 else "")
            )

    def forward(self, speech: Tensor) -> tuple[Tensor, Tensor]:
        latents = self.encode(speech)
        return latents, self.contexts_of(latents)
