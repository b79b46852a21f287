"""Frames changed before D_fr judges them: each change by hand, and who sees it."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import Tensor

from s2v.errors import InputError
from s2v.modules.frame_augmentation import FrameAugmentation
from tests.s2v.modules.composer_fits import Outputs, Seed, fit
from tests.s2v.modules.small_modules import composer

NONE = {"brightness": 0.0, "saturation": 0.0, "contrast": 0.0, "translation": 0.0, "cutout": 0.0}


def only(**change: float) -> FrameAugmentation:
    return FrameAugmentation(**(NONE | change))


@pytest.fixture
def frames() -> Tensor:
    torch.manual_seed(0)
    return 2 * torch.rand(64, 3, 16, 12) - 1


def test_brightness_moves_all_values_of_a_frame_alike(frames: Tensor) -> None:
    moves = (only(brightness=0.4)(frames) - frames).flatten(1)
    torch.testing.assert_close(moves, moves[:, :1].expand_as(moves))
    assert -0.4 <= moves.min() < -0.3 and 0.3 < moves.max() <= 0.4


def test_saturation_stretches_colours_and_leaves_grey(frames: Tensor) -> None:
    stretched = only(saturation=0.8)(frames)
    torch.testing.assert_close(stretched.mean(1), frames.mean(1))
    factors = (stretched - stretched.mean(1, keepdim=True)) / (frames - frames.mean(1, keepdim=True))
    torch.testing.assert_close(factors, factors[:, :1, :1, :1].expand_as(factors), atol=1e-2, rtol=0)
    assert 0.2 <= factors[:, 0, 0, 0].min() < 0.4 and 1.6 < factors[:, 0, 0, 0].max() <= 1.8
    grey = frames[:, :1].expand_as(frames)
    torch.testing.assert_close(only(saturation=0.8)(grey), grey)


def test_contrast_stretches_about_a_frames_mean(frames: Tensor) -> None:
    """One mean for all colours, as in DiffAugment: a tint grows with the rest."""
    frames = frames + torch.tensor([0.5, 0.0, -0.5]).view(3, 1, 1)
    stretched = only(contrast=0.5)(frames)
    mean = frames.mean((1, 2, 3), keepdim=True)
    factors = stretched.std((1, 2, 3), keepdim=True) / frames.std((1, 2, 3), keepdim=True)
    torch.testing.assert_close(stretched, mean + factors * (frames - mean))
    assert 0.5 <= factors.min() < 0.65 and 1.35 < factors.max() <= 1.5


def test_translation_shifts_up_to_its_share_and_grey_comes_in(frames: Tensor) -> None:
    found = set()
    for frame, moved in zip(frames, only(translation=0.25)(frames), strict=True):
        fits = []
        for down in range(-4, 5):
            for right in range(-3, 4):
                expected = torch.zeros_like(frame)
                inside = frame[:, max(0, -down) : 16 - max(0, down), max(0, -right) : 12 - max(0, right)]
                expected[:, max(0, down) : 16 + min(0, down), max(0, right) : 12 + min(0, right)] = inside
                if torch.equal(moved, expected):
                    fits.append((down, right))
        assert len(fits) == 1
        found.add(fits[0])
    assert {down for down, _ in found} == set(range(-4, 5)) and {right for _, right in found} == set(
        range(-3, 4)
    )


def test_cutout_greys_one_rectangle_at_most_so_large(frames: Tensor) -> None:
    cut = only(cutout=0.5)(frames)
    sizes = []
    for frame, seen in zip(frames, cut, strict=True):
        gone = (seen == 0).all(0)
        rows, columns = gone.any(1).nonzero()[:, 0], gone.any(0).nonzero()[:, 0]
        expected = frame.clone()
        expected[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = 0
        assert torch.equal(seen, expected)
        sizes.append((len(rows), len(columns)))
    for found, side in zip(zip(*sizes, strict=True), (8, 6), strict=True):
        assert max(found) == side and min(found) >= side // 2  # half, at the edge


def test_the_gradient_goes_through(frames: Tensor) -> None:
    frames.requires_grad_()
    only(cutout=0.5)(frames).sum().backward()
    assert frames.grad is not None and set(frames.grad.unique().tolist()) == {0.0, 1.0}
    frames.grad = None
    only(brightness=0.5)(frames).sum().backward()
    assert bool((frames.grad == 1).all())


def test_nothing_asked_changes_nothing_and_a_seed_repeats(frames: Tensor) -> None:
    assert torch.equal(only()(frames), frames)
    torch.manual_seed(1)
    first = FrameAugmentation()(frames)
    assert not torch.equal(FrameAugmentation()(frames), first)
    torch.manual_seed(1)
    assert torch.equal(FrameAugmentation()(frames), first)
    assert first.shape == frames.shape and first.dtype == frames.dtype


@pytest.mark.parametrize("name", NONE)
@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_shares_lie_between_0_and_1(name: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"frame_augmentation.{name} must be from 0 to 1, got {value}"):
        only(**{name: value})


def test_the_frame_discriminator_alone_sees_the_changes(tmp_path: Path, face_file: str) -> None:
    augmentation = FrameAugmentation(saturation=0.0)
    outputs = {name: Outputs() for name in ("as it is", "changed")}
    for name, found in outputs.items():
        module = composer(
            feature_network=face_file, frame_augmentation=augmentation if name == "changed" else None
        )
        fit(tmp_path, module.train(), Seed(), found)
        assert name == "as it is" or module.hparams["frame_augmentation"] == asdict(augmentation)
    plain, changed = (found.seen[0] for found in outputs.values())
    assert torch.equal(plain["fake_frames"], changed["fake_frames"])
    assert torch.equal(plain["real_frames"], changed["real_frames"])
    for scores in ("real_scores", "fake_scores"):
        assert torch.equal(plain[scores]["identity"], changed[scores]["identity"])
        assert not torch.allclose(plain[scores]["frame"], changed[scores]["frame"])
    assert torch.equal(plain["real_scores"]["sync"], changed["real_scores"]["sync"])
