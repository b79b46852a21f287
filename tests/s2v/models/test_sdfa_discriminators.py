"""SDFA's discriminators: shapes, what each looks at, and that each can learn to tell."""

import pytest
import torch
from torch import nn

from s2v.losses.log_likelihood import log_discriminator_loss
from s2v.models.sdfa_discriminators import (
    SequenceDiscriminator,
    SpeechLipsDiscriminator,
    StillFrameDiscriminator,
    snippet,
)


@pytest.mark.parametrize("size", [[128, 96], 64])
def test_shapes(size: int | list[int]) -> None:
    height, width = size if isinstance(size, list) else (size, size)
    frames, still = torch.randn(2, 5, 3, height, width), torch.randn(2, 3, height, width)
    assert StillFrameDiscriminator(size, 0.125)(frames, still).shape == (2, 5)
    assert SequenceDiscriminator(size, 0.125)(frames).shape == (2,)
    assert SpeechLipsDiscriminator(size, 0.125)(torch.randn(2, 10_000), frames).shape == (2,)


def test_the_frame_discriminator_has_six_convolutions_at_128_pixels() -> None:
    layers = StillFrameDiscriminator([128, 96], 0.125).modules()
    assert sum(isinstance(layer, nn.Conv2d) for layer in layers) == 6


def test_the_sync_discriminator_sees_the_mouth_half_alone() -> None:
    judge = SpeechLipsDiscriminator(32, 0.125).eval()
    speech, lips = torch.randn(2, 10_000), torch.randn(2, 5, 3, 32, 32)
    changed = lips.clone()
    changed[..., :16, :] += 1
    torch.testing.assert_close(judge(speech, changed), judge(speech, lips))
    changed[..., 16:, :] += 1
    assert (judge(speech, changed) - judge(speech, lips)).abs().min() > 1e-6


def test_the_sync_discriminator_begins_undecided_with_the_closer_the_likelier() -> None:
    torch.manual_seed(0)
    judge = SpeechLipsDiscriminator(32, 0.125)
    assert judge(torch.randn(8, 10_000), torch.randn(8, 5, 3, 32, 32)).abs().mean() < 1
    assert judge.score(torch.tensor([[0.1]])) > judge.score(torch.tensor([[0.2]]))


def test_a_snippet_is_five_frames_in_a_row() -> None:
    frames = torch.arange(16.0).view(2, 8, 1, 1, 1)
    found = snippet(frames, 3)
    assert found[:, :, 0, 0, 0].tolist() == [[3, 4, 5, 6, 7], [11, 12, 13, 14, 15]]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["frame", "sequence", "sync"])
def test_each_learns_to_tell(kind: str) -> None:
    torch.manual_seed(0)
    still = torch.randn(4, 3, 32, 32)
    real = still.unsqueeze(1).repeat(1, 5, 1, 1, 1)
    fake = real.flip(0)  # another's face
    speech = torch.randn(4, 10_000)
    if kind == "frame":
        judge: nn.Module = StillFrameDiscriminator(32, 0.25)

        def scores(frames: torch.Tensor) -> torch.Tensor:
            return judge(frames, still)
    elif kind == "sequence":
        judge, fake = SequenceDiscriminator(32, 0.25), torch.randn_like(real)

        def scores(frames: torch.Tensor) -> torch.Tensor:
            return judge(frames)
    else:
        judge = SpeechLipsDiscriminator(32, 0.25)

        def scores(frames: torch.Tensor) -> torch.Tensor:
            return judge(speech, frames)

    optimizer = torch.optim.Adam(judge.parameters(), lr=2e-3)
    for _ in range(120):
        loss = log_discriminator_loss(scores(real), scores(fake))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.7  # 1.39 at chance
