"""A fit that is stopped and resumed ends as one that never stopped, to the bit."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from callbacks.generator_ema import GeneratorEMA
from callbacks.reproducible_randomness import ReproducibleRandomness
from data_modules.crema_d import CremaD
from tests.s2v.modules.small_faces import trainer
from tests.s2v.modules.small_modules import composer, distill


def data_of(cache: Path) -> CremaD:
    """Three batches an epoch."""
    return CremaD(
        str(cache), image_size=64, window_frames=20, num_frames=2, batch_size=4, num_workers=0, max_clips=12
    )


def run(
    cache: Path, folder: Path, module: pl.LightningModule, steps: int, resume: Path | None = None
) -> dict[str, Any]:
    """Fit until `steps`, resuming where a checkpoint is given; returns the checkpoint it leaves."""
    callbacks = [ReproducibleRandomness(3), *([GeneratorEMA(0.9)] if hasattr(module, "generator") else [])]
    fit = trainer(
        folder, *callbacks, max_steps=steps, max_epochs=-1, use_distributed_sampler=False,
        limit_val_batches=1,
    )  # fmt: skip
    fit.fit(module, datamodule=data_of(cache), ckpt_path=resume)
    assert fit.global_step == steps
    path = folder / f"{steps}.ckpt"
    fit.save_checkpoint(path)
    return torch.load(path, weights_only=True)


def assert_same(whole: dict[str, Any], resumed: dict[str, Any]) -> None:
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        torch.testing.assert_close(whole[part], resumed[part], rtol=0, atol=0)
    raw = [[c["callbacks"][key].get("raw") for key in c["callbacks"]] for c in (whole, resumed)]
    torch.testing.assert_close(raw[0], raw[1], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("stop", "accumulate", "interval", "scheduled", "drawing"),
    [
        pytest.param(3, 1, "epoch", 2, {}, id="end of an epoch"),
        pytest.param(4, 1, "step", 6, {}, id="mid-epoch", marks=pytest.mark.slow),
        pytest.param(2, 2, "epoch", 3, {}, id="end of an epoch, accumulating", marks=pytest.mark.slow),
        pytest.param(3, 2, "step", 6, {}, id="mid-epoch, accumulating", marks=pytest.mark.slow),
        pytest.param(
            4,
            1,
            "step",
            6,
            {"pose_dim": 3, "num_speakers": 8},
            id="mid-epoch, pose codes",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_composer(
    stop: int,
    accumulate: int,
    interval: Any,
    scheduled: int,
    drawing: dict[str, Any],
    crema_d_cache: Path,
    face_file: str,
    tmp_path: Path,
) -> None:
    """With accumulation an epoch's three batches are two steps."""

    def module(seed: int) -> pl.LightningModule:
        return composer(
            image_size=64,
            seed=seed,
            drawing=drawing,
            feature_network=face_file,
            window_frames=20,
            scheduler=lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5),
            scheduler_interval=interval,
            accumulate_grad_batches=accumulate,
        )

    whole = run(crema_d_cache, tmp_path, module(0), 6)
    stopped = run(crema_d_cache, tmp_path, module(0), stop)
    resumed = run(crema_d_cache, tmp_path, module(1), 6, tmp_path / f"{stop}.ckpt")
    assert_same(whole, resumed)
    changed = "generator.frame_decoder.seed.weight"
    assert not torch.equal(whole["state_dict"][changed], stopped["state_dict"][changed])
    assert len(whole["optimizer_states"]) == 4 and any(c.get("raw") for c in whole["callbacks"].values())
    assert whole["lr_schedulers"][0]["last_epoch"] == scheduled


@pytest.mark.slow
@pytest.mark.parametrize("saved", ["after the last batch", "after the epoch", "after validation"])
def test_composer_counted_in_epochs(saved: str, crema_d_cache: Path, face_file: str, tmp_path: Path) -> None:
    """`max_epochs`, and ModelCheckpoint at an epoch's end."""

    def epochs(seed: int, folder: Path, resume: Path | None = None) -> dict[str, Any]:
        module = composer(
            seed=seed,
            image_size=64,
            feature_network=face_file,
            scheduler=lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5),
        )
        every: dict[str, Any] = {"every_n_epochs": 1, "save_on_train_epoch_end": saved == "after the epoch"}
        if saved == "after the last batch":
            every = {"every_n_train_steps": 3}
        saving = ModelCheckpoint(folder, "{step}", save_top_k=-1, **every)
        fit = trainer(
            folder, ReproducibleRandomness(3), GeneratorEMA(0.9), saving, max_epochs=2, limit_val_batches=1,
            use_distributed_sampler=False,
        )  # fmt: skip
        fit.fit(module, datamodule=data_of(crema_d_cache), ckpt_path=resume)
        assert fit.global_step == 6 and fit.current_epoch == 2
        fit.save_checkpoint(folder / "end.ckpt")
        return torch.load(folder / "end.ckpt", weights_only=True)

    whole = epochs(0, tmp_path / "whole")
    resumed = epochs(1, tmp_path / "resumed", tmp_path / "whole" / "step=3.ckpt")
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        torch.testing.assert_close(whole[part], resumed[part], rtol=0, atol=0)
    assert whole["lr_schedulers"][0]["last_epoch"] == 2


def test_distill(crema_d_cache: Path, teachers: dict[str, Any], tmp_path: Path) -> None:
    def module(seed: int) -> pl.LightningModule:
        return distill(seed=seed, finetune_cpc=True, frames_per_clip=1, **teachers)

    whole = run(crema_d_cache, tmp_path, module(0), 6)
    run(crema_d_cache, tmp_path, module(0), 3)
    resumed = run(crema_d_cache, tmp_path, module(1), 6, tmp_path / "3.ckpt")
    for part in ("state_dict", "optimizer_states"):
        torch.testing.assert_close(whole[part], resumed[part], rtol=0, atol=0)
