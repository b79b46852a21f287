"""A generator of one's own makes its clips as it was trained; this package's makes them by the folded decoder."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from s2v.generation.clip_decoder import FoldedClipDecoder, TrainedClipDecoder, decoder_of
from s2v.generation.streaming import StreamingGenerator
from s2v.models.frame_decoder import FrameDecoder, JoinedUpsampling, Speech2VideoGenerator
from tests.s2v.generation.networks import small_networks, speech_like


class Inverting(Speech2VideoGenerator):
    """Overrides `decode` alone."""

    def decode(
        self, contexts: Tensor, identity_parts: list[Tensor | None], mu: Tensor, pose: Tensor | None = None
    ) -> Tensor:
        return -super().decode(contexts, identity_parts, mu, pose)


class Fading(Speech2VideoGenerator):
    """Overrides `forward` alone."""

    def forward(
        self, contexts: Tensor, nu: Tensor, mu: Tensor, pose: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        frames, maps = super().forward(contexts, nu, mu, pose)
        return 0.5 * frames, maps


class Mirroring(FrameDecoder):
    def forward(self, contexts: Tensor, mu: Tensor, identity_parts: list[Tensor | None]) -> Tensor:
        return super().forward(contexts, mu, identity_parts).flip(-1)


class Halving(nn.ConvTranspose2d):
    def forward(self, features: Tensor, output_size: list[int] | None = None) -> Tensor:
        return 0.5 * super().forward(features, output_size)


class Plain(Speech2VideoGenerator):
    """A decoder that has no part of this package's: a colour for each frame, from its context and the identity."""

    def forward(
        self, contexts: Tensor, nu: Tensor, mu: Tensor, pose: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        heard = torch.cat([contexts, nu.unsqueeze(1).expand(-1, contexts.shape[1], -1)], dim=-1)
        colours = self.frame_decoder(heard)[..., None, None]
        return colours.expand(-1, -1, -1, self.image_size, self.image_size), self.identity_maps(nu)


class WithoutShortcut(JoinedUpsampling):
    def forward(self, features: Tensor, identity: Tensor | None) -> Tensor:
        return torch.relu(super().forward(features, identity) - 0.1)


def inverting(made: Speech2VideoGenerator) -> None:
    made.__class__ = Inverting


def fading(made: Speech2VideoGenerator) -> None:
    made.__class__ = Fading


def mirroring(made: Speech2VideoGenerator) -> None:
    made.frame_decoder.__class__ = Mirroring


def halving(made: Speech2VideoGenerator) -> None:
    made.frame_decoder.stages[0].from_frame.__class__ = Halving


def other_mix(made: Speech2VideoGenerator) -> None:
    made.frame_decoder.stages[0].mix[4] = nn.Tanh()  # type: ignore[assignment, operator]


def other_range(made: Speech2VideoGenerator) -> None:
    made.frame_decoder.to_rgb[-1] = nn.Sigmoid()


def plain(made: Speech2VideoGenerator) -> None:
    made.__class__ = Plain
    made.frame_decoder = nn.Sequential(nn.Linear(16 + 24, 3), nn.Tanh())  # type: ignore[assignment]


def other_stage(made: Speech2VideoGenerator) -> None:
    made.frame_decoder.stages[1].__class__ = WithoutShortcut


def other_layer(made: Speech2VideoGenerator) -> None:
    made.frame_decoder.stages[0].normalise[1] = nn.Sigmoid()  # type: ignore[index, operator]


def not_standardised(made: Speech2VideoGenerator) -> None:
    made.frame_decoder.standardise = nn.Hardtanh(-0.1, 0.1)  # type: ignore[assignment]


class Own(Speech2VideoGenerator):
    """Overrides nothing: its `__init__` would have exchanged a layer by one of the same type."""


def padded_otherwise(made: Speech2VideoGenerator) -> None:
    made.__class__ = Own
    made.frame_decoder.to_rgb[0].padding_mode = "reflect"


def wider_kernel(made: Speech2VideoGenerator) -> None:
    made.__class__ = Own
    before = made.frame_decoder.to_rgb[0]
    assert isinstance(before, nn.Conv2d)
    made.frame_decoder.to_rgb[0] = nn.Conv2d(before.in_channels, before.out_channels, 5, padding=2)


def with_bias(made: Speech2VideoGenerator) -> None:
    made.__class__ = Own
    layer = made.frame_decoder.stages[0].from_frame
    assert isinstance(layer, nn.ConvTranspose2d)
    layer.bias = nn.Parameter(torch.ones(layer.out_channels))


def hooked(made: Speech2VideoGenerator) -> None:
    made.frame_decoder.stages[0].register_forward_hook(lambda stage, heard, frames: 0.5 * frames)


@pytest.mark.parametrize(
    "change",
    [
        padded_otherwise,
        wider_kernel,
        with_bias,
        hooked,
        inverting,
        fading,
        plain,
        mirroring,
        not_standardised,
        other_stage,
        other_layer,
        halving,
        other_mix,
        other_range,
    ],
)
def test_what_an_own_generator_changes_is_in_its_clips(
    change: Callable[[Speech2VideoGenerator], None],
) -> None:
    representation, generator = small_networks()
    built_in = torch.cat(list(StreamingGenerator(representation, generator, 40).decoded([speech_like(1.0)])))
    change(generator)
    assert isinstance(decoder_of(generator), TrainedClipDecoder)
    speech = speech_like(1.0)
    stream = StreamingGenerator(representation, generator, 40)
    made = torch.cat(list(stream.decoded([speech])))
    times = (torch.arange(25) + 0.5) / 25
    with torch.no_grad():
        trained = generator(*representation(speech.unsqueeze(0), times.unsqueeze(0)))[0][0]
    torch.testing.assert_close(made, trained, rtol=0, atol=1e-4)
    assert (made - built_in).abs().mean() > 1e-3


def test_this_packages_generator_is_folded() -> None:
    for pose_dim in (0, 4):
        assert isinstance(decoder_of(small_networks(pose_dim=pose_dim)[1]), FoldedClipDecoder)
    for subpixel in (False, True):
        made = Speech2VideoGenerator(16, 24, 8, 32, 0.05, 0.05, subpixel)
        assert isinstance(decoder_of(made), FoldedClipDecoder)
