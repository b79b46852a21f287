"""Frames through an export's MP4 and out again, and what the protocol measures of them."""

import pytest
import torch

from s2v.evaluation.clip_rows import EXPORTED, MP4
from s2v.evaluation.exported_frames import exported_frames
from s2v.evaluation.protocol import Protocol
from tests.s2v.evaluation.talking_squares import face_judge, square_clip, sync_judge

OURS = "speech2video"


@pytest.mark.parametrize("size", [(64, 64), (63, 61)])
def test_frames_come_back_in_their_number_and_size(size: tuple[int, int]) -> None:
    """H.264 at CRF 18 and a mark of 2.2 levels: smooth pictures come back to a few levels, frame by frame."""
    rows, columns = torch.arange(size[0]).view(-1, 1), torch.arange(size[1])
    frames = torch.stack(
        [
            torch.stack([rows + columns + 40, 200 - rows + 0 * columns, 90 + 0 * rows + columns])
            for _ in "x" * 30
        ]
    )
    frames += 2 * torch.arange(30).view(-1, 1, 1, 1)  # each frame brighter than the one before
    frames = frames.clamp(0, 255).to(torch.uint8)
    decoded = exported_frames(frames)
    assert decoded.dtype == torch.uint8 and decoded.shape == frames.shape
    difference = (decoded.float() - frames.float()).abs().mean(dim=(1, 2, 3))
    assert difference.min() > 0.5 and difference.max() < 5  # changed, and each is the frame it was


def test_they_are_measured_beside_the_generated_ones() -> None:
    protocol = Protocol(OURS, face_judge(), sync=sync_judge())
    clip = square_clip("ann", "anger", 0)
    assert isinstance(clip.generated, torch.Tensor)
    clip.exported, clip.generated = clip.generated, 255 - clip.generated
    values = protocol.add(clip)[OURS].values
    assert {name for name in values if name.endswith(MP4)} == {f"{name}{MP4}" for name in EXPORTED}
    assert values["ssim_mp4"] == values["sharpness_mp4"] == values["motion_mp4"] == pytest.approx(1)
    assert values["identity_cosine_mp4"] == pytest.approx(1) and values["sync_prefers_true_mp4"] == 1
    assert values["ssim"] < 0.5 and values["identity_cosine"] < 0.5


def test_a_clip_without_them_has_none() -> None:
    values = Protocol(OURS).add(square_clip("ann", "anger", 0))[OURS].values
    assert not any(name.endswith(MP4) for name in values)
