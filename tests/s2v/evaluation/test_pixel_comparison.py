"""Generated clips of another length or size than the real ones: what they cost; what trim and resize compare."""

import pytest
import torch
from torch import Tensor

from s2v.evaluation.summary import summarise
from s2v.metrics import regional_quality
from s2v.metrics.image_quality import PSNR_CEILING
from tests.s2v.evaluation.square_corpus import corpus, of_system, run
from tests.s2v.evaluation.talking_squares import square_clip

OURS = "speech2video"
PIXELS = {*regional_quality.METRICS, "sharpness", "motion"}


def enlarged(frames: Tensor, factor: int) -> Tensor:
    return frames.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("length", "factor", "said"), [(40, 1, "40 frames of 32 x 32"), (50, 2, "50 frames of 64 x 64")]
)
def test_unequal_pictures_cost_what_compares_pixels_alone(length: int, factor: int, said: str) -> None:
    """The real frames, fewer or enlarged, against what the judges say of these very frames as a clip of their own."""
    clips = corpus()
    frames = enlarged(clips[2].real, factor)[:length]
    clips[2].generated = frames
    rows = run(clips)
    unequal = of_system(rows, OURS)[2]
    assert unequal.reasons == [f"generated is {said}, real is 50 frames of 32 x 32"]
    assert unequal.measured and not unequal.scored and not unequal.adjusted
    assert not PIXELS & unequal.values.keys()
    clips[2].real, clips[2].generated = frames, frames
    alone = of_system(run(clips), OURS)[2].values
    assert unequal.values == pytest.approx({name: alone[name] for name in alone.keys() - PIXELS}, abs=1e-5)
    summary = summarise(rows)
    assert (summary[OURS].scored, summary[OURS]["ssim"].n, summary[OURS]["sync_confidence"].n) == (5, 5, 6)
    for mine, perfect in zip(rows, run(corpus()), strict=True):
        assert mine in (perfect, unequal)


def test_trim_compares_the_pixels_that_both_have() -> None:
    """Against a clip cut by hand; lips, identity and emotion are those of the frames as they came."""
    clip, cut, uncut = (square_clip("ann", "anger", seed=3, frames=50) for _ in range(3))
    noisy = (clip.real.float() + 20 * torch.rand(50, 3, 32, 32)).clamp(0, 255).to(torch.uint8)
    clip.generated, uncut.generated = noisy[:47], noisy[:47]
    cut.real, cut.generated = clip.real[:47], noisy[:47]
    trimmed = of_system(run([clip], trim=3), OURS)[0]
    assert trimmed.scored and trimmed.adjusted == "first 47 frames compared: generated has 47, real 50"
    by_hand = of_system(run([cut]), OURS)[0]
    as_it_came = of_system(run([uncut], trim=2), OURS)[0]
    assert as_it_came.reasons == ["generated is 47 frames of 32 x 32, real is 50 frames of 32 x 32"]
    assert not as_it_came.adjusted
    for name, value in trimmed.values.items():
        wanted = by_hand if name in PIXELS else as_it_came
        assert value == pytest.approx(wanted.values[name], nan_ok=True), name
    assert trimmed.values.keys() >= PIXELS
    clip.real, clip.generated = clip.real[:47], noisy  # the real one is the shorter
    longer = of_system(run([clip], trim=3), OURS)[0]
    assert longer.values["ssim"] == pytest.approx(by_hand.values["ssim"])


def test_resize_compares_at_the_real_size() -> None:
    """Pixels doubled, then averaged over pairs and their neighbours: near the real ones, and theirs where flat."""
    clip = square_clip("ann", "anger", seed=4)
    clip.real = torch.arange(0, 250, 5, dtype=torch.uint8).view(50, 1, 1, 1).expand(50, 3, 32, 32).clone()
    clip.generated = enlarged(clip.real, 3)[..., :64]
    row = of_system(run([clip], resize=True), OURS)[0]
    assert row.adjusted == "resized from 64 x 96 to 32 x 32" and row.scored
    assert row.values["psnr"] == PSNR_CEILING and row.values["ssim"] == pytest.approx(1)
    clip.generated = clip.generated[:49]
    short = of_system(run([clip], resize=True), OURS)[0]
    assert short.reasons == ["generated is 49 frames of 64 x 96, real is 50 frames of 32 x 32"]
    assert not short.adjusted and "ssim" not in short.values
    both = of_system(run([clip], resize=True, trim=1), OURS)[0]
    assert both.adjusted == (
        "first 49 frames compared: generated has 49, real 50; resized from 64 x 96 to 32 x 32"
    )
    assert both.scored and both.values["psnr"] == PSNR_CEILING


def test_the_size_for_comparing_systems_is_made_of_untouched_frames() -> None:
    """Not of frames that had been brought to the real clip's size before."""
    clip, small = (square_clip("ann", "anger", seed=4) for _ in range(2))
    large = torch.randint(
        0, 256, (50, 3, 96, 96), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    clip.generated = large
    small.real, small.generated = (regional_quality.at_small_size(frames) for frames in (clip.real, large))
    values = of_system(run([clip], resize=True), OURS)[0].values
    by_definition = of_system(run([small]), OURS)[0].values
    for name in ("ssim", "psnr", "psnr_mouth"):
        assert values[f"{name}_128x96"] == pytest.approx(by_definition[name], rel=1e-6)


@pytest.mark.slow
def test_equal_pictures_are_neither_cut_nor_resized() -> None:
    clips = corpus()
    for with_options, plain in zip(run(clips, trim=5, resize=True), run(clips), strict=True):
        assert with_options == plain and with_options.adjusted == ""
