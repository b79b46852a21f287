"""docs/tutorial.md: its commands name what there is, and lead from videos to a talking face."""

import re
import shlex
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import torch

from data_modules.synthetic.corpus import write_corpus
from s2v.cli import COMMANDS, TRAINING, parser_of
from s2v.models.mini_xception import MiniXception
from s2v.models.speaker_encoder import SpeakerEncoder
from s2v.weight_files.keras_file import KERAS_VALUES, keras_layer_names
from s2v.weights import load_mini_xception
from tests.docs.page_commands import run_commands
from tests.experiments.combinations import REPOSITORY

TUTORIAL = REPOSITORY / "docs" / "tutorial.md"


def blocks() -> list[str]:
    """The shell blocks, in order."""
    return re.findall(r"^```sh\n(.*?)^```", TUTORIAL.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_commands_and_files_exist() -> None:
    text = "\n".join(blocks())
    assert len(blocks()) == 6
    files = re.findall(r"experiments/[\w/]+\.yaml", TUTORIAL.read_text(encoding="utf-8"))
    assert len(files) > 10 and [file for file in files if not (REPOSITORY / file).is_file()] == []
    commands = [shlex.split(line) for line in text.splitlines() if line.startswith("s2v ")]
    assert {words[1] for words in commands} == {"prepare", "test", "report", "export", "detect"}
    for words in commands:
        if words[1] in COMMANDS:
            parser_of(words[1]).parse_strictly(words[2:])
        else:
            assert words[1] in TRAINING


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_from_videos_to_a_talking_face(tmp_path: Path) -> None:
    write_corpus(tmp_path / "phone", "voxceleb2", speakers=2, clips_per_speaker=8, seed=0, size=128)
    (tmp_path / "data" / "videos").mkdir(parents=True)
    for speaker in (tmp_path / "phone").glob("*/mp4/*"):
        speaker.rename(tmp_path / "data" / "videos" / speaker.name)
    (tmp_path / "experiments").symlink_to(REPOSITORY / "experiments")
    (tmp_path / "weights").mkdir()
    write_mini_xception(tmp_path / "weights" / "fer2013_mini_XCEPTION.102-0.66.hdf5")
    write_speaker_encoder(tmp_path / "weights" / "resemblyzer" / "pretrained.pt")
    write_voice(tmp_path / "my_voice.wav")
    script = f'#!/bin/sh\nexec "{sys.executable}" -m tests.docs.tiny_s2v "$@"\n'
    printed = run_commands(blocks(), tmp_path, script)

    runs = tmp_path / "runs" / "videos"
    assert (runs / "compose" / "report" / "report.json").is_file()
    assert "<h2>Test</h2>" in (runs / "report.html").read_text(encoding="utf-8")
    assert (runs / "my_voice.mp4").stat().st_size > 1000
    assert "my_voice.mp4" in printed and "manifest" in printed


def write_mini_xception(path: Path) -> None:
    """Untrained weights in the published file's layout."""
    import h5py

    layers = {ours: keras for keras, ours in keras_layer_names().items()}
    with h5py.File(path, "w") as file:
        for name, value in MiniXception().state_dict().items():
            owner, kind = name.rpartition(".")[::2]
            if kind == "num_batches_tracked":
                continue
            array = value.numpy()
            if owner.endswith(("depthwise", "pointwise")):
                owner, part = owner.rsplit(".", 1)
                keras = f"{part}_kernel"
                array = array.transpose(2, 3, 0, 1) if part == "depthwise" else array.transpose(2, 3, 1, 0)
            elif array.ndim == 4:
                keras, array = "kernel", array.transpose(2, 3, 1, 0)
            elif "bn" in owner.rpartition(".")[2]:
                keras = next(k for k, ours in KERAS_VALUES.items() if ours == kind)
            else:
                keras = kind
            file[f"{layers[owner]}/{layers[owner]}/{keras}:0"] = array
    load_mini_xception(path)  # says what is wrong with it


def write_speaker_encoder(path: Path) -> None:
    """Untrained weights in the published file's layout."""
    path.parent.mkdir()
    torch.save({"model_state": SpeakerEncoder().state_dict()}, path)


def write_voice(path: Path) -> None:
    """Two seconds of a tone whose loudness changes."""
    time = np.arange(32_000) / 16_000
    tone = np.sin(2 * np.pi * 150 * time) * (0.5 + 0.4 * np.sin(2 * np.pi * 3 * time))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((tone * 20_000).astype("<i2").tobytes())
