"""Pairs of five frames and their speech, found by clicks in it."""

import pytest
import torch

from s2v.modules.speech_pairs import draw_pairs, frame_numbers


def test_frame_numbers() -> None:
    assert frame_numbers(torch.tensor([[0.02, 0.06, 1.58]])).tolist() == [[0, 1, 39]]


def test_pairs_hear_the_middle_of_the_five_frames() -> None:
    speech = torch.zeros(3, 12 * 640)
    speech[:, 7 * 640 + 320] = 0.5  # a click at the centre of frame 7
    numbers = torch.tensor([[5, 6, 7, 8, 9]] * 3)
    for _ in range(5):
        pairs = draw_pairs(speech, numbers)
        assert pairs.start == 0
        assert pairs.speech.abs().argmax(dim=-1).tolist() == [5000] * 3
        assert (pairs.other_speech.abs().argmax(dim=-1) != 5000).all()


def test_pairs_are_of_any_five_of_the_frames() -> None:
    speech, starts = torch.zeros(2, 12 * 640), set()
    speech[:, 320::640] = torch.linspace(0.1, 0.9, 12)  # a louder click at the centre of each frame
    numbers = torch.tensor([[2, 3, 4, 5, 6, 7, 8, 9]] * 2)
    torch.manual_seed(0)
    for _ in range(40):
        pairs = draw_pairs(speech, numbers)
        starts.add(pairs.start)
        middle = speech[0, (2 + pairs.start + 2) * 640 + 320]
        assert pairs.speech[:, 5000].tolist() == pytest.approx([middle.item()] * 2, abs=1e-3)
        assert ((pairs.other_speech[:, 5000] - middle).abs() > 0.01).all()
    assert starts == {0, 1, 2, 3}


def test_at_a_clips_end_false_pairs_are_false_too() -> None:
    """The other instant is sought round the end: never the frames' own, at which clamping would stop."""
    speech = torch.zeros(4, 12 * 640)
    speech[:, 320::640] = torch.linspace(0.1, 0.9, 12)
    numbers = torch.tensor([[7, 8, 9, 10, 11]] * 4)
    middle = speech[0, 9 * 640 + 320]
    for _ in range(40):
        pairs = draw_pairs(speech, numbers)
        assert pairs.speech[:, 5000].tolist() == pytest.approx([middle.item()] * 4, abs=1e-3)
        assert ((pairs.other_speech[:, 5000] - middle).abs() > 0.01).all()
    # of the middle itself at the very end, as a test's last frames have it
    last = draw_pairs(speech, torch.tensor([[9, 10, 11, 12, 13]] * 4))
    assert ((last.other_speech[:, 5000] - speech[0, 11 * 640 + 320]).abs() > 0.01).all()
