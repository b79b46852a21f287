"""Contrastive predictive coding of speech: 16 kHz samples to 100 latents and contexts a second.

The network of facebookresearch/CPC_audio (Riviere et al. 2020, after van den Oord et al. 2018), with its
state-dict keys: `gEncoder.conv{0-4}`, `gEncoder.batchNorm{0-4}` and `gAR.baseNet`.
"""

from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from s2v.models.speech_encoder import SpeechEncoder

_KERNEL_STRIDE_PADDING = ((10, 5, 3), (8, 4, 2), (4, 2, 1), (4, 2, 1), (4, 2, 1))

_EPSILON = 1e-5

RecurrentState = Tensor | tuple[Tensor, Tensor]
"""(layers, B, hidden); the pair (hidden state, cell state) for an LSTM."""


class ChannelNorm(nn.Module):
    """Normalises over the channels of each step, with the UNBIASED variance the published weights expect.

    (B, L, C) -> (B, L, C). Unlike batch normalisation it does the same in training and evaluation, and
    unlike group normalisation steps do not mix: a latent does not depend on the clip's length.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, channels, 1))
        self.bias = nn.Parameter(torch.zeros(1, channels, 1))
        # Layer normalisation is this with the biased variance; scaling weight and epsilon makes them one, and
        # gives PyTorch's fused kernel.
        self.unbiased = (channels - 1) / channels

    def forward(self, steps: Tensor) -> Tensor:
        weight = self.weight.flatten() * self.unbiased**0.5
        return functional.layer_norm(
            steps, steps.shape[-1:], weight, self.bias.flatten(), _EPSILON * self.unbiased
        )


def strided_convolution(steps: Tensor, conv: nn.Conv1d) -> Tensor:
    """`conv` on (B, L, C) as matrix products: (B, L', C'), L' = (L + 2 padding - kernel) // stride + 1.

    Every CPC kernel is two strides long, so an output is one matrix times a block of `stride` steps plus
    another times the next block. On CPUs that is several times faster than PyTorch's 1-d convolution.
    """
    stride, padding = conv.stride[0], int(conv.padding[0])
    blocks = (steps.shape[1] + 2 * padding) // stride
    padded = functional.pad(steps, (0, 0, padding, padding))[:, : blocks * stride]
    joined = rearrange(padded, "batch (blocks steps) channels -> batch blocks (steps channels)", steps=stride)
    weight = rearrange(conv.weight, "out channels steps -> out (steps channels)")
    if conv.in_channels == 1:  # ten numbers of speech an output: copied side by side, they are one product
        return functional.linear(torch.cat([joined[:, :-1], joined[:, 1:]], dim=-1), weight, conv.bias)
    this, following = weight.chunk(2, dim=1)
    result = functional.linear(joined[:, :-1], this, conv.bias)
    return torch.baddbmm(result, joined[:, 1:], following.T.expand(len(joined), -1, -1))


class CPCEncoder(nn.Module):
    """Five strided convolutions: speech (B, N, 1) to latents (B, L, C), L = (N + 1) // 160."""

    def __init__(self, channels: int = 256) -> None:
        super().__init__()
        for index, (kernel, stride, padding) in enumerate(_KERNEL_STRIDE_PADDING):
            conv = nn.Conv1d(channels if index else 1, channels, kernel, stride, padding)
            self.add_module(f"conv{index}", conv)
            self.add_module(f"batchNorm{index}", ChannelNorm(channels))
            # PyTorch's default biases outweigh a first layer that sees quiet speech: all latents would begin alike.
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)

    def forward(self, speech: Tensor) -> Tensor:
        steps = speech
        for index in range(len(_KERNEL_STRIDE_PADDING)):
            conv, norm = getattr(self, f"conv{index}"), getattr(self, f"batchNorm{index}")
            steps = torch.relu(norm(strided_convolution(steps, conv)))
        return steps


class CPCContext(nn.Module):
    """The recurrent network that summarises latents up to now: (B, L, C) to (B, L, hidden)."""

    def __init__(self, channels: int, hidden: int, rnn: Literal["lstm", "gru"], layers: int) -> None:
        super().__init__()
        recurrent = {"lstm": nn.LSTM, "gru": nn.GRU}[rnn]
        self.baseNet = recurrent(channels, hidden, num_layers=layers, batch_first=True)

    def forward(self, latents: Tensor, state: RecurrentState | None = None) -> tuple[Tensor, RecurrentState]:
        if latents.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            # many processors' LSTM has no bfloat16
            with torch.autocast("cpu", enabled=False):
                return self.baseNet(latents.float(), state)
        return self.baseNet(latents, state)


class CPC(SpeechEncoder):
    """Speech (B, N), 16 kHz in [-1, 1], to latents (B, L, channels) and contexts (B, L, hidden).

    L = (N + 1) // 160; which samples a latent hears, and where its centre lies, `s2v.speech_time` says. Every call
    starts from an empty recurrent state; `summarise` takes and gives the state for speech that comes in pieces.

    A subclass may have an `encode` and a `summarise` of its own, with `channels` and `hidden` as here. Clips are made
    from blocks of speech: latent i may hear samples 160 i - 153 to 160 i + 311 alone, and what a context remembers of
    earlier latents has to be in the state. Otherwise clips are made from other contexts than training has.
    """

    def __init__(
        self,
        channels: int = 256,
        hidden: int = 256,
        rnn: Literal["lstm", "gru"] = "lstm",
        layers: int = 1,
    ) -> None:
        super().__init__()
        self.channels, self.hidden = channels, hidden
        self.gEncoder = CPCEncoder(channels)
        self.gAR = CPCContext(channels, hidden, rnn, layers)

    def encode(self, speech: Tensor) -> Tensor:
        """Speech (B, N) to latents (B, L, channels), L = (N + 1) // 160.

        Raises:
            InputError: the shape is another, or N is below 160.
        """
        self.check_speech(speech)
        return self.gEncoder(rearrange(speech, "batch samples -> batch samples 1"))

    def summarise(
        self, latents: Tensor, state: RecurrentState | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """Latents (B, L, channels) to contexts (B, L, hidden) and the state to go on from."""
        return self.gAR(latents, state)

    def contexts_of(self, latents: Tensor) -> Tensor:
        """Latents (B, L, channels), the first that are heard, to contexts (B, L, hidden)."""
        return self.summarise(latents)[0]
