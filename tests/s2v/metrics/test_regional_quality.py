"""Every setting against the single-region functions, scikit-image, or numbers worked out by hand."""

import math

import pytest
import torch
from skimage.metrics import mean_squared_error

from s2v.errors import InputError
from s2v.metrics.image_quality import PSNR_CEILING, frame_psnr, frame_ssim
from s2v.metrics.regional_quality import (
    METRICS,
    REGIONS,
    at_small_size,
    psnr_of,
    regional_qualities,
    regional_quality,
)
from tests.s2v.metrics.scikit_image_ssim import ssim_of_scikit_image
from tests.s2v.metrics.test_image_quality import structured_clip


@pytest.mark.parametrize(("height", "width"), [(64, 64), (51, 40), (128, 96)])
def test_one_pass_equals_the_single_regions_at_both_sizes(height: int, width: int) -> None:
    real, generated = structured_clip(40, height, width, 0), structured_clip(40, height, width, 1)
    values = regional_quality(generated, real)
    assert tuple(values) == METRICS
    pairs = {"": (generated, real), "_128x96": (at_small_size(generated), at_small_size(real))}
    for size, (mine, theirs) in pairs.items():
        for region, suffix in REGIONS.items():
            ssim = frame_ssim(mine, theirs, region).double().mean()
            psnr = frame_psnr(mine, theirs, region).double().mean()
            assert values[f"ssim{suffix}{size}"] == pytest.approx(float(ssim), abs=1e-7)
            assert values[f"psnr{suffix}{size}"] == pytest.approx(float(psnr), abs=1e-4)


def test_whole_clip_values_equal_scikit_image() -> None:
    real, generated = structured_clip(6, 48, 40, 2), structured_clip(6, 48, 40, 3)
    values = regional_quality(generated, real)
    mine, theirs = (clip.permute(0, 2, 3, 1).numpy() for clip in (generated, real))
    for suffix, rows in {"": slice(0, 48), "_upper": slice(0, 24), "_mouth": slice(24, 48)}.items():
        error = mean_squared_error(theirs[:, rows], mine[:, rows])
        assert values[f"psnr_clip{suffix}"] == pytest.approx(10 * math.log10(255**2 / error), abs=1e-9)
        ssim = [ssim_of_scikit_image(x[rows], y[rows]) for x, y in zip(mine, theirs, strict=True)]
        assert values[f"ssim{suffix}"] == pytest.approx(sum(ssim) / 6, abs=1e-7)


def test_the_two_poolings_of_psnr_by_hand() -> None:
    """One frame off by 1 everywhere, one by 10: MSE 1 and 100."""
    real = torch.full((2, 3, 32, 32), 100, dtype=torch.uint8)
    generated = real.clone()
    generated[0] += 1
    generated[1] += 10
    values = regional_quality(generated, real)
    at_one = 20 * math.log10(255)
    assert values["psnr"] == pytest.approx((at_one + at_one - 20) / 2, abs=1e-9)
    assert values["psnr_clip"] == pytest.approx(at_one - 10 * math.log10(50.5), abs=1e-9)
    assert values["psnr_128x96"] == pytest.approx(values["psnr"], abs=1e-9)  # flat frames stay flat


def test_a_system_is_compared_from_its_first_frame_on_at_both_sizes() -> None:
    """A picture held still is not compared with the frame that it is, and the others are whole."""
    real = structured_clip(5, 48, 40, 4)
    made = structured_clip(5, 48, 40, 5)
    held, whole = regional_qualities([real[:1], made], real, [1, 0])
    assert held == pytest.approx(regional_quality(real[:1].expand(4, -1, -1, -1), real[1:]), abs=1e-9)
    assert whole == pytest.approx(regional_quality(made, real), abs=1e-9)


def test_an_error_in_one_half_is_seen_in_that_half() -> None:
    real = structured_clip(3, 64, 64, 0)
    generated = real.clone()
    generated[:, :, 40:] = 255 - generated[:, :, 40:]
    values = regional_quality(generated, real)
    assert values["ssim_upper"] == pytest.approx(1) and values["psnr_clip_upper"] == PSNR_CEILING
    assert values["ssim_mouth"] < values["ssim"] < 1
    assert values["psnr_mouth"] == pytest.approx(values["psnr"] - 10 * math.log10(2), abs=1e-6)


def test_small_size_is_the_picture_shrunk() -> None:
    assert at_small_size(structured_clip(2, 128, 96, 0)).shape == (2, 3, 128, 96)
    flat = torch.full((33, 3, 256, 192), 77, dtype=torch.uint8)
    assert torch.equal(at_small_size(flat), torch.full((33, 3, 128, 96), 77, dtype=torch.uint8))


def test_fine_stripes_become_grey_and_do_not_alias() -> None:
    """Every fourth column white, shrunk four times: without anti-aliasing two black columns would be read."""
    stripes = torch.zeros(1, 3, 512, 384, dtype=torch.uint8)
    stripes[..., ::4] = 255
    assert (at_small_size(stripes)[..., 1:-1].float() - 255 / 4).abs().max() < 1


def test_no_error_is_the_ceiling() -> None:
    assert psnr_of(torch.tensor([0.0, 255.0**2])).tolist() == [PSNR_CEILING, 0.0]


def test_what_can_not_be_compared_is_one_line() -> None:
    real = structured_clip(2, 64, 64, 0)
    with pytest.raises(InputError, match="2 frames of 64 x 64"):
        regional_quality(real[:1], real)
    with pytest.raises(InputError, match="region 'upper' of these frames is 20 x 10"):
        regional_quality(real[..., :20, :20], real[..., :20, :20])
