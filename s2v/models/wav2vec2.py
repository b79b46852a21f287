"""wav2vec 2.0 and HuBERT (Baevski et al. 2020, Hsu et al. 2021) as speech encoders in CPC's place.

The network is torchaudio's; published weights are read by `s2v.weights.load_wav2vec2`.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from s2v.models.between_steps import between_steps
from s2v.models.windowed_speech_encoder import WindowedSpeechEncoder
from s2v.speech_time import SAMPLES_PER_LATENT

SAMPLES_PER_STEP = 320
"""From one of the network's steps to the next: 50 a second."""

HEARD_PER_STEP = 400
"""Samples that the convolutions of a step reach over; the shortest speech there is."""

_BLOCK = {"group": ("group_norm", False), "layer": ("layer_norm", True)}
"""norm -> of the convolutions, and whether a transformer block normalises what it reads or what it gives."""


def published_heads(hidden: int) -> int:
    """Of a network of this size: one for 64 values, 16 at most."""
    return min(16, max(1, hidden // 64))


class Wav2Vec2(WindowedSpeechEncoder):
    """A wav2vec 2.0 or HuBERT, one architecture, up to one of its transformer blocks.

    The contexts are what that block gives, 50 a second, interpolated linearly to CPC's 100 a second.

    Args:
        hidden: size of a context: 768 for base, 1,024 for large models, 1,280 for HuBERT's "xlarge".
        layers: how many transformer blocks speech goes through; published models have 12, 24 or 48. Middle ones tell
            sounds best (Pasad et al. 2021), the last ones what the model was trained to predict.
        norm: "group" for base models and the large wav2vec 2.0 of LibriSpeech, "layer" for the other large ones, which
            hear speech of zero mean and unit variance.
        heads: of attention, by default those of the published models, `published_heads`.
        span: see `WindowedSpeechEncoder`.

    Raises:
        ValueError: there is no block, or `hidden` is no multiple of 16 and of the heads.
    """

    def __init__(
        self,
        hidden: int = 768,
        layers: int = 12,
        norm: Literal["group", "layer"] = "group",
        heads: int | None = None,
        span: float = 2.0,
    ) -> None:
        # here, as no other network needs it, and every command that loads weights imports this file
        from torchaudio.models import wav2vec2_model

        super().__init__(hidden, span)
        heads = published_heads(hidden) if heads is None else heads
        if min(layers, heads) < 1 or hidden % 16 or hidden % heads:
            raise ValueError(
                f"expected at least one of layers and heads, and as hidden a multiple of 16 and of heads, got "
                f"layers={layers}, heads={heads}, hidden={hidden}"
            )
        self.layers = layers
        self.norm = norm
        self.heads = heads
        mode, normalised_first = _BLOCK[norm]
        self.network = wav2vec2_model(
            extractor_mode=mode,
            extractor_conv_layer_config=None,
            extractor_conv_bias=norm == "layer",
            encoder_embed_dim=hidden,
            encoder_projection_dropout=0.0,
            encoder_pos_conv_kernel=128,
            encoder_pos_conv_groups=16,
            encoder_num_layers=layers,
            encoder_num_heads=heads,
            encoder_attention_dropout=0.0,
            encoder_ff_interm_features=4 * hidden,
            encoder_ff_interm_dropout=0.0,
            encoder_dropout=0.0,
            encoder_layer_norm_first=normalised_first,
            encoder_layer_drop=0.0,
            aux_num_out=None,
        )
        if normalised_first:  # what comes after the last block, which is not read
            self.network.encoder.transformer.layer_norm = nn.Identity()

    def hear(self, speech: Tensor) -> Tensor:
        """Speech (B, 160 L) to contexts (B, L, hidden)."""
        count = speech.shape[1] // SAMPLES_PER_LATENT
        if self.norm == "layer":
            speech = functional.layer_norm(speech, speech.shape[-1:])
        speech = functional.pad(speech, (0, max(0, HEARD_PER_STEP - speech.shape[1])))
        steps = self.network.extract_features(speech, num_layers=self.layers)[0][-1]
        # Step j is centred on sample 320 j + 200, context i on sample 160 i + 80.
        centres = SAMPLES_PER_LATENT * (torch.arange(count, device=speech.device) + 0.5)
        position = (centres - HEARD_PER_STEP / 2) / SAMPLES_PER_STEP
        return between_steps(steps, position.expand(len(steps), -1))
