"""A checkpoint from a stranger runs nothing, whichever command reads it: one line, exit status 2."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from s2v.cli import main
from tests.full import FULL
from tests.s2v.generation.composer_checkpoint import write_composer_checkpoint
from tests.s2v.test_training_cli import BASE, STAGE


class Command:
    """Unpickled, it would leave a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.trace),)


@pytest.fixture(params=["beside the weights", "in the settings", "a bare pickle"])
def hostile(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """The file, and what it would make."""
    path, trace = tmp_path / "model.ckpt", tmp_path / "hacked"
    content = torch.load(write_composer_checkpoint(path), weights_only=True)
    if request.param == "beside the weights":
        torch.save({**content, "more": Command(trace)}, path)
    elif request.param == "in the settings":
        torch.save({**content, "hyper_parameters": {"window_frames": Command(trace)}}, path)
    else:
        path.write_bytes(pickle.dumps({"state_dict": Command(trace)}))
    return path, trace


def test_the_file_is_a_danger(hostile: tuple[Path, Path]) -> None:
    """Read the careless way it does what it is made for; or these tests would show nothing."""
    path, trace = hostile
    if path.read_bytes()[:2] == b"PK":
        torch.load(path, weights_only=False)
    else:
        pickle.loads(path.read_bytes())
    assert trace.is_dir()


@pytest.mark.parametrize("command", ["fit", "validate", "export", "doctor"] if FULL else ["fit", "export"])
def test_no_command_runs_it(
    command: str, hostile: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, trace = hostile
    (tmp_path / "base.yaml").write_text(BASE.format(folder=tmp_path / "run"))
    (tmp_path / "stage.yaml").write_text(STAGE)
    (tmp_path / "speech.wav").write_bytes(b"RIFF")
    configs = ["--config", str(tmp_path / "base.yaml"), "--config", str(tmp_path / "stage.yaml")]
    arguments = {
        "export": [
            "--checkpoint",
            str(path),
            "--speech",
            str(tmp_path / "speech.wav"),
            "--output",
            str(tmp_path / "a.mp4"),
        ],
        "doctor": ["--weights", str(path)],
    }
    status = main([command, *arguments.get(command, [*configs, "--ckpt_path", str(path)])])
    assert not trace.exists()
    shown = capsys.readouterr()
    if command != "doctor":
        assert status == 2
        (line,) = [line for line in shown.err.splitlines() if line.startswith("s2v: error: ")]
        assert str(path) in line


def test_a_checkpoint_can_not_name_what_builds_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lightning keeps in a checkpoint by which function and class the module is made."""
    (tmp_path / "evil_module.py").write_text(f"import os; os.mkdir({str(tmp_path / 'hacked')!r})")
    (tmp_path / "speech.wav").write_bytes(b"RIFF")
    path = tmp_path / "model.ckpt"
    content = torch.load(write_composer_checkpoint(path), weights_only=True)
    settings = content["hyper_parameters"]
    # networks of other packages are left to Lightning to build; those of this one need it not
    other = settings | {"generator": {"class_path": "torch.nn.Identity"}}
    for change in ({"_instantiator": "evil_module.run"}, {"_class_path": "evil_module.Run"}):
        for kept, says in ((settings, "speech.wav can't be read"), (other, "s2v: error: --checkpoint")):
            torch.save({**content, "hyper_parameters": kept | change}, path)
            with pytest.MonkeyPatch.context() as patch:
                patch.syspath_prepend(tmp_path)
                export = ["export", "--checkpoint", str(path), "--speech", str(tmp_path / "speech.wav")]
                assert main([*export, "--output", str(tmp_path / "a.mp4")]) != 0
            assert not (tmp_path / "hacked").exists()
            assert says in capsys.readouterr().err
