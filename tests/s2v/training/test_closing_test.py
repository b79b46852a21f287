"""`s2v fit --test_after_fit`: the fit's process ends with the test, in the same W&B run."""

import csv
import json
import signal
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader

from callbacks.test_report import TestReport
from s2v.cli import main
from s2v.training.closing_test import check_before_fit, run_closing_test
from tests.callbacks.small_gan import ShuffledClips, SmallGAN, loader
from tests.quiet_trainer import trainer
from tests.s2v.evaluation.judge_checkpoints import save_syncnet
from tests.s2v.training.test_training_cli import BASE, STAGE, one_error_line
from tests.s2v.training.test_wandb_run import WANDB, fit
from tests.s2v.training.wandb_offline import read_offline_run


class TestedClips(ShuffledClips):
    __test__ = False

    def test_dataloader(self) -> DataLoader:
        return loader()


class TestedGAN(SmallGAN):
    """With a test that says how far the speech's own code moves the frames, and what the trainer computes with."""

    __test__ = False
    precisions: list[str] = []

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        TestedGAN.precisions.append(str(self.trainer.precision))
        self.log("test/error", (self(batch[1]) - batch[0]).abs().mean(), batch_size=len(batch[0]))


class CountingGAN(TestedGAN):
    """Its weights say how many batches they have seen, and fewer are better."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Any]:
        self.seen += 1
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        self.log("val/seen", self.seen.clone())
        return super().validation_step(batch, batch_idx)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.log("test/seen", self.seen.clone())


class TerminatedGAN(TestedGAN):
    """What a cluster does to it in its first test batch."""

    __test__ = False
    tested = 0

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        TerminatedGAN.tested += 1
        signal.raise_signal(signal.SIGTERM)


@pytest.fixture
def configs(tmp_path: Path) -> list[str]:
    stage = STAGE.replace("tests.callbacks.small_gan.SmallGAN", f"{__name__}.TestedGAN")
    base = BASE.replace("tests.callbacks.small_gan.ShuffledClips", f"{__name__}.TestedClips")
    seeded = "trainer:\n  callbacks+:\n    - class_path: callbacks.reproducible_randomness.ReproducibleRandomness\n"
    texts = {"base": base.format(folder=tmp_path / "run"), "stage": stage, "seeded": seeded}
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return [part for name in texts for part in ("--config", str(tmp_path / f"{name}.yaml"))]


def test_the_test_is_in_the_fit_s_run_and_says_what_s2v_test_says(
    configs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On hardware where a fit takes bf16-mixed: a test does not, after a fit neither."""
    monkeypatch.setattr("s2v.training.training_cli.cuda_capabilities", lambda: [(9, 0)])
    (tmp_path / "wandb.yaml").write_text(WANDB)
    TestedGAN.precisions.clear()
    more = ["--config", str(tmp_path / "wandb.yaml"), "--trainer.accelerator=auto", "--test_after_fit=best"]
    fit(*configs, *more)
    assert set(TestedGAN.precisions) == {"32-true"}
    (folder,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    run = read_offline_run(folder)
    (path,) = run.values("test/metrics.path")
    ((name, value),) = json.loads((folder / "files" / path).read_text())["data"]
    assert name == "test/error" and run.values(name) == [pytest.approx(value)]
    assert len(run.values("health/diversity")) == 4
    assert run.values("trainer/global_step")[-1] == 4  # the summary's, too: not back at 0

    gan = tmp_path / "run" / "gan"
    assert yaml.safe_load((gan / "config.yaml").read_text())["test_after_fit"] == "best"
    (best,) = gan.glob("epoch*.ckpt")
    options = {"save_dir": str(tmp_path / "again"), "name": "", "version": ""}
    logger = {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": options}
    (tmp_path / "csv.yaml").write_text(yaml.safe_dump({"trainer": {"logger": logger}}))
    saved = ["--config", str(gan / "config.yaml"), "--config", str(tmp_path / "csv.yaml")]
    assert main(["test", *saved, "--ckpt_path", str(best)]) == 0
    with open(tmp_path / "again" / "metrics.csv") as file:
        assert float(next(csv.DictReader(file))["test/error"]) == pytest.approx(value, abs=1e-9)
    assert "test_after_fit" not in yaml.safe_load((gan / "config.test.yaml").read_text())


@pytest.mark.parametrize(("which", "seen"), [("best", 4), ("last", 8)])
def test_the_checkpoint_that_was_asked_for_is_tested(
    which: Literal["best", "last"], seen: int, tmp_path: Path
) -> None:
    saving = ModelCheckpoint(tmp_path / "gan", monitor="val/seen", mode="min", save_top_k=2, save_last=True)
    fitted, gan, data = trainer(tmp_path, saving, max_epochs=2), CountingGAN(), TestedClips()
    fitted.fit(gan, datamodule=data)
    config = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "default_root_dir": "data"}
    tested = run_closing_test(fitted, config, gan, data, which)
    assert tested.callback_metrics["test/seen"] == seen
    assert tested.default_root_dir == str(tmp_path)  # the run's folder, where a report goes without a logger


def test_a_look_at_the_judges_draws_no_random_numbers_of_the_fit(tmp_path: Path) -> None:
    """Their networks begin with random weights, before the files' are in them."""
    report, gan = TestReport(syncnet=save_syncnet(tmp_path / "syncnet.ckpt")), TestedGAN()
    before = torch.get_rng_state()
    report.check_judges()
    assert not torch.equal(torch.get_rng_state(), before)
    before = torch.get_rng_state()
    check_before_fit(trainer(tmp_path, report), gan)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["--model", "tests.callbacks.small_gan.SmallGAN"], "--test_after_fit: SmallGAN has no test"),
        (["--trainer.devices=2", "--trainer.strategy=ddp_find_unused_parameters_true"],
         "--test_after_fit: a test is made on one device"),
        (["--trainer.callbacks+=callbacks.test_report.TestReport",
          "--trainer.callbacks.init_args.syncnet=none.ckpt"], "no file at none.ckpt"),
        (["--test_after_fit=newest"], "newest"),
    ],
)  # fmt: skip
def test_what_the_test_lacks_is_said_before_the_fit(
    more: list[str], line: str, configs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", *configs, "--test_after_fit=last", *more]) == 2
    assert line in one_error_line(capsys)
    assert not list(tmp_path.rglob("*.ckpt"))


def test_a_fit_without_a_checkpoint_has_none_to_test(
    configs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", *configs, "--test_after_fit=best", "--trainer.fast_dev_run=1"]) == 2
    assert "saved no best checkpoint" in one_error_line(capsys)


def test_the_fit_is_the_same_with_and_without(configs: list[str], tmp_path: Path) -> None:
    states: list[Any] = []
    for more in ([], ["--test_after_fit=last"]):
        assert main(["fit", *configs, *more]) == 0
        last = tmp_path / "run" / "gan" / "last.ckpt"
        states.append(torch.load(last, weights_only=True)["state_dict"])
        last.unlink()
    torch.testing.assert_close(states[0], states[1], rtol=0, atol=0)


@pytest.mark.parametrize("command", [["test"], ["fit", "--test_after_fit=last"]])
def test_sigterm_ends_a_test(command: list[str], configs: list[str]) -> None:
    """Lightning takes note of it and goes on to the test's end."""
    TerminatedGAN.tested = 0
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        main([command[0], *configs, "--model", f"{__name__}.TerminatedGAN", *command[1:]])
    assert ended.value.code == 143 and TerminatedGAN.tested == 1
    assert signal.getsignal(signal.SIGTERM) == before
