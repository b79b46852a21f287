"""SSIM and PSNR against scikit-image; sharpness and motion by hand."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from s2v.errors import InputError
from s2v.face_regions import RowRegion
from s2v.metrics.image_quality import (
    PSNR_CEILING,
    frame_psnr,
    frame_ssim,
    motion,
    sharpness,
)
from s2v.models.pictures_in_parts import PICTURES_ON_CPU
from tests.s2v.metrics.scikit_image_ssim import ssim_of_scikit_image


def structured_clip(frames: int, height: int, width: int, seed: int) -> Tensor:
    """Smooth moving waves with noise on top, (T, 3, H, W) uint8: neither flat nor white."""
    generator = torch.Generator().manual_seed(seed)
    time, row, column = (torch.linspace(0, 1, n) for n in (frames, height, width))
    start = torch.rand(1, generator=generator)
    phase = 6.3 * (3 * row[None, :, None] + 2 * column[None, None, :] + time[:, None, None] + start)
    waves = torch.stack([phase.sin(), (1.7 * phase).cos(), (0.6 * phase).sin()], dim=1)
    noise = torch.randn(waves.shape, generator=generator)
    return (127 + 80 * waves + 12 * noise).round().clamp(0, 255).to(torch.uint8)


def rows(frames: np.ndarray, region: RowRegion) -> np.ndarray:
    """(T, H, W, 3) -> the rows of the region, by plain slicing."""
    half = frames.shape[1] // 2
    return {"full": frames, "upper": frames[:, :half], "lower": frames[:, half:]}[region]


@pytest.mark.parametrize("region", ["full", "upper", "lower"])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (51, 40)])
def test_equal_scikit_image(region: RowRegion, height: int, width: int) -> None:
    real, other = structured_clip(3, height, width, 0), structured_clip(3, height, width, 1)
    generated = (0.6 * real + 0.4 * other).round().to(torch.uint8)
    pairs = list(
        zip(
            rows(generated.permute(0, 2, 3, 1).numpy(), region),
            rows(real.permute(0, 2, 3, 1).numpy(), region),
            strict=True,
        )
    )
    ssim = [ssim_of_scikit_image(*pair) for pair in pairs]
    psnr = [peak_signal_noise_ratio(theirs, mine, data_range=255) for mine, theirs in pairs]
    assert min(ssim) > 0.05 and max(ssim) < 0.95
    np.testing.assert_allclose(frame_ssim(generated, real, region).numpy(), ssim, rtol=0, atol=1e-7)
    np.testing.assert_allclose(frame_psnr(generated, real, region).numpy(), psnr, rtol=0, atol=1e-4)


def test_ssim_equals_the_inner_pixels_of_torchmetrics() -> None:
    real, other = structured_clip(2, 40, 64, 0), structured_clip(2, 40, 64, 1)
    generated = (0.6 * real + 0.4 * other).round().to(torch.uint8)
    _, pixels = structural_similarity_index_measure(
        generated.double(), real.double(), data_range=255.0, reduction="none", return_full_image=True
    )
    expected = pixels[..., 5:-5, 5:-5].mean(dim=(1, 2, 3)).float()
    torch.testing.assert_close(frame_ssim(generated, real), expected, rtol=0, atol=1e-7)


def test_identical_frames_are_perfect_and_finite() -> None:
    clip = structured_clip(2, 32, 32, 0)
    clip[1] = 200  # flat areas are where rounding shows
    torch.testing.assert_close(frame_ssim(clip, clip), torch.ones(2), rtol=0, atol=1e-7)
    assert frame_psnr(clip, clip).tolist() == [PSNR_CEILING] * 2


def test_psnr_by_hand() -> None:
    real = torch.full((2, 3, 12, 12), 100, dtype=torch.uint8)
    generated = real.clone()
    generated[0] += 5  # MSE 25 everywhere
    generated[1, :, 6:] += 10  # MSE 100 in the lower half, 50 over all
    expected = [20 * math.log10(255 / 5), 10 * math.log10(255**2 / 50)]
    assert frame_psnr(generated, real).tolist() == pytest.approx(expected, abs=1e-4)
    assert frame_psnr(generated, real, "lower")[1].item() == pytest.approx(20 * math.log10(25.5), abs=1e-4)
    assert frame_psnr(generated, real, "upper")[1].item() == PSNR_CEILING


def test_long_clip_equals_its_pieces() -> None:
    frames = 2 * PICTURES_ON_CPU + 3
    generated, real = structured_clip(frames, 16, 16, 0), structured_clip(frames, 16, 16, 1)
    one_by_one = torch.cat([frame_ssim(generated[i : i + 1], real[i : i + 1]) for i in range(frames)])
    torch.testing.assert_close(frame_ssim(generated, real), one_by_one)
    whole = generated.float().diff(dim=0).abs().mean() / real.float().diff(dim=0).abs().mean()
    assert motion(generated, real) == pytest.approx(whole.item(), rel=1e-5)


def test_sharpness_and_motion_by_hand() -> None:
    stripes = torch.zeros(3, 3, 4, 4, dtype=torch.uint8)
    stripes[..., 1::2] = 40
    half = stripes // 2
    assert sharpness(half, stripes) == pytest.approx(0.25)
    assert sharpness(stripes, stripes) == 1.0
    assert math.isnan(sharpness(stripes, torch.zeros_like(stripes)))

    real = torch.zeros(3, 3, 4, 4, dtype=torch.uint8)
    real[1], real[2] = 10, 40  # changes of 10 and 30: mean 20
    slower = torch.zeros_like(real)
    slower[1], slower[2] = 5, 10  # 5 and 5: mean 5
    assert motion(slower, real) == pytest.approx(0.25)
    assert motion(real[:1].expand(3, -1, -1, -1), real) == 0.0
    assert math.isnan(motion(real, real[:1].expand(3, -1, -1, -1)))
    assert math.isnan(motion(real[:1], real[:1]))


def test_blur_lowers_sharpness() -> None:
    clip = structured_clip(2, 32, 32, 0)
    blurred = torch.nn.functional.avg_pool2d(clip.float(), 3, 1, 1).round().to(torch.uint8)
    assert sharpness(blurred, clip) < 0.6


def blank(frames: int, channels: int = 3, dtype: torch.dtype = torch.uint8) -> Tensor:
    return torch.zeros(frames, channels, 16, 16, dtype=dtype)


@pytest.mark.parametrize(
    ("generated", "real", "says"),
    [
        (blank(2), blank(3), "generated is 2 frames of 16 x 16, real is 3 frames"),
        (blank(2, dtype=torch.float32), blank(2), "float32"),
        (blank(2, channels=1), blank(2, channels=1), "(2, 1, 16, 16)"),
        (blank(0), blank(0), "(0, 3, 16, 16)"),
    ],
)
def test_unlike_clips_are_refused(generated: Tensor, real: Tensor, says: str) -> None:
    for function in (frame_ssim, frame_psnr, sharpness, motion):
        with pytest.raises(InputError) as refusal:
            function(generated, real)
        assert says in str(refusal.value)


def test_too_small_for_ssim_is_refused() -> None:
    clip = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    with pytest.raises(InputError, match="16 x 8"):
        frame_ssim(clip, clip, "lower")
    with pytest.raises(InputError, match="unknown region 'mouth'"):
        frame_psnr(clip, clip, "mouth")  # type: ignore[arg-type]
