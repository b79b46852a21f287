"""The frame decoder as generation runs it: the same frames from fewer and faster operations.

In evaluation mode a batch norm is a factor and a summand for each channel. Both go into the convolution before it, or,
where an identity part is added in between, into that part. Tensors lie channels-last, where the processor's
convolutions of few frames come closest to the speed of a matrix product.
"""

from typing import cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from s2v.models.frame_decoder import FrameDecoder, JoinedUpsampling
from s2v.models.running_standardisation import RunningStandardisation


def norm_as_affine(norm: nn.BatchNorm2d | RunningStandardisation) -> tuple[Tensor, Tensor]:
    """What a batch norm does in evaluation mode, x * scale + shift: both (C,)."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = (norm.running_var + norm.eps).rsqrt()
    shift = -norm.running_mean * scale
    if isinstance(norm, nn.BatchNorm2d):
        return scale * norm.weight, shift * norm.weight + norm.bias
    return scale, shift


class FoldedUpsampling:
    """A `JoinedUpsampling` in evaluation mode, with its three batch norms folded into its convolutions."""

    def __init__(self, stage: JoinedUpsampling) -> None:
        scale, self.shift = norm_as_affine(cast(nn.BatchNorm2d, stage.normalise[0]))
        self.scale = scale.view(-1, 1, 1)
        self.upsample = channels_last(stage.from_frame.weight * scale.view(1, -1, 1, 1))
        first, norm, _, second, last_norm = stage.mix
        self.mix = [
            folded_conv(cast(nn.Conv2d, conv), cast(nn.BatchNorm2d, after))
            for conv, after in ((first, norm), (second, last_norm))
        ]

    def identity_part(self, convolved: Tensor) -> Tensor:
        """The identity map (B, C, h, w), convolved, as it is added to this stage's frames."""
        return channels_last(convolved * self.scale + self.shift.view(-1, 1, 1))

    def __call__(self, features: Tensor, identity: Tensor | None) -> Tensor:
        """features (B*T, C, h, w) and the identity part (B, C', 2h, 2w) -> (B*T, C', 2h, 2w)."""
        shift = self.shift if identity is None else None
        x = functional.conv_transpose2d(features, self.upsample, shift, stride=2, padding=1)
        if identity is not None:
            x.unflatten(0, (len(identity), -1)).add_(identity.unsqueeze(1))  # to each frame of its clip
        x.relu_()
        (first, first_shift), (second, second_shift) = self.mix
        mixed = pointwise(pointwise(x, first, first_shift).relu_(), second, second_shift)
        return mixed.add_(x).relu_()


class FoldedFrameDecoder:
    """A `FrameDecoder` in evaluation mode, with the weights that it has now.

    Inference alone: tensors are changed in place, so nothing can be differentiated.

    Args:
        decoder: on its device; later changes of it are not followed.

    Attributes:
        largest_values: how many values the largest tensor of a frame has.
    """

    @torch.no_grad()
    def __init__(self, decoder: FrameDecoder) -> None:
        scale, shift = norm_as_affine(decoder.standardise)
        self.seed_size = decoder.seed_size
        self.seed = decoder.seed_weight * scale
        self.seed_shift = decoder.seed.bias + decoder.seed_weight @ shift
        self.decoder = decoder
        self.stages = [FoldedUpsampling(cast(JoinedUpsampling, stage)) for stage in decoder.stages]
        self.to_rgb, self.rgb_stride = blocks_of_four(decoder)
        sizes = [self.seed_size * 2**number for number in range(1, len(self.stages) + 1)]
        self.largest_values = max(
            len(stage.shift) * size**2 for stage, size in zip(self.stages, sizes, strict=True)
        )

    def identity_parts(self, identity_maps: list[Tensor]) -> list[Tensor | None]:
        """As `FrameDecoder.identity_parts`, once a clip; for this decoder alone."""
        convolved = self.decoder.identity_parts(identity_maps)
        return [
            None if part is None else stage.identity_part(part)
            for stage, part in zip(self.stages, convolved, strict=True)
        ]

    def __call__(self, contexts: Tensor, mu: Tensor, identity_parts: list[Tensor | None]) -> Tensor:
        """contexts (B, T, D), mu (B, T, E) and parts of batch B -> frames (B, T, 3, S, S) in [-1, 1]."""
        heard = torch.cat([contexts, mu], dim=-1).flatten(0, 1)
        x = functional.linear(heard, self.seed, self.seed_shift)
        x = channels_last(rearrange(x, "n (c h w) -> n c h w", h=self.seed_size, w=self.seed_size))
        for stage, identity in zip(self.stages, identity_parts, strict=True):
            x = stage(x, identity)
        weight, bias = self.to_rgb
        blocks = functional.conv2d(x, weight, bias, stride=self.rgb_stride, padding=1).tanh_()
        return rearrange(blocks, "(b t) (y x c) h w -> b t c (h y) (w x)", b=len(contexts), y=2, x=2)


def folded_conv(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution without bias, followed by its batch norm."""
    scale, shift = norm_as_affine(norm)
    return channels_last(conv.weight * scale.view(-1, 1, 1, 1)), shift


def blocks_of_four(decoder: FrameDecoder) -> tuple[tuple[Tensor, Tensor], int]:
    """Weight, bias and stride of the convolution (padding 1) that makes 2x2 pixels at a time of the last features.

    Its channels are (row, column, colour); a `subpixel` decoder's own are (colour, row, column).
    """
    conv = cast(nn.Conv2d, decoder.to_rgb[0])
    if not decoder.subpixel:
        return in_blocks_of_four(conv), 2
    assert conv.bias is not None
    weight = rearrange(conv.weight.detach(), "(c p) i h w -> (p c) i h w", p=4)
    return (channels_last(weight), rearrange(conv.bias.detach(), "(c p) -> (p c)", p=4).contiguous()), 1


def in_blocks_of_four(conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Weight and bias that make of a 3x3 convolution (padding 1) a 4x4 one of stride 2, 2x2 pixels at a time.

    The processor computes 16 channels for 3 and for 12 alike, so a colour picture takes half the time; its channels
    are (row, column, colour).
    """
    assert conv.bias is not None
    weight = conv.weight.new_zeros(2, 2, conv.out_channels, conv.in_channels, 4, 4)
    for row in range(2):
        for column in range(2):
            weight[row, column, ..., row : row + 3, column : column + 3] = conv.weight
    return channels_last(weight.flatten(0, 2)), conv.bias.detach().repeat(4)


def pointwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A 1x1 convolution (N, C, H, W) -> (N, C', H, W).

    On CPUs `conv2d` makes of it a matrix product, which for the last stage's 8 to 32 channels takes five times as
    long as oneDNN's convolution, and is nowhere faster.
    """
    if x.device.type == "cpu" and torch.backends.mkldnn.is_available():
        return torch.mkldnn_convolution(x, weight, bias, [0, 0], [1, 1], [1, 1], 1)
    return functional.conv2d(x, weight, bias)


def channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last)
