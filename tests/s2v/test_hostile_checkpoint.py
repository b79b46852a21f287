"""A checkpoint from a stranger runs nothing, whichever command reads it: one line, exit status 2."""

import importlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from s2v.cli import main
from s2v.errors import InputError
from s2v.evaluation.judges import load_face_judge, load_sync_judge
from s2v.modules.face_source import load_face_network
from s2v.modules.named_classes import check_named_classes
from tests.experiments.combinations import REPOSITORY
from tests.full import FULL
from tests.s2v.generation.composer_checkpoint import (
    instantiate_composer,
    network,
    write_composer_checkpoint,
)
from tests.s2v.training.test_training_cli import BASE, STAGE


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


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Path]:
    """A module that can be imported and nobody has; what it leaves once it is."""
    trace = tmp_path / "imported"
    (tmp_path / "some_installed.py").write_text(
        f"import os; os.mkdir({str(trace)!r})\nimport torch\nclass CPC(torch.nn.Module): pass\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        yield trace
    sys.modules.pop("some_installed", None)


def export(path: Path) -> int:
    """`s2v export` of it."""
    speech = path.with_name("speech.wav")
    speech.write_bytes(b"RIFF")
    output = str(path.with_name("a.mp4"))
    return main(["export", "--checkpoint", str(path), "--speech", str(speech), "--output", output])


FOREIGN = {"class_path": "some_installed.CPC", "init_args": {"anything": "from the file"}}
CHANGES: dict[str, dict[str, Any]] = {
    "a network": {"frame_discriminator": FOREIGN},
    "a network's network": {
        "representation": {**network("speech_representation.SpeechRepresentation", cpc=FOREIGN)}
    },
    "a representation": {"representation": FOREIGN},
    "a generator": {"generator": FOREIGN},
    "the module": {"_class_path": "some_installed.CPC"},
    "without class_path": {"frame_discriminator": "some_installed.CPC"},
    "a list": {"frame_discriminator": network("discriminators.FrameDiscriminator", layers=[[FOREIGN]])},
    "dict_kwargs": {
        "frame_discriminator": {"class_path": "torch.nn.ReLU", "dict_kwargs": {"a": ("b", FOREIGN)}}
    },
    "a dotted key": {"frame_discriminator.class_path": "some_installed.CPC"},
    "YAML": {"frame_discriminator": "class_path: some_installed.CPC"},
    "YAML's escapes": {"frame_discriminator": '"class\\u005fpath": "some\\u005finstalled.CPC"'},
    "YAML's list": {"dict_kwargs": {"layers": "- some_installed.CPC"}},
    "JSON": {"frame_discriminator": ' {"class_path": "some_installed.CPC"}'},
    "an optimizer": {"optimizer": FOREIGN},
    "an optimizer's function": {"optimizer": "some_installed.CPC"},
    "a scheduler's function": {
        "scheduler": {
            "class_path": "torch.optim.lr_scheduler.LambdaLR",
            "init_args": {"lr_lambda": "some_installed.CPC"},
        }
    },
    "a face network": {"feature_network": "class:some_installed.CPC:weights/mine.pt"},
    "what every process has imported": {
        "optimizer": {"class_path": "subprocess.Popen", "init_args": {"args": "id"}}
    },
    "its function": {"optimizer": "os.system"},
    "this package's imports": {"optimizer": "s2v.modules.target_caching.Path"},
    "a library's network": {"frame_discriminator": {"class_path": "torch.jit.ScriptModule"}},
    "a library's network by its name": {"frame_discriminator": "ScriptModule"},
    "no text": {"frame_discriminator": {"class_path": ["some_installed.CPC"]}},
    "a dict": {"frame_discriminator": {"class_path": {"a": "b"}}},
}


@pytest.mark.parametrize("place", CHANGES)
@pytest.mark.parametrize("key", ["hyper_parameters", "hparams", "module_arguments"])
def test_no_class_is_imported_because_a_checkpoint_names_it(place: str, key: str, installed: Path) -> None:
    """Lightning takes a config from older checkpoints' keys too."""
    with pytest.raises(InputError, match=r"^the judge: a\.ckpt (names the class|has a list)") as refused:
        check_named_classes({key: {"window_frames": 12, **CHANGES[place]}}, "a.ckpt", "the judge")
    assert not installed.exists() and len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("place", CHANGES if FULL else ["a network", "a representation", "YAML"])
def test_export_imports_no_class_that_a_checkpoint_names(
    place: str, tmp_path: Path, installed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not even where the rest of it needs Lightning: here the number that is a text."""
    path = tmp_path / "model.ckpt"
    content = torch.load(write_composer_checkpoint(path), weights_only=True)
    content["hyper_parameters"] |= {"window_frames": "12"} | CHANGES[place]
    torch.save(content, path)
    capsys.readouterr()
    assert export(path) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("s2v: error: ")]
    assert f"--checkpoint: {path}" in line and not installed.exists()


@pytest.mark.parametrize("load", [load_sync_judge, load_face_network, load_face_judge])
def test_judges_and_teachers_import_none_either(
    load: Callable[[str], object], tmp_path: Path, installed: Path
) -> None:
    path = tmp_path / "judge.ckpt"
    settings = {
        "syncnet": FOREIGN,
        "network": FOREIGN,
        "_instantiator": "lightning.pytorch.cli.instantiate_module",
    }
    state = {"syncnet.a": torch.zeros(1), "face.network.a": torch.zeros(1)}
    torch.save({"state_dict": state, "hyper_parameters": settings}, path)
    with pytest.raises(
        InputError,
        match=r"judge\.ckpt names the class 'some_installed\.CPC'.*import sys, some_installed, s2v",
    ):
        load(str(path))
    assert not installed.exists()


def test_what_own_fits_write_and_what_the_user_imported_may_be_named(installed: Path) -> None:
    adam = {"class_path": "torch.optim.Adam", "init_args": {"betas": (0.9, 0.99)}}
    cli = instantiate_composer(
        optimizer=adam,
        scheduler={"class_path": "s2v.modules.one_cycle.OneCycleAtRate", "init_args": {"total_steps": 9}},
        voice_augmentation={"gain_db": 3.0},
        frame_augmentation={"brightness": 0.5},
        feature_network="vggface:weights/vggface.pt",
        stage1_checkpoint="runs/stage 1/best.ckpt",
    )
    written = {"hyper_parameters": dict(cli.model.hparams)}
    check_named_classes(written, "a.ckpt", "the judge")
    plain = ["torch.optim.lr_scheduler.StepLR", "lightning.pytorch.cli.ReduceLROnPlateau", "torch.nn.ReLU"]
    texts = {"pretrained": "crema.dat", "more": [*plain, "1.5", "", "12", "null", "C:\\x.ckpt", "\tb: c"]}
    check_named_classes({"hyper_parameters": texts}, "a.ckpt", "the judge")
    importlib.import_module("some_installed")
    for place in ("a network", "a face network", "without class_path", "an optimizer"):
        check_named_classes({"hyper_parameters": CHANGES[place]}, "a.ckpt", "the judge")


def test_a_checkpoint_that_needs_lightning_is_exported_or_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.ckpt"
    content = torch.load(write_composer_checkpoint(path), weights_only=True)
    settings = content["hyper_parameters"]
    circle: list[Any] = []
    circle.append(circle)
    for change, says in (
        ({"window_frames": "12"}, "speech.wav can't be read"),
        # of this package, and no representation: jsonargparse's own exception
        (
            {"representation": network("students.StudentHead", in_dim=2, out_dim=2)},
            "can't be loaded as ComposerModule",
        ),
        (
            {"representation": {"class_path": "s2v.models.students.StudentHead", "init_args": []}},
            "can't be loaded",
        ),
        ({"representation": circle}, "can't be loaded as ComposerModule"),
    ):
        torch.save({**content, "hyper_parameters": settings | change}, path)
        assert export(path) != 0
        shown = capsys.readouterr().err
        assert says in shown and "Traceback" not in shown
    torch.save({**content, "hyper_parameters": [1]}, path)
    assert export(path) == 2
    assert "can't be loaded as ComposerModule" in capsys.readouterr().err


@pytest.mark.slow
def test_only_networks_of_known_libraries_come_along_with_this_package() -> None:
    """Others' would pass for the user's imports."""
    script = """
import s2v.evaluation.judges, s2v.generation.export, s2v.models.fid_inception, s2v.modules.composer, s2v.modules.sdfa
import s2v.modules.face_teacher, s2v.modules.syncnet_training, s2v.training.training_cli
from torch import nn
from s2v.modules.named_classes import _LIBRARIES, _subclasses
print({each.__module__.split(".")[0] for each in _subclasses(nn.Module)} - _LIBRARIES)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "{'s2v'}"


@pytest.mark.slow
def test_a_network_of_ones_own_is_exported_once_one_has_imported_it(tmp_path: Path) -> None:
    """The command of docs/extending.md, and the same without the import."""
    (tmp_path / "mine.py").write_text(
        "from s2v.models.frame_decoder import Speech2VideoGenerator\n"
        "class Generator(Speech2VideoGenerator): pass\n"
    )
    (tmp_path / "speech.wav").write_bytes(b"RIFF")
    content = torch.load(write_composer_checkpoint(tmp_path / "model.ckpt"), weights_only=True)
    content["hyper_parameters"]["generator"]["class_path"] = "mine.Generator"
    torch.save(content, tmp_path / "model.ckpt")
    arguments = ["export", "--checkpoint", "model.ckpt", "--speech", "speech.wav", "--output", "a.mp4"]
    page = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")
    own = "import sys, mine, s2v.cli; sys.exit(s2v.cli.main())"
    assert f'python -c "{own}" export' in page
    for script, says in (
        (own, "speech.wav can't be read"),
        (own.replace("mine, ", ""), "model.ckpt names the class 'mine.Generator'"),
    ):
        ran = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
        )
        assert says in ran.stderr
        assert ran.returncode == (1 if script == own else 2)


def test_a_weight_file_named_like_a_package_is_a_file() -> None:
    """`test.ckpt` is no class `ckpt` of Python's package `test`; elsewhere than where a file is asked for it may be."""
    for file in ("test.ckpt", "code.pt"):
        check_named_classes({"hyper_parameters": {"initial_checkpoint": file}}, "x.ckpt", "export")
        with pytest.raises(InputError, match=f"names the class '{file}'"):
            check_named_classes({"hyper_parameters": {"network": file}}, "x.ckpt", "export")
    with pytest.raises(InputError, match=r"names the class 'test\.support'"):
        check_named_classes({"hyper_parameters": {"initial_checkpoint": "test.support"}}, "x.ckpt", "export")
