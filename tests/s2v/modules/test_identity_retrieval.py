"""Retrieval by hand: who is nearest to whose face."""

import os

import torch
from torch.utils.data import DataLoader

from s2v.modules.identity_retrieval import RetrievesIdentity, finds_own_face

ANN, BEN = 0, 1


def test_a_voice_finds_the_mean_face_of_its_speaker() -> None:
    faces = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]])  # ann's mean (2, 0), ben's (0, 2)
    speakers = torch.tensor([ANN, ANN, BEN])
    voices = torch.tensor([[2.0, 0.0], [0.5, 1.5], [0.0, 2.0]])
    assert finds_own_face(voices, faces, speakers).tolist() == [True, False, True]


def test_what_all_share_says_nothing() -> None:
    """Without centring, the large constant would make every voice nearest to the face with the larger one."""
    faces = torch.tensor([[100.0, 1.0], [110.0, -1.0]])
    voices = torch.tensor([[50.0, 1.0], [50.0, -1.0]])
    assert finds_own_face(voices, faces, torch.tensor([ANN, BEN])).tolist() == [True, True]
    constant = torch.tensor([1000.0, -500.0])
    assert finds_own_face(voices + constant, faces - constant, torch.tensor([ANN, BEN])).tolist() == [
        True,
        True,
    ]


def test_a_long_test_holds_no_file_descriptors() -> None:
    """A tensor from a loader's worker holds one, and there are 1,024: one a clip ended a test of CREMA-D."""
    module = RetrievesIdentity()
    held = []
    for speaker in DataLoader(torch.arange(30), num_workers=1, multiprocessing_context="fork"):
        module.keep_for_retrieval(torch.rand(1, 4), torch.rand(1, 4), speaker)
        held.append(len(os.listdir("/proc/self/fd")))
    assert held[-1] <= held[4] + 5
