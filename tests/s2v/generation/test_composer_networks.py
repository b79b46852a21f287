"""A composer's networks without its module: the same networks, and none where the config says something else."""

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from s2v.errors import InputError
from s2v.generation.composer_networks import composer_networks
from s2v.modules.composer import ComposerModule
from tests.s2v.generation.composer_checkpoint import WINDOW_FRAMES, write_composer_checkpoint
from tests.s2v.generation.networks import speech_like


@pytest.fixture(scope="module", params=["CPC alone", "speaker encoder"])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("checkpoint") / "composer.ckpt"
    return write_composer_checkpoint(file, speaker_encoder=request.param == "speaker encoder")


@pytest.fixture
def content(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content


def test_networks_are_those_of_the_module(path: Path, content: dict[str, Any]) -> None:
    found = composer_networks(content, str(path))
    assert found is not None and found.window_frames == WINDOW_FRAMES
    module = ComposerModule.load_from_checkpoint(path, weights_only=True).eval()
    for ours, theirs in zip(found[:2], (module.representation, module.generator), strict=True):
        assert type(ours) is type(theirs) and not any(part.training for part in ours.modules())
        weights = theirs.state_dict()
        assert all(torch.equal(value, weights[name]) for name, value in ours.state_dict().items())
        assert len(ours.state_dict()) == len(weights)
    speech, times = speech_like(0.48)[None], torch.tensor([[0.1, 0.3]])
    with torch.no_grad():
        made = found.generator(*found.representation(speech, times))[0]
        expected = module.generator(*module.representation(speech, times))[0]
    assert torch.equal(made, expected)


def test_no_random_number_is_drawn_for_weights_that_are_read(path: Path, content: dict[str, Any]) -> None:
    before = torch.get_rng_state()
    assert composer_networks(content, str(path)) is not None
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("name", "class_path"),
    [
        ("generator", "somebody.elses.Generator"),
        ("generator", "s2v.models.students.StudentHead"),  # a network, but no generator
        ("generator", "s2v.models.frame_decoder.repeat"),  # no network
        ("representation", "s2v.models.frame_decoder.NoSuchThing"),
        ("representation", "s2v.errors.InputError"),
    ],
)
def test_other_classes_are_left_to_the_module(content: dict[str, Any], name: str, class_path: str) -> None:
    changed = copy.deepcopy(content["hyper_parameters"])
    changed[name]["class_path"] = class_path
    assert composer_networks({**content, "hyper_parameters": changed}, "a.ckpt") is None


def test_a_nested_network_of_other_classes_is_left_to_the_module(content: dict[str, Any]) -> None:
    changed = copy.deepcopy(content["hyper_parameters"])
    changed["representation"]["init_args"]["cpc"]["class_path"] = "somebody.elses.CPC"
    assert composer_networks({**content, "hyper_parameters": changed}, "a.ckpt") is None
    assert composer_networks({"state_dict": content["state_dict"]}, "a.ckpt") is None


def test_no_module_that_a_checkpoint_names_is_imported(
    content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it holds would run."""
    (tmp_path / "named_by_a_checkpoint.py").write_text("from s2v.models.cpc import CPC\n")
    monkeypatch.syspath_prepend(tmp_path)
    changed = copy.deepcopy(content["hyper_parameters"])
    changed["representation"]["init_args"]["cpc"]["class_path"] = "named_by_a_checkpoint.CPC"
    assert composer_networks({**content, "hyper_parameters": changed}, "a.ckpt") is None
    assert "named_by_a_checkpoint" not in sys.modules


def test_a_config_without_what_is_needed_is_left_to_the_module(content: dict[str, Any]) -> None:
    for window_frames in (None, "12"):
        changed = {**content["hyper_parameters"], "window_frames": window_frames}
        assert composer_networks({**content, "hyper_parameters": changed}, "a.ckpt") is None
    for init_args in (None, "text", [1]):
        changed = copy.deepcopy(content["hyper_parameters"])
        changed["generator"]["init_args"] = init_args
        assert composer_networks({**content, "hyper_parameters": changed}, "a.ckpt") is None


def test_weights_of_another_size_are_one_line(content: dict[str, Any]) -> None:
    changed = copy.deepcopy(content["hyper_parameters"])
    changed["generator"]["init_args"]["width"] = 0.5
    with pytest.raises(InputError, match=r"a\.ckpt does not fit"):
        composer_networks({**content, "hyper_parameters": changed}, "a.ckpt")
