import warnings
from pathlib import Path

import pytest
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.loggers import CSVLogger

from callbacks.save_config import SaveConfigBesideCheckpoints, _flat
from s2v.errors import InputError
from tests.callbacks.small_gan import SmallGAN, loader
from tests.conftest import fill_disk
from tests.quiet_trainer import trainer


def saver(lr: float) -> SaveConfigBesideCheckpoints:
    parser = LightningArgumentParser()
    parser.add_lightning_class_args(SmallGAN, "model")
    return SaveConfigBesideCheckpoints(parser, parser.parse_args([f"--model.lr={lr}"]))


def config_in(path: Path) -> dict:
    return yaml.safe_load(path.read_text())["model"]


def test_lies_beside_the_checkpoints_with_defaults_filled_in(tmp_path: Path) -> None:
    saving = ModelCheckpoint(tmp_path / "gan")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".* exists and is not empty")  # ModelCheckpoint's, of its folder
        trainer(tmp_path, saver(0.1), saving, max_steps=1).fit(SmallGAN(), loader())
    assert config_in(tmp_path / "gan" / "config.yaml") == {
        "lr": 0.1, "batches_a_step": 1, "hidden": 16, "poison_at": None,
    }  # fmt: skip
    assert {path.suffix for path in (tmp_path / "gan").iterdir()} == {".ckpt", ".yaml"}  # nothing temporary


def test_lies_in_the_root_dir_where_no_checkpoint_callback_names_a_folder(tmp_path: Path) -> None:
    trainer(tmp_path, saver(0.1), max_steps=1).fit(SmallGAN(), loader())
    assert config_in(tmp_path / "config.yaml")["lr"] == 0.1


@pytest.mark.parametrize("of_checkpoints", [True, False])
def test_a_remote_folder_is_refused_before_the_fit(
    of_checkpoints: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    callbacks = [ModelCheckpoint("memory://bucket/gan")] if of_checkpoints else []
    root = tmp_path if of_checkpoints else "memory://bucket"
    fit = trainer(root, saver(0.1), *callbacks, max_steps=1)
    with pytest.raises(InputError, match=r"^memory://bucket.* is no folder of this machine"):
        fit.fit(SmallGAN(), loader())
    assert fit.global_step == 0 and not (tmp_path / "memory:").exists()


def test_a_run_that_goes_on_replaces_it_and_a_validation_does_not(tmp_path: Path) -> None:
    for lr in (0.1, 0.2):
        trainer(tmp_path, saver(lr), max_steps=1).fit(SmallGAN(), loader())
    trainer(tmp_path, saver(0.3)).validate(SmallGAN(), loader(), verbose=False)
    assert config_in(tmp_path / "config.yaml")["lr"] == 0.2
    assert config_in(tmp_path / "config.validate.yaml")["lr"] == 0.3


def test_warns_of_an_earlier_fits_checkpoints_unless_it_goes_on_from_one(tmp_path: Path) -> None:
    def fit(steps: int, ckpt_path: Path | None = None) -> list[str]:
        saving = ModelCheckpoint(tmp_path / "gan", save_last=True, enable_version_counter=False)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            trainer(tmp_path, saver(0.1), saving, max_steps=steps).fit(
                SmallGAN(), loader(), ckpt_path=ckpt_path
            )
        return [str(one.message) for one in caught if "checkpoints of an earlier fit" in str(one.message)]

    assert fit(1) == []
    (warning,) = fit(1)
    assert str(tmp_path / "gan") in warning
    assert fit(2, tmp_path / "gan" / "last.ckpt") == []


def test_every_logger_gets_it_as_hyperparameters(tmp_path: Path) -> None:
    loggers = [CSVLogger(tmp_path / name, name="", version="") for name in ("one", "two")]
    trainer(tmp_path, saver(0.1), logger=loggers, max_steps=1).fit(SmallGAN(), loader())
    for name in ("one", "two"):
        assert config_in(tmp_path / name / "hparams.yaml")["lr"] == 0.1


def test_a_resumed_fit_says_which_keys_changed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    saving = ModelCheckpoint(tmp_path, save_last=True, every_n_train_steps=1)
    trainer(tmp_path, saver(0.1), saving, max_steps=1).fit(SmallGAN(), loader())
    for lr, lines in ((0.1, []), (0.2, ["resuming with model.lr = 0.2; it was 0.1"])):
        caplog.clear()
        with caplog.at_level("INFO"):
            fit = trainer(tmp_path / "again", saver(lr), max_steps=2)
            fit.fit(SmallGAN(), loader(), ckpt_path=tmp_path / "last.ckpt")
        assert [line for line in caplog.messages if line.startswith("resuming with")] == lines
    caplog.clear()
    with caplog.at_level("INFO"):  # a validation has other callbacks and loggers, and resumes nothing
        once = trainer(tmp_path / "again", saver(0.2), limit_val_batches=1)
        once.validate(SmallGAN(), loader(), ckpt_path=tmp_path / "last.ckpt", verbose=False)
    assert "resuming with" not in caplog.text


def test_keys_of_nested_configs_and_lists() -> None:
    config = {
        "trainer": {"callbacks": [{"class_path": "a", "init_args": {"n": 1}}, {}], "logger": []},
        "x": None,
    }
    assert _flat(config) == {
        "trainer.callbacks[0].class_path": "a",
        "trainer.callbacks[0].init_args.n": 1,
        "trainer.callbacks[1]": {},
        "trainer.logger": [],
        "x": None,
    }


@pytest.mark.parametrize("left", [0, 4096])
def test_on_a_full_disk_there_is_no_half_of_it(left: int, small_disk: Path) -> None:
    """Room for nothing, or for the config but not for the same in CSVLogger's file."""
    run = small_disk / "run"
    run.mkdir()
    logger = CSVLogger(run, name="", version="")
    fill_disk(small_disk, left)
    fit = trainer(run, saver(0.1), logger=logger, max_steps=1)
    with pytest.raises(InputError, match=r"config\.yaml can't be written \(the disk is full\); make room"):
        fit.fit(SmallGAN(), loader())
    assert list(run.iterdir()) == []
