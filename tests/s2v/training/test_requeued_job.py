"""A SLURM job whose time is up: what Lightning leaves for the requeued one is that run's, and no other's."""

import signal
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import yaml

from s2v.training.requeued_job import requeued_checkpoint
from tests.s2v.training.test_training_cli import BASE, STAGE
from tests.s2v.training.test_wandb_run import WANDB, fit, offline_runs


class TimeIsUp(pl.Callback):
    """SLURM's signal, after the second batch."""

    def on_train_batch_end(self, trainer: Any, *others: Any) -> None:
        if trainer.global_step == 2:
            signal.raise_signal(signal.SIGUSR1)


@pytest.fixture
def configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    job = {"NTASKS": 1, "PROCID": 0, "LOCALID": 0, "NODEID": 0, "JOB_ID": 7, "JOB_NAME": "train"}
    for name, value in job.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "scontrol").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    texts = {"base": BASE.format(folder=tmp_path), "stage": STAGE, "wandb": WANDB}
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text.replace("${trainer.default_root_dir}", "${run_dir}"))
    return [part for name in texts for part in ("--config", str(tmp_path / f"{name}.yaml"))]


def test_only_the_requeued_run_goes_on(
    configs: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two runs on one corpus, whose folder is `trainer.default_root_dir`."""
    mine, other = tmp_path / "mine", tmp_path / "other"
    fit(*configs, f"--run_dir={mine}", f"--trainer.callbacks+={__name__}.TimeIsUp")
    assert not list(tmp_path.glob("*.ckpt"))
    left = torch.load(mine / "hpc_ckpt_1.ckpt", weights_only=True)
    assert left["global_step"] == 2
    saved = yaml.safe_load((mine / "gan" / "config.yaml").read_text())
    assert saved["trainer"]["default_root_dir"] == str(tmp_path)

    with caplog.at_level("INFO"):
        fit(*configs, f"--run_dir={other}")
        assert "Restor" not in caplog.text and "SLURM: " not in caplog.text
        fit(*configs, f"--run_dir={mine}", "--trainer.max_steps=3")
    assert f"SLURM: goes on from {mine}/hpc_ckpt_1.ckpt, of a requeued job" in caplog.text
    first, second = offline_runs(mine)
    assert first.run_id == second.run_id != offline_runs(other)[0].run_id
    assert second.values("trainer/global_step")[0] >= 2


def test_the_newest_of_several(tmp_path: Path) -> None:
    assert requeued_checkpoint(tmp_path / "none") is None
    for name in ("hpc_ckpt_9.ckpt", "hpc_ckpt_10.ckpt", "hpc_ckpt_x.ckpt", "last.ckpt"):
        (tmp_path / name).touch()
    assert requeued_checkpoint(tmp_path) == tmp_path / "hpc_ckpt_10.ckpt"
