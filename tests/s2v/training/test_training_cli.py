"""`s2v fit` and its sisters in-process, on a real small GAN."""

import csv
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import yaml
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.trainer.connectors.logger_connector import result
from torch import Tensor
from torch.nn.utils.parametrizations import spectral_norm
from torch.utils.data import DataLoader

from callbacks.kept_clips import KeptClips
from s2v.cli import main
from s2v.files.held_folder import held_folder
from tests.callbacks.small_gan import ShuffledClips, SmallGAN, loader
from tests.conftest import fill_disk
from tests.s2v.training.wandb_offline import read_offline_run

BASE = """
trainer:
  accelerator: cpu
  max_steps: 4
  num_sanity_val_steps: 0
  enable_progress_bar: false
  enable_model_summary: false
  default_root_dir: {folder}
  logger:
    class_path: lightning.pytorch.loggers.CSVLogger
    init_args: {{save_dir: "${{trainer.default_root_dir}}", name: "", version: ""}}
  callbacks:
    - class_path: lightning.pytorch.callbacks.ModelCheckpoint
      init_args:
        dirpath: ${{trainer.default_root_dir}}/gan
        save_last: true
        enable_version_counter: false
data:
  class_path: tests.callbacks.small_gan.ShuffledClips
"""

STAGE = """
model:
  class_path: tests.callbacks.small_gan.SmallGAN
  init_args:
    lr: 0.002
    hidden: 16
trainer:
  callbacks+:
    - class_path: callbacks.generator_ema.GeneratorEMA
    - class_path: callbacks.gan_health.GANHealth
      init_args: {every_n_steps: "${model.init_args.batches_a_step}"}
    - class_path: callbacks.stop_on_divergence.StopOnDivergence
"""


