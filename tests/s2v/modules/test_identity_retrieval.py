"""Retrieval by hand: who is nearest to whose face."""

import os

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from s2v.modules.identity_retrieval import RetrievesIdentity, finds_own_face

ANN, BEN, UNKNOWN = 0, 1, -1


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


def logged_of(voices: Tensor, faces: Tensor, speakers: list[int]) -> dict[str, float]:
    module, logged = RetrievesIdentity(), {}
    module.log = lambda name, value, **_: logged.update({name: float(value)})  # type: ignore[method-assign, assignment]
    module.keep_for_retrieval(voices, faces, torch.tensor(speakers))
    module._log_retrieval("val")
    assert not module._heard
    return logged


def test_clips_without_a_speaker_are_nobody() -> None:
    """Neither voices that look for a face nor, taken together, a face to be found."""
    faces = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0], [9.0, 9.0], [5.0, 9.0]])
    voices = torch.tensor([[2.0, 0.0], [1.5, 0.5], [0.0, 2.0], [0.0, 0.0], [0.0, 0.0]])
    found = logged_of(voices, faces, [ANN, ANN, BEN, UNKNOWN, UNKNOWN])
    assert found == logged_of(voices[:3], faces[:3], [ANN, ANN, BEN])
    assert found == {"val/identity_retrieval": 1.0, "val/identity_retrieval_by_speaker": 1.0}


@pytest.mark.parametrize("speakers", [[UNKNOWN] * 3, [ANN, ANN, UNKNOWN], [ANN] * 3])
def test_one_face_is_not_looked_for(speakers: list[int]) -> None:
    """1.0 would be no merit: there is nobody to mistake it for."""
    assert logged_of(torch.eye(3), torch.eye(3), speakers) == {}


@pytest.mark.parametrize("stage", ["validation", "test"])
def test_an_interrupted_run_leaves_no_clips_to_the_next(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[dict[str, float]] = []
    for interrupted in (False, True):
        module, logged = RetrievesIdentity(), {}
        monkeypatch.setattr(
            module, "log", lambda name, value, logged=logged, **_: logged.update({name: float(value)})
        )
        monkeypatch.setattr(RetrievesIdentity, "_alone", True)
        if interrupted:
            getattr(module, f"on_{stage}_epoch_start")()
            module.keep_for_retrieval(torch.eye(2), torch.eye(2).flip(0), torch.tensor([ANN, BEN]))
        getattr(module, f"on_{stage}_epoch_start")()
        module.keep_for_retrieval(torch.eye(2), torch.eye(2), torch.tensor([ANN, BEN]))
        getattr(module, f"on_{stage}_epoch_end")()
        found.append(logged)
    assert found[0] == found[1] and found[0]


def test_a_long_test_holds_no_file_descriptors() -> None:
    """A tensor from a loader's worker holds one, and there are 1,024: one a clip ended a test of CREMA-D."""
    module = RetrievesIdentity()
    held = []
    for speaker in DataLoader(torch.arange(30), num_workers=1, multiprocessing_context="fork"):
        module.keep_for_retrieval(torch.rand(1, 4), torch.rand(1, 4), speaker)
        held.append(len(os.listdir("/proc/self/fd")))
    assert held[-1] <= held[4] + 5
