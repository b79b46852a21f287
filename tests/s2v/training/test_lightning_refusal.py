"""Options that Lightning or PyTorch refuse are one line, status 2; faults of the code keep their traceback."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException

from s2v.cli import main
from s2v.errors import InputError
from s2v.modules.sdfa import SDFAModule
from s2v.training.strategy_check import check_strategy
from s2v.training.trainer_check import check_fit_of_module, check_precision
from tests.callbacks.small_gan import SmallGAN
from tests.conftest import REPOSITORY
from tests.s2v.modules.small_faces import SmallFaces, trainer
from tests.s2v.modules.small_modules import composer
from tests.s2v.modules.test_cpc_pretraining import pretraining
from tests.s2v.modules.test_sdfa import sdfa
from tests.s2v.training.test_training_cli import BASE, STAGE, one_error_line


@pytest.fixture
def configs(tmp_path: Path) -> list[str]:
    (tmp_path / "base.yaml").write_text(BASE.format(folder=tmp_path / "run"))
    (tmp_path / "stage.yaml").write_text(STAGE)
    return ["--config", str(tmp_path / "base.yaml"), "--config", str(tmp_path / "stage.yaml")]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            "--trainer.val_check_interval 0",
            "trainer.val_check_interval must be above 0, got 0: batches from one",
        ),
        (
            "--trainer.val_check_interval 0.0",
            "trainer.val_check_interval must be above 0, got 0: batches from one",
        ),
        ("--trainer.check_val_every_n_epoch 0", "trainer.check_val_every_n_epoch must be at least 1, got 0"),
        (
            "--trainer.check_val_every_n_epoch -1",
            "trainer.check_val_every_n_epoch must be at least 1, got -1",
        ),
        ("--trainer.accumulate_grad_batches 0", "trainer.accumulate_grad_batches must be at least 1, got 0"),
        (
            "--trainer.gradient_clip_val .nan",
            "trainer.gradient_clip_val must be 0 or more and finite, got nan",
        ),
        ("--trainer.max_steps 0", "trainer.max_steps is 0, and nothing would be trained: give 1 or more"),
        ("--trainer.max_epochs 0", "trainer.max_epochs is 0, and nothing would be trained: give 1 or more"),
        ("--seed_everything -1", "--seed_everything: -1 is not in bounds, numpy accepts from 0 to"),
        (
            "--trainer.devices x",
            "trainer.devices: `devices` selected with `CPUAccelerator` should be an int > 0",
        ),
        (
            "--trainer.strategy nope",
            "trainer.strategy: You selected an invalid strategy name: `strategy='nope'`",
        ),
        ("--ckpt_path hpc", "--ckpt_path hpc: no SLURM job has left a checkpoint (hpc_ckpt_*.ckpt) in"),
        ("--ckpt_path registry", "no weights at registry"),
        (
            "--trainer.gradient_clip_val 1",
            "trainer.gradient_clip_val: SmallGAN steps its optimizers itself, and has no such option: leave it out",
        ),
        ("--model.init_args.lr -1", "the model's RMSprop: Invalid learning rate: -1.0"),
    ],
)
def test_an_option_that_can_not_be_is_one_line_and_leaves_nothing(
    options: str, line: str, configs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", *configs, *options.split()]) == 2
    assert one_error_line(capsys).startswith(f"s2v: error: {line}")
    assert [path for path in (tmp_path / "run").rglob("*") if path.is_file()] == []


@pytest.mark.skipif(find_spec("transformer_engine") is not None, reason="it is installed")
def test_what_is_not_installed_is_one_line(configs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", *configs, "--trainer.precision", "transformer-engine"]) == 2
    line = one_error_line(capsys)
    assert line.startswith("s2v: error: trainer.precision: Requirement 'transformer_engine")


def test_more_batches_than_there_are_is_one_line(
    configs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", *configs, "--trainer.val_check_interval", "9"]) == 2
    line = one_error_line(capsys)
    assert line.startswith("s2v: error: trainer.val_check_interval: `val_check_interval` (9) must be less")
    assert "number of the training batches (4)" in line


def test_a_metric_that_nothing_logs_is_one_line(
    configs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    monitor = "--trainer.callbacks.init_args.monitor"
    callback = ["--trainer.callbacks+", "lightning.pytorch.callbacks.ModelCheckpoint", monitor, "val/nope"]
    assert main(["fit", *configs, *callback]) == 2
    assert "could not find the monitored key" in one_error_line(capsys)


class FaultyGAN(SmallGAN):
    """A fault of the code for each of Lightning's and Python's own exceptions."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        if self.fault == "value":
            raise ValueError("not enough values to unpack")
        if self.fault == "misconfiguration":
            raise MisconfigurationException("raised by the code of a module")
        if self.fault == "log":
            self.log("train/nested", {"a": {"b": 1.0}})  # type: ignore[arg-type]
        if self.fault == "late log":
            self.log("train/x", 1.0, on_step=False, on_epoch=False)
        return "no output" if self.fault == "output" else super().training_step(batch, batch_idx)

    def configure_optimizers(self) -> Any:
        if self.fault == "optimizer":
            raise ValueError("a schedule of the module's own")
        if self.fault == "nothing to train":
            return type(super().configure_optimizers()[0])([])
        return super().configure_optimizers()


