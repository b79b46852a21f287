"""SDFA, speech-driven facial animation: a still picture and speech to a talking face.

Vougioukas, Petridis, Pantic: "End-to-End Speech-Driven Facial Animation with Temporal GANs" (2018) and "Realistic
Speech-Driven Facial Animation with GANs" (IJCV 2020). The graph and the state-dict keys are those of the weights the
authors published, of 128 x 96 pixels and 55.28 M parameters.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from s2v.models.sdfa_decoder import NOISE_DIM, NOISE_SIGMA, SDFADecoder
from s2v.models.sdfa_identity import Identity, PictureIdentity, VoiceIdentity
from s2v.models.sdfa_speech import SDFASpeechEncoder, frame_windows


def height_and_width(image_size: int | Sequence[int]) -> tuple[int, int]:
    """One number is a square's side."""
    if isinstance(image_size, int):
        return image_size, image_size
    height, width = image_size
    return int(height), int(width)


class SDFA(nn.Module):
    """Speech encoder, identity encoder and decoder: SDFA's whole generator, or S2F+SDFA's.

    Args:
        image_size: height and width in pixels, or a square's side; any that can be halved until the longer is 4.
        width: factor on the convolutions' channels.
        speech_dim: size of the speech code of a frame.
        code_dim: size of the identity code.
        voice_dim: None: identity comes from a picture. Otherwise from a voice encoder's vector of this size.
    """

    # nothing here warps a picture: stills and frames are cut about the middle, so a crop must put faces there already
    mean_face: Tensor | None = None
    """(68, 2) x and y of the landmarks that published weights' faces lie at, or None where a file has none.

    The authors' code warps the still by five landmarks, points 33, 36, 39, 42 and 45, onto these before the network
    sees it (unless told `aligned=True`), and the frames it gives stay there.
    """

    def __init__(
        self,
        image_size: int | list[int] = 128,
        width: float = 1.0,
        speech_dim: int = 256,
        code_dim: int = 128,
        voice_dim: int | None = None,
    ) -> None:
        super().__init__()
        self.frame_size = height_and_width(image_size)
        self.image_size = self.frame_size[0] if self.frame_size[0] == self.frame_size[1] else None
        """The side of square frames."""
        self.voice_dim = voice_dim
        self.encoder = SDFASpeechEncoder(speech_dim, width)
        self.encoder_id: PictureIdentity | VoiceIdentity = (
            PictureIdentity(self.frame_size, code_dim, width)
            if voice_dim is None
            else VoiceIdentity(voice_dim, code_dim)
        )
        self.generator = SDFADecoder(self.frame_size, speech_dim, code_dim, width, skipped=voice_dim is None)

    def identify(self, who: Tensor) -> Identity:
        """A picture (B, 3, H, W) in [-1, 1], or a voice's vector (B, voice_dim), to an identity."""
        return self.encoder_id(who)

    def identity_parts(self, who: Tensor) -> list[Tensor | None]:
        """What `decode` needs of an identity, to be computed once a clip."""
        return self.generator.identity_parts(self.identify(who))

    def draw_noise(self, clips: int, frames: int, generator: torch.Generator | None = None) -> Tensor:
        """White noise (B, T, 10) on the network's device; drawn on the CPU where `generator` is given."""
        like = next(self.parameters())
        if generator is not None:
            drawn = torch.randn(clips, frames, NOISE_DIM, generator=generator)
        else:
            drawn = torch.randn(clips, frames, NOISE_DIM, device=like.device)
        return NOISE_SIGMA * drawn.to(like)

    def hear(self, speech: Tensor) -> Tensor:
        """16 kHz speech (B, N) -> a code for each of its frames (B, N // 640, speech_dim)."""
        return self.encoder(frame_windows(speech))[0]

    def forward(
        self, speech: Tensor, who: Tensor, frames: Tensor | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """Frames of a window of speech.

        Args:
            speech: (B, N), 16 kHz.
            who: see `identify`.
            frames: (B, T) int64, which of the window's frames to decode; None: all.
            noise: (B, N // 640, 10), white; None: drawn.

        Returns:
            (B, T, 3, H, W) in [-1, 1].
        """
        codes = self.hear(speech)
        shaped, _ = self.generator.shape_noise(self.draw_noise(*codes.shape[:2]) if noise is None else noise)
        if frames is not None:
            clips = torch.arange(len(frames), device=frames.device).unsqueeze(1)
            codes, shaped = codes[clips, frames], shaped[clips, frames]
        return self.generator(codes, shaped, self.identity_parts(who))
