"""The generator: shapes at several sizes, and the identity half computed once a clip."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from s2v.face_regions import ContextRegion
from s2v.models.frame_decoder import JoinedUpsampling, Speech2VideoGenerator
from s2v.models.identity_branch import IdentityBranch, initialise_decoder


@pytest.mark.parametrize("size", [64, 96, 128])
def test_shapes(size: int) -> None:
    generator = Speech2VideoGenerator(16, 24, 8, image_size=size, width=1 / 32, feature_width=1 / 16)
    frames, maps = generator(torch.randn(2, 3, 16), torch.randn(2, 24), torch.randn(2, 8))
    assert frames.shape == (2, 3, 3, size, size)
    assert frames.abs().max() <= 1
    assert [tuple(m.shape) for m in maps] == [
        (2, 32, size // 16, size // 16),
        (2, 32, size // 8, size // 8),
        (2, 16, size // 4, size // 4),
    ]


@pytest.mark.parametrize("size", [64, 128])
def test_subpixel_begins_with_blocks_of_equal_pixels(size: int) -> None:
    """Four equal pixels from each place: the chequerboard of four unlike ones has to be unlearnt."""
    generator = Speech2VideoGenerator(
        16, 24, 8, image_size=size, width=1 / 32, feature_width=1 / 16, subpixel=True
    )
    frames, maps = generator(torch.randn(2, 3, 16), torch.randn(2, 24), torch.randn(2, 8))
    assert frames.shape == (2, 3, 3, size, size)
    assert [m.shape[-1] for m in maps] == [size // 16, size // 8, size // 4]
    block_means = functional.avg_pool2d(frames.flatten(0, 1), 2)
    torch.testing.assert_close(functional.interpolate(block_means, scale_factor=2), frames.flatten(0, 1))
    assert block_means.diff(dim=-1).abs().max() > 1e-3  # of different places they differ


def test_subpixel_draws_each_pixel_of_a_block_by_itself() -> None:
    """The last convolution's channel 4 c + 2 y + x is colour c of pixel (y, x), as Shi et al. (2016) lay them out."""
    generator = Speech2VideoGenerator(
        16, 24, 8, image_size=32, width=1 / 32, feature_width=1 / 16, subpixel=True
    ).eval()
    bias = generator.frame_decoder.to_rgb[0].bias
    assert bias is not None
    with torch.no_grad():
        generator.frame_decoder.to_rgb[0].weight.zero_()
        bias.copy_(torch.arange(12) / 12)
    picture = generator(torch.randn(1, 2, 16), torch.randn(1, 24), torch.randn(1, 8))[0][0, 0]
    blocks = torch.tensor([[[0, 1], [2, 3]], [[4, 5], [6, 7]], [[8, 9], [10, 11]]]) / 12
    torch.testing.assert_close(picture, blocks.tanh().repeat(1, 16, 16))


@pytest.mark.parametrize("subpixel", [False, True])
@pytest.mark.parametrize(
    ("size", "seed_size", "region", "first_row"),
    [
        (64, 2, "lower", 0),
        (64, 4, "lower", 1 / 4),
        (128, 4, "lower", 1 / 4),
        (64, 4, "jaw", 1 / 2),
        (128, 4, "jaw", 1 / 2),
    ],
)
def test_how_far_up_contexts_reach(
    size: int, seed_size: int, region: ContextRegion, first_row: float, subpixel: bool
) -> None:
    """By hand: four or five transposed convolutions carry a place of 1/4 a little less than 1/4 further."""
    torch.manual_seed(0)
    generator = Speech2VideoGenerator(
        16, 24, 8, size, 1 / 16, 1 / 16, subpixel, region, seed_size=seed_size
    ).eval()
    contexts, nu, mu = torch.randn(1, 1, 16), torch.randn(1, 24), torch.randn(1, 8)
    frames, maps = generator(contexts, nu, mu)
    assert frames.shape[-2:] == (size, size)
    assert [m.shape[-1] for m in maps] == [size // 16, size // 8, size // 4]
    assert len(generator.frame_decoder.stages) == (5 if 32 * seed_size == size else 4) - subpixel
    change = (generator(-contexts, nu, mu)[0] - frames).abs()[0, 0].amax(dim=(0, 2))
    assert change.nonzero().min().item() / size == pytest.approx(first_row, abs=2 / 64)
    mouth = change[int(0.6 * size) : int(0.95 * size)]  # MOUTH_LOSS_BOX's rows
    assert mouth.min() > 0


def test_first_maps_of_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"seed_size must be 2 or 4, .*\(64 pixels\), got 8"):
        Speech2VideoGenerator(16, 24, 8, 64, 1 / 16, 1 / 16, seed_size=8)


