"""`~` in options and configs is the home folder, never a folder of that name."""

from pathlib import Path

import pytest

from s2v.cli import main
from s2v.errors import InputError
from s2v.files.home_paths import expand_home, with_home


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return folder


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("~", "HOME"),
        ("~/a b/c", "HOME/a b/c"),
        ("--cache=~/a", "--cache=HOME/a"),
        ("vggface:~/w.pth", "vggface:HOME/w.pth"),
        ("--model.init_args.identity_teacher=class:a.b.C:~/w.pth", None),
        ("ours=~/videos", "ours=HOME/videos"),
        ("~someone/x", "~someone/x"),
        ("a~/b", "a~/b"),
        ("./~/b", "./~/b"),
        ("data/~", "data/~"),
        ("~.mp4", "~.mp4"),
        ("", ""),
    ],
)
def test_what_is_such_a_path(home: Path, given: str, expected: str | None) -> None:
    wanted = given.replace("~", "HOME") if expected is None else expected
    assert with_home(given) == wanted.replace("HOME", str(home))


def test_configs_hold_them_at_any_depth(home: Path) -> None:
    held = {"a": ["~/x", 1, None, {"b": "~/y"}]}
    assert expand_home(held) == {"a": [f"{home}/x", 1, None, {"b": f"{home}/y"}]}


def test_without_a_home_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    with pytest.raises(InputError, match="no home folder here"):
        with_home("~/x")


def test_an_option(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["synthesize", "--output=~/corpus", "--layout", "crema_d", "--speakers", "1",
                 "--clips-per-speaker", "1", "--size", "64"]) == 0  # fmt: skip
    assert (home / "corpus" / "VideoFlash").is_dir()
    assert list(Path().iterdir()) == []


CONFIG = """
run_dir: ~/run
trainer:
  accelerator: cpu
  max_steps: 1
  num_sanity_val_steps: 0
  enable_progress_bar: false
  enable_model_summary: false
  logger: {class_path: lightning.pytorch.loggers.CSVLogger, init_args: {save_dir: "${run_dir}"}}
  callbacks:
    - {class_path: lightning.pytorch.callbacks.ModelCheckpoint, init_args: {dirpath: "${run_dir}"}}
data: {class_path: tests.callbacks.small_gan.ShuffledClips}
model: {class_path: tests.callbacks.small_gan.SmallGAN}
"""


def test_a_config(home: Path, tmp_path: Path) -> None:
    (tmp_path / "fit.yaml").write_text(CONFIG)
    assert main(["fit", "--config", str(tmp_path / "fit.yaml")]) == 0
    assert f"dirpath: {home}/run" in (home / "run" / "config.yaml").read_text()
    assert list(Path().iterdir()) == []
