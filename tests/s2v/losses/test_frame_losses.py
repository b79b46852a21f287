"""Eqs. 8 and 9 against numbers worked out by hand, and against scipy."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from s2v.losses.frame_similarity import frame_similarity_loss, mouth_similarity_loss
from s2v.losses.image_gradient import image_gradient_loss, smooth, sobel


def test_only_the_region_counts() -> None:
    fake, real = torch.zeros(2, 1, 3, 4, 4), torch.zeros(2, 1, 3, 4, 4)
    fake[..., :2, :] = 1.0
    assert frame_similarity_loss(fake, real, "lower").item() == 0
    assert frame_similarity_loss(fake, real, "upper").item() == 1
    assert frame_similarity_loss(fake, real, "full").item() == 0.5


def test_sum_is_as_printed() -> None:
    """A sum over a frame's pixels, a mean over frames."""
    fake, real = torch.zeros(2, 5, 3, 4, 6), torch.ones(2, 5, 3, 4, 6)
    assert frame_similarity_loss(fake, real, "lower", "sum").item() == 3 * 2 * 6


def test_the_mouth_is_the_box_below_the_middle() -> None:
    """On 20 x 20 pixels: rows 12 to 18, columns 5 to 14."""
    fake, real = torch.zeros(1, 2, 3, 20, 20), torch.zeros(1, 2, 3, 20, 20)
    fake[..., :12, :] = fake[..., 19:, :] = fake[..., :5] = fake[..., 15:] = 1.0
    assert mouth_similarity_loss(fake, real).item() == 0
    fake[..., 12:19, 5:15] = 0.5
    fake[0, 0, 0, 18, 14] = -0.5
    assert mouth_similarity_loss(fake, real).item() == pytest.approx(0.5)
    fake[..., 12, 5:15] = 0.0
    assert mouth_similarity_loss(fake, real).item() == pytest.approx(0.5 * 6 / 7)


def test_sobel_of_a_ramp_is_its_slope() -> None:
    ramp = torch.arange(6.0).expand(1, 1, 5, 6) * 0.25
    derivatives = sobel(ramp)
    assert torch.allclose(derivatives[:, 0], torch.full((1, 3, 4), 0.25))
    assert torch.allclose(derivatives[:, 1], torch.zeros(1, 3, 4))


def test_sobel_and_smoothing_equal_scipy() -> None:
    picture = torch.rand(1, 2, 12, 10, dtype=torch.double)
    for channel in range(2):
        plain = picture[0, channel].numpy()
        for axis, row in ((1, channel * 2), (0, channel * 2 + 1)):
            expected = ndimage.sobel(plain, axis=axis)[1:-1, 1:-1] / 8
            assert np.allclose(sobel(picture)[0, row].numpy(), expected)
        expected = ndimage.gaussian_filter(plain, 1.0, mode="nearest", truncate=2.0)
        assert np.allclose(smooth(picture, 1.0)[0, channel].numpy(), expected)


def test_gradient_loss_ignores_constant_light_and_sees_edges() -> None:
    real = torch.rand(2, 3, 3, 16, 16)
    assert image_gradient_loss(real + 0.3, real).item() == pytest.approx(0, abs=1e-6)
    edge = torch.zeros(1, 1, 3, 8, 8)
    edge[..., 4:] = 1.0
    # unsmoothed, the two columns beside the edge have slope 1/2 in one direction: 2 of 6 columns, 1 of 2 filters
    assert image_gradient_loss(edge, torch.zeros_like(edge), sigma=0).item() == pytest.approx(0.5 * 2 / 6 / 2)


def test_mixed_precision_leaves_the_gradient_loss_its_digits() -> None:
    torch.manual_seed(0)
    fake, real = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = image_gradient_loss(fake, real)
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, image_gradient_loss(fake, real), rtol=5e-3, atol=0)


def test_the_gradient_loss_of_other_peoples_filters() -> None:
    """Eq. 9 from SciPy's Gaussian and Sobel filters, pixels whose neighbours they both have."""
    random = np.random.default_rng(0)
    fake, real = random.random((2, 24, 24))
    edges = [
        ndimage.sobel(ndimage.gaussian_filter(picture, 1.5, mode="nearest", radius=3), axis) / 8
        for picture in (fake, real)
        for axis in (0, 1)
    ]
    expected = np.mean([np.abs(edges[axis] - edges[2 + axis])[1:-1, 1:-1].mean() for axis in (0, 1)])
    pictures = [torch.from_numpy(picture).expand(1, 3, 24, 24) for picture in (fake, real)]
    assert image_gradient_loss(*pictures, sigma=1.5).item() == pytest.approx(expected, rel=1e-6)


def test_gradients() -> None:
    fake = torch.randn(1, 1, 3, 6, 6, dtype=torch.double, requires_grad=True)
    real = torch.randn(1, 1, 3, 6, 6, dtype=torch.double)
    assert torch.autograd.gradcheck(lambda f: frame_similarity_loss(f, real, "lower"), fake)
    assert torch.autograd.gradcheck(lambda f: image_gradient_loss(f, real), fake)