class Interrupt(pl.Callback):
    """Ctrl-C at the second batch."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 1:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def configs(tmp_path: Path) -> list[str]:
    (tmp_path / "base.yaml").write_text(BASE.format(folder=tmp_path / "run"))
    (tmp_path / "stage.yaml").write_text(STAGE)
    return ["--config", str(tmp_path / "base.yaml"), "--config", str(tmp_path / "stage.yaml")]


@pytest.fixture(autouse=True)
def put_back_ctrl_c() -> Iterator[None]:
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


def saved(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def one_error_line(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("s2v: error: ")]
    return line


def test_fit_then_resume_where_the_command_line_wins_then_validate(
    tmp_path: Path, configs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run" / "gan"
    assert main(["fit", *configs, "--model.init_args.batches_a_step", "1"]) == 0
    last = folder / "last.ckpt"
    assert saved(last)["global_step"] == 4
    assert saved(last)["hyper_parameters"]["lr"] == 0.002

    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["trainer"]["callbacks"][0]["init_args"]["dirpath"] == str(folder)  # interpolated
    assert config["trainer"]["callbacks"][2]["init_args"]["every_n_steps"] == 1  # from the command line
    assert config["model"]["init_args"]["poison_at"] is None  # defaults filled in
    assert config["seed_everything"] == 0
    logged = yaml.safe_load((tmp_path / "run" / "hparams.yaml").read_text())
    assert logged["model"]["init_args"]["lr"] == 0.002

    resume = ["--ckpt_path", str(last), "--trainer.max_steps", "8", "--model.init_args.lr", "0.5"]
    assert main(["fit", *configs, *resume]) == 0
    assert saved(last)["global_step"] == 8
    assert saved(last)["hyper_parameters"]["lr"] == 0.5  # not the checkpoint's 0.002
    # what takes the run's config names its checkpoint, or has none
    assert yaml.safe_load((folder / "config.yaml").read_text())["ckpt_path"] is None

    alone = ["--config", str(folder / "config.yaml"), "--ckpt_path", str(last)]
    assert main(["validate", *alone]) == 0
    assert "val/error" in capsys.readouterr().out
    assert (folder / "config.validate.yaml").exists()

    assert main(["validate", *alone, "--model.init_args.hidden", "8"]) == 2
    line = one_error_line(capsys)
    assert "last.ckpt does not fit the config's model" in line and "size mismatch for generator.0" in line


class OtherStage(pl.LightningModule):
    """Networks that no checkpoint of a SmallGAN has."""

    def __init__(self) -> None:
        super().__init__()
        self.towers = torch.nn.ModuleList(torch.nn.Linear(1, 1) for _ in range(50))

    def validation_step(self, batch: Any, batch_idx: int) -> None: ...

    def configure_optimizers(self) -> None: ...


def test_another_stages_checkpoint_names_three_keys(
    tmp_path: Path, configs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", *configs]) == 0
    last = tmp_path / "run" / "gan" / "last.ckpt"
    other = ["--config", configs[1], "--model", f"{__name__}.OtherStage", "--ckpt_path", str(last)]
    assert main(["validate", *other]) == 2
    assert one_error_line(capsys) == (
        f"s2v: error: --ckpt_path {last} does not fit the config's model (Missing key(s) in state_dict: "
        '"towers.0.weight", "towers.0.bias", "towers.1.weight" ...); use the config.yaml saved beside it'
    )


def test_resuming_a_fit_equals_never_stopping_it(tmp_path: Path, configs: list[str]) -> None:
    callback = ["--trainer.callbacks+", "callbacks.reproducible_randomness.ReproducibleRandomness"]
    last = tmp_path / "run" / "gan" / "last.ckpt"
    assert main(["fit", *configs, *callback, "--trainer.max_steps", "8"]) == 0
    whole = saved(last)["state_dict"]
    last.unlink()
    assert main(["fit", *configs, *callback, "--trainer.max_steps", "4"]) == 0
    assert main(["fit", *configs, *callback, "--trainer.max_steps", "8", "--ckpt_path", str(last)]) == 0
    torch.testing.assert_close(saved(last)["state_dict"], whole, rtol=0, atol=0)


def test_what_a_resumed_fit_changes_is_in_force_and_said(
    tmp_path: Path, configs: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    callback = ["--trainer.callbacks+", "callbacks.optimizers_by_config.OptimizersByConfig"]
    last = tmp_path / "run" / "gan" / "last.ckpt"
    assert main(["fit", *configs, *callback]) == 0
    changes = ["--trainer.max_steps", "8", "--model.init_args.lr", "0.5"]
    with caplog.at_level("INFO"):
        assert main(["fit", *configs, *callback, *changes, "--ckpt_path", str(last)]) == 0
    said = [
        line.removeprefix("resuming with ") for line in caplog.messages if line.startswith("resuming with")
    ]
    assert sorted(said) == ["model.init_args.lr = 0.5; it was 0.002", "trainer.max_steps = 8; it was 4"]
    groups = [group for state in saved(last)["optimizer_states"] for group in state["param_groups"]]
    assert saved(last)["global_step"] == 8 and {group["lr"] for group in groups} == {0.5}


def test_ctrl_c_is_status_130_after_an_orderly_end(
    configs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a background job inherits that it is ignored
    try:
        assert main(["fit", *configs, "--trainer.callbacks+", f"{__name__}.Interrupt"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert "s2v: interrupted" in capsys.readouterr().err


def test_a_number_that_is_one_process_share_is_warned_of(
    configs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SmallGAN is no SharedValidation. A pretended group of processes: a real one would outlive the test."""
    monkeypatch.setattr(result, "_distributed_is_initialized", lambda: True)
    result.warning_cache.clear()  # it warns once a process
    with pytest.warns(PossibleUserWarning, match=r"self\.log\('val/error', \.\.\., sync_dist=True\)"):
        assert main(["validate", *configs]) == 0


