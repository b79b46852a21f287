"""The decoder that generation runs gives the frames of the one that is trained."""

import pytest
import torch
from torch import Tensor

from s2v.models.folded_frame_decoder import FoldedFrameDecoder
from s2v.models.frame_decoder import Speech2VideoGenerator
from tests.s2v.models.batch_norms import draw_batch_norms


def trained_like(**settings: object) -> Speech2VideoGenerator:
    generator = Speech2VideoGenerator(16, 24, 8, image_size=64, **settings).eval()  # type: ignore[arg-type]
    draw_batch_norms(generator)
    return generator


def decoded(generator: Speech2VideoGenerator, clips: int, frames: int) -> tuple[Tensor, Tensor]:
    """The same frames (B, T, 3, 64, 64) by both decoders."""
    contexts, nu, mu = torch.randn(clips, frames, 16), torch.randn(clips, 24), torch.randn(clips, frames, 8)
    with torch.no_grad():
        expected = generator.decode(contexts, generator.identity_parts(nu), mu)
        folded = FoldedFrameDecoder(generator.frame_decoder)
        return folded(contexts, mu, folded.identity_parts(generator.identity_maps(nu))), expected


@pytest.mark.parametrize(("clips", "frames"), [(1, 1), (1, 7), (3, 2)])
@pytest.mark.parametrize("width", [1 / 16, 0.4])
@pytest.mark.parametrize(
    "settings",
    [{}, {"subpixel": True}, {"context_region": "lower"}, {"context_region": "lower", "seed_size": 4}],
)
def test_frames_equal_those_of_the_trained_decoder(
    clips: int, frames: int, width: float, settings: dict[str, object]
) -> None:
    torch.manual_seed(0)
    made, expected = decoded(trained_like(width=width, feature_width=0.1, **settings), clips, frames)
    assert made.shape == expected.shape == (clips, frames, 3, 64, 64)
    torch.testing.assert_close(made, expected, atol=1e-4, rtol=0)
    assert expected.std() > 0.1  # there is something to compare


def test_paper_size_frames_equal_those_of_the_trained_decoder() -> None:
    torch.manual_seed(0)
    made, expected = decoded(trained_like(width=1.0, feature_width=1.0), 1, 2)
    torch.testing.assert_close(made, expected, atol=1e-4, rtol=0)
    assert expected.std() > 0.1


def test_the_trained_decoder_is_left_alone() -> None:
    """What is folded are copies: training goes on with weights and statistics as they were."""
    generator = trained_like(width=1 / 16, feature_width=0.1)
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    decoded(generator, 1, 2)
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