def test_paper_size_matches_the_vgg_maps() -> None:
    branch = IdentityBranch(identity_dim=8)
    maps = branch(torch.randn(2, 8))
    assert [tuple(m.shape[1:]) for m in maps] == [(512, 8, 8), (512, 16, 16), (256, 32, 32)]
    assert min(m.min() for m in maps) >= 0


def test_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 32"):
        IdentityBranch(image_size=100)


def test_joined_upsampling_is_one_transposed_convolution_of_the_concatenation() -> None:
    stage = JoinedUpsampling(3, 5, 4).eval()
    assert stage.from_identity is not None
    features, identity = torch.randn(6, 3, 4, 4), torch.randn(2, 5, 4, 4)
    joined = torch.cat([features, identity.repeat_interleave(3, dim=0)], dim=1)
    kernel = torch.cat([stage.from_frame.weight, stage.from_identity.weight])
    upsampled = stage.normalise(functional.conv_transpose2d(joined, kernel, stride=2, padding=1))
    expected = torch.relu(upsampled + stage.mix(upsampled))
    assert torch.allclose(stage(features, stage.from_identity(identity)), expected, atol=1e-5)


def test_it_begins_as_a_short_stack_that_paints_nearly_grey_from_maps_of_unit_size() -> None:
    torch.manual_seed(0)
    generator = Speech2VideoGenerator(16, 24, 8, image_size=64, width=1 / 8, feature_width=1 / 8)
    frames, maps = generator(torch.randn(8, 2, 16), torch.randn(8, 24), torch.randn(8, 8))
    assert frames.abs().mean() < 0.2
    # a ReLU behind a convolution that keeps the mean square halves it
    assert all(0.6 < m.square().mean().sqrt() < 0.8 for m in maps)
    for stage in generator.frame_decoder.stages:
        assert isinstance(stage, JoinedUpsampling)
        features = torch.randn(2, stage.from_frame.in_channels, 4, 4)
        torch.testing.assert_close(stage(features, None), stage.normalise(stage.from_frame(features)))


def test_the_sizes_of_what_it_is_told_do_not_matter_in_training() -> None:
    """nu's entries share an offset, contexts are small and mu's logits large."""
    torch.manual_seed(0)
    generator = Speech2VideoGenerator(16, 24, 8, image_size=32, width=1 / 16, feature_width=1 / 16)
    contexts, nu, mu = torch.randn(4, 3, 16), torch.randn(4, 24), torch.randn(4, 8)
    told_otherwise = copy.deepcopy(generator)
    frames, maps = generator(contexts, nu, mu)
    others, other_maps = told_otherwise(0.1 * contexts + 1, 20 * nu + 50, 30 * mu - 5)
    torch.testing.assert_close(other_maps, maps, atol=1e-2, rtol=0)
    torch.testing.assert_close(others, frames, atol=1e-2, rtol=0)


def test_identity_emotion_and_context_each_reach_the_picture() -> None:
    generator = Speech2VideoGenerator(16, 24, 8, image_size=32, width=1 / 16, feature_width=1 / 16).eval()
    contexts, nu, mu = torch.randn(1, 1, 16), torch.randn(1, 24), torch.randn(1, 8)
    picture = generator(contexts, nu, mu)[0]
    for changed in ((contexts + 1, nu, mu), (contexts, nu + 1, mu), (contexts, nu, mu + 1)):
        assert not torch.allclose(generator(*changed)[0], picture, atol=1e-6)


def test_frames_of_a_batch_do_not_mix() -> None:
    generator = Speech2VideoGenerator(16, 24, 8, image_size=32, width=1 / 16, feature_width=1 / 16).eval()
    contexts, nu, mu = torch.randn(2, 3, 16), torch.randn(2, 24), torch.randn(2, 8)
    together = generator(contexts, nu, mu)[0]
    alone = generator(contexts[1:, 2:], nu[1:], mu[1:])[0]
    assert torch.allclose(together[1, 2], alone[0, 0], atol=1e-5)


@pytest.mark.parametrize("kind", [nn.ConvTranspose2d, nn.Conv2d])
def test_layers_begin_with_as_much_as_comes_in(kind: type[nn.ConvTranspose2d | nn.Conv2d]) -> None:
    """Behind a ReLU: the mean square that it halves comes out whole."""
    torch.manual_seed(0)
    layer = kind(64, 64, 4, stride=2, padding=1, bias=False)
    initialise_decoder(layer)
    out = layer(torch.randn(4, 64, 16, 16).relu())
    assert out[..., 1:-1, 1:-1].std().item() == pytest.approx(1, abs=0.05)