def test_divergence_is_one_line(configs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", *configs, "--model.init_args.poison_at", "2"]) == 2
    assert "training diverged at step 2: generator = nan; no checkpoint was saved yet" in one_error_line(
        capsys
    )


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["--trainer.max_step", "3"], "unknown option --trainer.max_step: did you mean --trainer.max_steps?"),
        (
            ["--trainer.max_epochs", "${nope.x}"],
            "the config's trainer.max_epochs: Interpolation key 'nope.x'",
        ),
        (["--config"], "argument -c/--config: expected one argument"),
        (["--run_dir", ""], "--run_dir is empty"),
        (["--ckpt_path="], "--ckpt_path is empty"),
        (["--ckpt_path", "nope.ckpt"], "no weights at nope.ckpt"),
        (["--ckpt_path", "{folder}/pointer.ckpt"], "is a Git-LFS pointer"),
        (["--ckpt_path", "{folder}/words.ckpt"], "no checkpoint as `s2v fit` writes them"),
    ],
)
def test_bad_input_is_one_line(
    args: list[str], line: str, configs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pointer.ckpt").write_text("version https://git-lfs.github.com/spec/v1")
    (tmp_path / "words.ckpt").write_text("no weights")
    args = [arg.replace("{folder}", str(tmp_path)) for arg in args]
    assert main(["fit", *configs, *args]) == 2
    assert line in one_error_line(capsys)


def test_names_the_unknown_key_of_a_config(
    configs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong.yaml").write_text("trainer:\n  max_epoch: 3\n")
    assert main(["fit", *configs, "--config", str(tmp_path / "wrong.yaml")]) == 2
    assert one_error_line(capsys).endswith(
        "the config has an unknown key trainer.max_epoch: did you mean trainer.max_epochs?"
    )


def test_wandb_is_offline_without_a_login_and_gets_the_resolved_config(
    tmp_path: Path, configs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "")
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    logger = {"class_path": "lightning.pytorch.loggers.WandbLogger", "init_args": {"save_dir": str(tmp_path)}}
    (tmp_path / "wandb.yaml").write_text(yaml.safe_dump({"trainer": {"logger": [logger]}}))
    assert main(["fit", *configs, "--config", str(tmp_path / "wandb.yaml")]) == 0
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    config = read_offline_run(folder).config
    assert config["model"]["init_args"]["lr"] == 0.002
    assert config["trainer"]["max_steps"] == 4


def test_health_reaches_the_logger(tmp_path: Path, configs: list[str]) -> None:
    assert main(["fit", *configs]) == 0
    with open(tmp_path / "run" / "metrics.csv") as file:
        rows = [row for row in csv.DictReader(file) if row["health/diversity"]]
    assert [row["step"] for row in rows] == ["0", "1", "2", "3"]


def test_finds_modules_in_the_current_folder(
    tmp_path: Path, configs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `python -m s2v` does, where the `s2v` script is called; a command that reads others' files does not."""
    (tmp_path / "gan_of_my_own.py").write_text(
        "from tests.callbacks.small_gan import SmallGAN\n\n\nclass MyGAN(SmallGAN):\n    pass\n"
    )
    (tmp_path / "yaml.py").write_text("raise ImportError('stands in for an installed package')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder])
    before = list(sys.path)
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    assert sys.path == before
    for _ in range(2):
        assert main(["fit", *configs, "--model", "gan_of_my_own.MyGAN"]) == 0
    assert sys.path == [*before, str(tmp_path)]
    config = yaml.safe_load((tmp_path / "run" / "gan" / "config.yaml").read_text())
    assert (
        config["model"]["class_path"] == "gan_of_my_own.MyGAN" and config["model"]["init_args"]["lr"] == 0.002
    )


def test_help_names_no_hundreds_of_networks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--model.help", "s2v.modules.composer.ComposerModule"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("known subclasses: any torch.nn.Module)") == 3 and "torch.nn.ReLU" not in said


def test_an_option_that_a_later_config_overrules_is_named(tmp_path: Path) -> None:
    (tmp_path / "late.yaml").write_text("run_dir: runs/a\n")
    with pytest.warns(
        UserWarning, match=r"--run_dir has no effect, .*late\.yaml overrules it: put options after"
    ):
        assert main(["fit", "--run_dir", "runs/b", "--config", str(tmp_path / "late.yaml")]) == 2  # no model


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--help"]) == 0
    assert "Example: s2v fit --config" in " ".join(capsys.readouterr().out.split())


class KeepBar(pl.Callback):
    seen: object = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        KeepBar.seen = trainer.progress_bar_callback


class KeepPrecision(pl.Callback):
    """What the trainer computes with."""

    seen: str = ""

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        KeepPrecision.seen = trainer.precision


@pytest.mark.parametrize(
    ("options", "capabilities", "precision", "said"),
    [
        ([], [], "32-true", "precision: 32-true (no CUDA device is used; --trainer.precision overrules)"),
        (["--trainer.accelerator", "auto"], [(9, 0)], "bf16-mixed", "precision: bf16-mixed (the GPU has"),
        (["--trainer.accelerator", "auto", "--trainer.precision", "32-true"], [(9, 0)], "32-true", ""),
        (["--trainer.precision", "bf16-mixed"], [], "bf16-mixed", ""),
    ],
)
def test_an_open_precision_suits_the_hardware(
    options: list[str],
    capabilities: list[tuple[int, int]],
    precision: str,
    said: str,
    configs: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The capabilities are stated; trainer and fit are real, on what this machine has."""
    monkeypatch.setattr("s2v.training.training_cli.cuda_capabilities", lambda: capabilities)
    caplog.set_level("INFO")
    callback = ["--trainer.callbacks+", f"{__name__}.KeepPrecision"]
    assert main(["fit", *configs, *options, *callback, "--trainer.max_steps", "1"]) == 0
    assert KeepPrecision.seen == precision
    lines = [record.getMessage() for record in caplog.records if "precision" in record.getMessage()]
    assert [line for line in lines if line.startswith("precision: ")] == [
        line for line in lines if said and said in line
    ]
    assert bool(said) == any(line.startswith("precision: ") for line in lines)
    config = yaml.safe_load((tmp_path / "run" / "gan" / "config.yaml").read_text())
    stated = options[-1] if "--trainer.precision" in options else None
    assert config["trainer"]["precision"] == stated  # what was asked for, not what this machine made of it


@pytest.mark.parametrize("bar", ["RichProgressBar", "TQDMProgressBar"])
def test_a_fit_without_a_bar_leaves_out_the_configs_own(configs: list[str], bar: str) -> None:
    """experiments/base/trainer.yaml has one, and Lightning refuses the two together; BASE has none."""
    class_path = f"lightning.pytorch.callbacks.{bar}"
    shown = ["--trainer.callbacks+", class_path, "--trainer.callbacks+", f"{__name__}.KeepBar"]
    assert main(["fit", *configs, *shown, "--trainer.max_steps", "1"]) == 0
    assert KeepBar.seen is None
    assert (
        main(["fit", *configs, *shown, "--trainer.max_steps", "1", "--trainer.enable_progress_bar", "true"])
        == 0
    )
    assert type(KeepBar.seen).__name__ == bar


class PredictedClips(ShuffledClips):
    def predict_dataloader(self) -> DataLoader:
        return loader()


class PredictingGAN(SmallGAN):
    keeps: list[bool] = []

    def predict_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        PredictingGAN.keeps.append(self.trainer.predict_loop.return_predictions)
        return self(batch[1])


def test_a_prediction_keeps_no_split_in_memory(configs: list[str]) -> None:
    more = ["--model", f"{__name__}.PredictingGAN", "--data", f"{__name__}.PredictedClips"]
    assert main(["predict", *configs, *more]) == 0
    assert main(["predict", *configs, *more, "--return_predictions=true"]) == 0
    assert PredictingGAN.keeps == [False] * len(loader()) + [True] * len(loader())


def test_what_makes_no_clips_is_not_asked_to_predict(
    configs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = {"class_path": "s2v.models.mouth_syncnet.MouthSyncNet", "init_args": {"hidden": 16}}
    model = {
        "class_path": "s2v.modules.syncnet_training.SyncNetTraining",
        "init_args": {"syncnet": network},
    }
    (tmp_path / "syncnet.yaml").write_text(yaml.safe_dump({"model": model}))
    base = [*configs[:2], "--config", str(tmp_path / "syncnet.yaml")]
    assert main(["predict", *base, "--data", f"{__name__}.PredictedClips"]) == 2
    assert "SyncNetTraining makes no clips: predict takes" in one_error_line(capsys)


class TestedGAN(SmallGAN):
    """Whose test keeps the callbacks that it had."""

    __test__ = False
    folders: list[str] = []

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        own = [callback for callback in self.trainer.callbacks if isinstance(callback, KeptClips)]
        TestedGAN.folders = [callback.output_dir.name for callback in own]


class ClipsToTest(ShuffledClips):
    def test_dataloader(self) -> DataLoader:
        return loader()


def test_a_test_takes_the_last_of_the_configs_reports(configs: list[str], tmp_path: Path) -> None:
    kept = [f"--trainer.callbacks+={json.dumps(kept_clips(tmp_path / name))}" for name in ("fits", "tests")]
    more = ["--model", f"{__name__}.TestedGAN", "--data", f"{__name__}.ClipsToTest"]
    assert main(["test", *configs[:2], *more, *kept]) == 0
    assert TestedGAN.folders == ["tests"]


def kept_clips(folder: Path) -> dict[str, Any]:
    return {"class_path": "callbacks.kept_clips.KeptClips", "init_args": {"output_dir": str(folder)}}


class EndedWithItsWorkers(pl.Callback):
    """A group's SIGTERM where the loader has workers: torch raises at whatever line their deaths are heard."""

    def __init__(self, sent: bool) -> None:
        self.sent = sent

    def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
        if self.sent:
            signal.raise_signal(signal.SIGTERM)
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Terminated. ")


def test_checkpoints_that_are_not_there_and_others_that_are(
    configs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*options: str) -> str:
        assert main([*options]) == 2
        return capsys.readouterr().err

    at = str(tmp_path / "run")
    assert "there is no checkpoint in" in refused("test", *configs, "--ckpt_path", "last")
    assert (
        main(["fit", *configs, "--ckpt_path", "last"]) == 0
    )  # none yet: a job that is started again and again
    assert "is a folder: name a file in it" in refused("test", *configs, "--ckpt_path", at)
    assert "name the file, as RUN/best.ckpt" in refused("validate", *configs, "--ckpt_path", "best")
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*.ckpt"))
    assert before
    elsewhere = ["--run_dir", str(tmp_path / "elsewhere")]
    assert "does not move what the config has written out" in refused("fit", *configs, *elsewhere)
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*.ckpt")) == before
    assert "a folder, but" in refused("fit", *configs, "--run_dir", str(tmp_path / "base.yaml" / "run"))


class NoWeights(TestedGAN):
    """As a still frame is: nothing to be trained."""

    __test__ = False

    def __init__(self) -> None:
        pl.LightningModule.__init__(self)


def test_random_weights_are_told_and_take_no_fits_place(
    configs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    def tested(model: str, folder: Path) -> list[str]:
        recwarn.clear()
        asked = ["--model", f"{__name__}.{model}", "--data", f"{__name__}.ClipsToTest"]
        assert main(["test", *configs[:2], *asked, "--run_dir", str(folder)]) == (2 if folder == run else 0)
        return [str(warning.message) for warning in recwarn if "no --ckpt_path" in str(warning.message)]

    run = tmp_path / "run"
    run.mkdir()
    (run / "last.ckpt").touch()
    tested("TestedGAN", run)
    assert f"is the folder of a fit: give --ckpt_path {run / 'last.ckpt'}, or another" in one_error_line(
        capsys
    )
    assert tested("TestedGAN", tmp_path / "new") == [
        "no --ckpt_path: the networks are as the config initialises them"
    ]
    assert tested("NoWeights", tmp_path / "new") == []


def test_two_fits_do_not_share_a_folder(
    tmp_path: Path, configs: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both would write to one temporary file of last.ckpt, and whichever renames it has half of the other's in it."""
    monkeypatch.setattr("s2v.files.held_folder._SECONDS_TO_WAIT", 0.5)
    folder = tmp_path / "run" / "gan"
    with held_folder(folder, ""):
        assert main(["fit", *configs]) == 2
    assert one_error_line(capsys) == (
        f"s2v: error: {folder}: another `s2v fit` runs there: wait for it, or give this one another --run_dir"
    )
    assert not any(path.is_file() for path in (tmp_path / "run").rglob("*"))
    assert main(["fit", *configs]) == 0
    assert main(["validate", *configs, "--ckpt_path", str(folder / "last.ckpt")]) == 0


def test_a_run_that_was_moved_writes_over_none_in_its_old_place(
    configs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, moved = tmp_path / "run" / "gan", tmp_path / "moved"
    assert main(["fit", *configs]) == 0
    run.rename(moved)
    resuming = ["--config", str(moved / "config.yaml"), "--ckpt_path", str(moved / "last.ckpt")]
    with pytest.warns(UserWarning, match=f"is of a run that was in {run}, and what is written goes there"):
        assert main(["validate", *resuming]) == 0
    assert main(["fit", *configs]) == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.is_file()}
    capsys.readouterr()
    for command in ("fit", "validate", "test"):
        assert main([command, *resuming]) == 2
        line = one_error_line(capsys)
        assert f"was in {run}, where another one's checkpoints are" in line
    assert {
        path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.is_file()
    } == before
    subprocess.run(line.rpartition(": ")[2], shell=True, check=True)
    assert main(["fit", *resuming, "--trainer.max_steps", "8"]) == 0
    assert saved(moved / "last.ckpt")["global_step"] == 8
    # a link to the run is no other place
    (tmp_path / "link").symlink_to(moved)
    assert main(["validate", "--config", str(tmp_path / "link" / "config.yaml")]) == 0


class FillDisk(pl.Callback):
    """Another program takes the rest of the disk after the first step."""

    def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
        fill_disk(Path(trainer.default_root_dir).parent, 0)


def test_a_disk_that_fills_up_is_one_line(
    configs: list[str], small_disk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = f"--trainer.default_root_dir={small_disk / 'run'}"
    run = f"--run_dir={small_disk / 'run'}"
    assert main(["fit", *configs, here, run]) == 2
    assert f"--run_dir {small_disk / 'run'}: its disk has 640 KB left" in one_error_line(capsys)
    assert list(small_disk.iterdir()) == []
    monkeypatch.setattr("s2v.training.training_cli.ROOM_TO_BEGIN", 1)
    fills = ["--trainer.callbacks+", f"{__name__}.FillDisk", "--trainer.log_every_n_steps", "1"]
    flushes = ["--trainer.logger.init_args.flush_logs_every_n_steps", "1"]
    assert main(["fit", *configs, here, run, *fills, *flushes]) == 2
    assert "the disk is full" in one_error_line(capsys)


class Normalised(SmallGAN):
    """With spectral normalisation, as D_fr and D_sync have it."""

    def __init__(self) -> None:
        super().__init__()
        spectral_norm(self.generator[0])


@pytest.mark.parametrize(
    ("strategy", "reason"),
    [
        ("auto", "leaves out the others' parameters"),
        ("ddp", "leaves out the others'"),
        ("ddp_spawn", "under spectral or weight normalisation"),
    ],
)
def test_strategies_that_can_not_work_name_the_one_that_does(
    strategy: str, reason: str, configs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.yaml").write_text(f"model: {__name__}.Normalised\n")
    two = ["--trainer.devices=2", f"--trainer.strategy={strategy}"]
    assert main(["fit", "--config", configs[1], "--config", str(tmp_path / "model.yaml"), *two]) == 2
    line = one_error_line(capsys)
    assert reason in line and "experiments/base/ddp.yaml" in line
    assert not (tmp_path / "run").exists()


class EndedIn(pl.Callback):
    """SIGTERM while a fit prepares, before Lightning minds signals, or while it trains or validates."""

    def __init__(self, hook: str) -> None:
        setattr(self, hook, lambda *args: signal.raise_signal(signal.SIGTERM))


@pytest.mark.parametrize("hook", ["on_fit_start", "on_train_batch_end", "on_validation_start"])
def test_a_stopped_fit_has_not_succeeded(
    hook: str, configs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tested: list[str] = []
    monkeypatch.setattr("s2v.training.training_cli.run_closing_test", lambda *args: tested.append("tested"))
    more = ["--trainer.callbacks+", f"{__name__}.EndedIn", "--trainer.callbacks.init_args.hook", hook]
    with pytest.raises(SystemExit) as ended:
        main(["fit", *configs, *more])
    assert ended.value.code == 143 and not tested


def test_a_groups_sigterm_is_status_143_and_no_traceback(
    configs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--trainer.callbacks+", f"{__name__}.EndedWithItsWorkers", "--trainer.callbacks.init_args.sent"]
    with pytest.raises(SystemExit) as ended:
        main(["fit", *configs, *more, "true"])
    assert ended.value.code == 143
    assert main(["fit", *configs, *more, "false"]) == 2  # somebody else has ended the worker
    assert "killed by signal: Terminated; if memory or /dev/shm is full, take fewer" in one_error_line(capsys)
