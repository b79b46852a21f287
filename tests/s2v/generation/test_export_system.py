"""The stream of frames that a checkpoint's system makes is the one that was asked for."""

from pathlib import Path

import torch

from s2v.generation.export_system import open_system
from s2v.generation.streaming import StreamingGenerator
from tests.s2v.generation.composer_checkpoint import WINDOW_FRAMES, write_composer_checkpoint
from tests.s2v.generation.networks import speech_like


def test_a_composers_identity_is_read_from_the_windows_asked_for(tmp_path: Path) -> None:
    path = str(write_composer_checkpoint(tmp_path / "composer.ckpt"))
    speech = [speech_like(5 * WINDOW_FRAMES / 25)]
    mean, first = open_system(path, "cpu", "mean"), open_system(path, "cpu", "first")
    assert isinstance(mean, StreamingGenerator) and isinstance(first, StreamingGenerator)
    by_hand = StreamingGenerator(mean.representation, mean.generator, WINDOW_FRAMES, identity="first")
    made = [torch.cat(list(stream.decoded(speech))) for stream in (mean, first, by_hand)]
    assert (made[0] - made[1]).abs().max() > 1e-4
    torch.testing.assert_close(made[1], made[2])
