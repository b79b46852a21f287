"""SSIM and PSNR on real, compressed video against scikit-image: what drawn waves have not, faces and codec have."""

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor
from torch.nn import functional

from s2v.evaluation.video_pairs import read_video
from s2v.face_regions import RowRegion
from s2v.metrics.image_quality import frame_psnr, frame_ssim
from s2v.metrics.regional_quality import REGIONS, SIZES, at_small_size, regional_quality
from tests.s2v.metrics.scikit_image_ssim import ssim_of_scikit_image
from tests.s2v.metrics.test_image_quality import rows

SPEAKERS, FRAMES = 6, 3
"""One clip each, and so many frames of it: scikit-image takes its time."""


@pytest.fixture(scope="module")
def real_clips(shared_dir: Path) -> list[tuple[Tensor, Tensor]]:
    """(generated, real), (T, 3, H, W) uint8 twice, of speakers of studio and street: a blurred clip, a later one."""
    folders = sorted((shared_dir / "corpus" / "voxceleb2_layout" / "mp4").glob("*"))
    if len(folders) < SPEAKERS:
        pytest.skip(f"the shared corpus has {len(folders)} speakers, {SPEAKERS} are needed")
    pairs = []
    for number, folder in enumerate(folders[:: len(folders) // SPEAKERS][:SPEAKERS]):
        frames, _ = read_video(sorted(folder.rglob("*.mp4"))[0])
        real, later = frames[10 : 10 + FRAMES], frames[14 : 14 + FRAMES]
        pairs.append((blurred(real) if number % 2 else later, real))
    return pairs


def blurred(frames: Tensor) -> Tensor:
    """(T, 3, H, W) uint8 through a sixteenth of its pixels, as a small generator would show it."""
    small = functional.avg_pool2d(frames.float(), 4)
    return functional.interpolate(small, frames.shape[-2:], mode="bilinear").round().to(torch.uint8)


def channels_last(frames: Tensor) -> np.ndarray:
    return frames.permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("region", REGIONS)
def test_every_frame_equals_scikit_image(real_clips: list[tuple[Tensor, Tensor]], region: RowRegion) -> None:
    seen = []
    for generated, real in real_clips:
        pairs = list(
            zip(rows(channels_last(generated), region), rows(channels_last(real), region), strict=True)
        )
        ssim = [ssim_of_scikit_image(*pair) for pair in pairs]
        psnr = [peak_signal_noise_ratio(theirs, mine, data_range=255) for mine, theirs in pairs]
        np.testing.assert_allclose(frame_ssim(generated, real, region).numpy(), ssim, rtol=0, atol=1e-7)
        np.testing.assert_allclose(frame_psnr(generated, real, region).numpy(), psnr, rtol=0, atol=1e-4)
        seen += ssim
    assert max(seen) - min(seen) > 0.03  # clips that all score alike would show little


def test_the_report_s_values_equal_scikit_image(real_clips: list[tuple[Tensor, Tensor]]) -> None:
    """All 18 of a clip: three regions, two sizes, PSNR pooled both ways."""
    for generated, real in real_clips[:2]:
        found = regional_quality(generated, real)
        for size, resized in zip(SIZES, (lambda frames: frames, at_small_size), strict=True):
            whole, target = channels_last(resized(generated)), channels_last(resized(real))
            for region, suffix in REGIONS.items():
                mine, theirs = rows(whole, region), rows(target, region)
                pairs = list(zip(mine, theirs, strict=True))
                expected = {
                    f"ssim{suffix}{size}": np.mean([ssim_of_scikit_image(*pair) for pair in pairs]),
                    f"psnr{suffix}{size}": np.mean(
                        [peak_signal_noise_ratio(b, a, data_range=255) for a, b in pairs]
                    ),
                    f"psnr_clip{suffix}{size}": peak_signal_noise_ratio(theirs, mine, data_range=255),
                }
                assert {name: found[name] for name in expected} == pytest.approx(expected, rel=0, abs=1e-6)
