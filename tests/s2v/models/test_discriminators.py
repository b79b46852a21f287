"""The three discriminators: shapes, scales, pairing, and that each can learn its task."""

import pytest
import torch
from torch import nn

from s2v.losses.least_squares import discriminator_loss
from s2v.models.discriminators import FrameDiscriminator, IdentityDiscriminator, SyncDiscriminator


def maps(scale: float = 1.0) -> list[torch.Tensor]:
    return [scale * torch.rand(2, c, s, s) for c, s in ((32, 4), (32, 8), (16, 16))]


def test_identity_scores_and_running_scales() -> None:
    discriminator = IdentityDiscriminator(feature_width=1 / 16, width=1 / 16)
    assert discriminator(maps()).shape == (2, 1, 2, 2)
    real = maps(300.0)
    scaled = discriminator.normalise_real(real)
    # the first batch sets the scale: unit root mean square
    assert [m.square().mean().sqrt().item() for m in scaled] == pytest.approx([1.0] * 3, rel=1e-4)
    discriminator.eval()
    before = discriminator.scales.clone()
    discriminator.normalise_real(maps(5.0))
    assert torch.equal(discriminator.scales, before)


def test_identity_scales_are_running_means_and_of_dark_maps_no_nan() -> None:
    discriminator = IdentityDiscriminator(feature_width=1 / 16, width=1 / 16)
    of = [torch.full((1, 1, 2, 2), value) for value in (6.0, 2.0, 0.0)]
    for maps, expected in zip(
        ([of[0]] * 3, [of[1]] * 3, [of[1], of[1], of[2]]), (6.0, 4.0, None), strict=True
    ):
        scaled = discriminator.normalise_real(maps)
        if expected is not None:
            assert discriminator.scales.tolist() == pytest.approx([expected] * 3)
    assert discriminator.scales.tolist() == pytest.approx([10 / 3, 10 / 3, 8 / 3])
    assert scaled[2].eq(0).all()
    discriminator.scales_seen.fill_(1000)  # later ones move them by a hundredth
    discriminator.normalise_real([torch.full((1, 1, 2, 2), 10 / 3 + 1)] * 3)
    assert discriminator.scales[0].item() == pytest.approx(10 / 3 + 0.01)
    dark = IdentityDiscriminator(feature_width=1 / 16, width=1 / 16)
    assert all(m.eq(0).all() for m in dark.normalise_real([of[2]] * 3))


def test_frame_scores_patches() -> None:
    assert FrameDiscriminator(width=1 / 16)(torch.randn(3, 3, 64, 64)).shape == (3, 1, 4, 4)


def test_frame_halvings_are_as_many_as_asked_for_or_an_error() -> None:
    assert FrameDiscriminator(width=1 / 16, layers=6)(torch.randn(1, 3, 64, 64)).shape == (1, 1, 1, 1)
    for layers in (-1, 0, 7):
        with pytest.raises(ValueError, match=f"1 to 6 times, not {layers}"):
            FrameDiscriminator(width=1 / 16, layers=layers)


@pytest.mark.parametrize("normalise", [True, False])
def test_the_halving_convolutions_stretch_nothing_if_normalised(normalise: bool) -> None:
    """Their largest singular value is 1 (Miyato et al. 2018)."""
    torch.manual_seed(0)
    for network in (
        IdentityDiscriminator(1 / 16, 1 / 16, normalise),
        FrameDiscriminator(1 / 16, normalise=normalise),
        SyncDiscriminator(8, 32, 1 / 16, normalise),
    ):
        halvings = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
        for _ in range(100):  # each look at a weight in training comes a step nearer
            assert all(m.weight.isfinite().all() for m in halvings)
        largest = [torch.linalg.matrix_norm(m.weight.flatten(1), 2).item() for m in halvings]
        assert len(largest) >= 3
        assert all(value == pytest.approx(1, abs=0.05) for value in largest) == normalise


def test_sync_reads_picture_context_and_their_product() -> None:
    seen: list[torch.Tensor] = []
    discriminator = SyncDiscriminator(8, image_size=32, width=1 / 16).eval()
    discriminator.score.register_forward_pre_hook(lambda _, joined: seen.append(joined[0]))
    discriminator(torch.randn(2, 3, 8), torch.randn(2, 3, 3, 32, 32))
    picture, context, product = seen[0].chunk(3, dim=-1)
    assert torch.equal(product, picture * context) and not torch.equal(picture, context)


def test_sync_scores_pairs() -> None:
    discriminator = SyncDiscriminator(8, image_size=32, width=1 / 16).eval()
    contexts, frames = torch.randn(2, 3, 8), torch.randn(2, 3, 3, 32, 32)
    scores = discriminator(contexts, frames)
    assert scores.shape == (2, 3)
    alone = discriminator(contexts[1:, 2:], frames[1:, 2:])
    assert alone.item() == pytest.approx(scores[1, 2].item(), abs=1e-5)


def test_sync_pairs_embedded_frames_as_it_pairs_frames() -> None:
    """Also after a shift along the clip, which embedded frames take as frames do."""
    torch.manual_seed(0)
    discriminator = SyncDiscriminator(8, image_size=32, width=1 / 16).eval()
    contexts, frames = torch.randn(2, 5, 8), torch.randn(2, 5, 3, 32, 32)
    embedded = discriminator.embed_frames(frames)
    assert embedded.shape == (2, 5, 32)
    for shift in range(5):
        wanted = discriminator(contexts, frames.roll(shift, dims=1))
        torch.testing.assert_close(discriminator.score_pairs(contexts, embedded.roll(shift, dims=1)), wanted)


def test_frame_maps_are_scored_as_their_frames() -> None:
    torch.manual_seed(0)
    discriminator = FrameDiscriminator(width=1 / 16, layers=3).eval()
    frames = torch.randn(2, 3, 32, 32)
    maps = discriminator.feature_maps(frames)
    assert [m.shape[-1] for m in maps] == [16, 8, 4]
    torch.testing.assert_close(discriminator.score_maps(maps), discriminator(frames))


@pytest.mark.slow
def test_sync_learns_which_pairs_agree() -> None:
    """A context holds the brightness of its frame; wrong pairs are the same frames in another order."""
    torch.manual_seed(0)
    discriminator = SyncDiscriminator(4, image_size=32, width=1 / 16, normalise=False)
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=2e-3)
    for _ in range(250):
        light = torch.rand(8, 6, 1) * 2 - 1
        frames = light[..., None, None].expand(8, 6, 3, 32, 32)
        contexts = light.expand(8, 6, 4)
        real, fake = discriminator(contexts, frames), discriminator(contexts, frames.roll(2, dims=1))
        loss = discriminator_loss(real, fake)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.15  # 0.25 is chance