class WrongHook(pl.Callback):
    def on_fit_start(self, trainer: Any) -> None:  # type: ignore[override]
        """Lightning hands it the module too."""


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        ("value", ValueError, "not enough values"),
        ("misconfiguration", MisconfigurationException, "by the code of a module"),
        ("log", ValueError, "nested"),
        ("late log", MisconfigurationException, "is not useful"),
        ("output", MisconfigurationException, "training_step"),
        ("optimizer", ValueError, "schedule of the module's own"),
        ("nothing to train", ValueError, "empty parameter list"),
    ],
)
def test_faults_of_the_code_keep_their_traceback(
    fault: str, kind: type[Exception], message: str, configs: list[str]
) -> None:
    model = ["--model", f"{__name__}.FaultyGAN", "--model.init_args.fault", fault]
    with pytest.raises(kind, match=message) as raised:
        main(["fit", *configs[:2], *model])
    assert raised.type is kind


def test_a_hook_called_wrongly_keeps_its_traceback(configs: list[str]) -> None:
    with pytest.raises(TypeError, match="on_fit_start"):
        main(["fit", *configs, "--trainer.callbacks+", f"{__name__}.WrongHook"])


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            "--trainer.gradient_clip_val 1",
            "trainer.gradient_clip_val: ComposerModule steps its optimizers itself, and has "
            "model.init_args.clipping for it",
        ),
        (
            "--trainer.accumulate_grad_batches 2",
            "trainer.accumulate_grad_batches: ComposerModule steps its optimizers itself, and has "
            "model.init_args.accumulate_grad_batches for it",
        ),
        (
            "--trainer.precision 64-true",
            "trainer.precision 64-true: ComposerModule can't be trained in it, as its pictures are float32: take "
            "32-true, bf16-mixed or 16-mixed",
        ),
    ],
)
def test_stage_2_names_its_own_options(
    options: str,
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    files = ("base/trainer", "data/crema_d", "compose/compose", "base/representation")
    narrow = ("debug/representation", "debug/compose")
    configs = [f"--config={REPOSITORY / 'experiments' / file}.yaml" for file in (*files, *narrow)]
    assert main(["fit", *configs, *options.split()]) == 2
    assert one_error_line(capsys) == f"s2v: error: {line}"
    assert list(tmp_path.iterdir()) == []


def test_the_baselines_name_their_own_options(tmp_path: Path) -> None:
    module: SDFAModule = sdfa()
    check_fit_of_module(trainer(tmp_path), module)
    with pytest.raises(ValueError, match=r"SDFAModule .* has model\.init_args\.clipping"):
        check_fit_of_module(trainer(tmp_path, gradient_clip_val=1.0), module)
    with pytest.raises(
        ValueError, match=r"SDFAModule .* has model\.init_args\.accumulate_grad_batches for it"
    ):
        check_fit_of_module(trainer(tmp_path, accumulate_grad_batches=2), module)


def test_batch_norm_is_not_synchronised_on_cpus(tmp_path: Path) -> None:
    several = {"devices": 2, "strategy": "ddp_find_unused_parameters_true"}
    check_strategy(trainer(tmp_path, **several).strategy, composer())
    with pytest.raises(InputError, match=r"is for GPUs, .* add --trainer\.sync_batchnorm false"):
        check_strategy(trainer(tmp_path, sync_batchnorm=True, **several).strategy, composer())


def test_precisions_that_a_module_can_be_trained_in_are_taken(tmp_path: Path) -> None:
    """And so it can: the refusal is not of more than is wrong."""
    module = pretraining()
    for precision in ("64-true", "bf16-true"):
        fitted = trainer(tmp_path, precision=precision, max_steps=1)
        check_precision(fitted, module)
        fitted.fit(module, datamodule=SmallFaces())
    check_precision(trainer(tmp_path, precision="bf16-mixed"), composer())
    check_precision(trainer(tmp_path, precision="64-true"), SmallGAN())  # another's module is asked nothing


def test_precisions_that_are_refused_would_not_work(tmp_path: Path) -> None:
    for precision in ("64-true", "bf16-true"):
        with pytest.raises(RuntimeError, match=r"type|dtype"):
            trainer(tmp_path, precision=precision, max_steps=1).fit(sdfa(), datamodule=SmallFaces())
