"""SSIM and PSNR over clips: means of the frames' values, on one process and on two."""

import pytest
import torch

from s2v.metrics.clip_quality import ClipPSNR, ClipSharpness, ClipSSIM
from s2v.metrics.image_quality import frame_psnr, frame_ssim
from tests.s2v.metrics.test_image_quality import structured_clip


def test_metrics_average_clips_not_frames() -> None:
    clips = [(structured_clip(n, 32, 32, n), structured_clip(n, 32, 32, n + 10)) for n in (2, 5)]
    for metric, function in ((ClipSSIM("lower"), frame_ssim), (ClipPSNR("lower"), frame_psnr)):
        for generated, real in clips:
            metric.update(generated, real)
        expected = sum(function(generated, real, "lower").mean() for generated, real in clips) / 2
        torch.testing.assert_close(metric.compute(), expected)


def test_states_of_two_ranks_merge_to_one_process() -> None:
    clips = [(structured_clip(3, 32, 32, n), structured_clip(3, 32, 32, n + 10)) for n in range(3)]
    first, second, alone = ClipSSIM(), ClipSSIM(), ClipSSIM()
    for rank, pair in zip((first, second, first), clips, strict=True):
        rank.update(*pair)
        alone.update(*pair)
    first.merge_state(second)
    torch.testing.assert_close(first.compute(), alone.compute())


def test_sharpness_of_a_doubled_contrast_and_of_a_flat_clip() -> None:
    """Twice the differences have four times the energy; a real clip of one colour has none to compare with."""
    real = torch.randint(0, 100, (2, 3, 16, 16), dtype=torch.uint8)
    metric = ClipSharpness()
    metric.update(real * 2, real)
    metric.update(real, torch.zeros_like(real))
    assert metric.compute().item() == pytest.approx(4)
    metric.update(real, real)
    assert metric.compute().item() == pytest.approx((4 + 1) / 2)
