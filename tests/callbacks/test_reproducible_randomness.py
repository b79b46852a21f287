import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from callbacks.reproducible_randomness import ReproducibleRandomness
from data_modules.shared_batches import SharedBatches
from tests.callbacks.small_gan import SmallGAN, loader
from tests.quiet_trainer import trainer


class Draws(pl.Callback):
    """Notes what each of the three generators gives, batch by batch."""

    def __init__(self) -> None:
        self.training: list[tuple[float, float, float]] = []
        self.validation: list[tuple[float, float, float]] = []

    @staticmethod
    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), torch.rand(()).item()

    def on_train_batch_start(self, *_: Any) -> None:
        self.training.append(self.draw())

    def on_validation_batch_start(self, *_: Any) -> None:
        self.validation.append(self.draw())


def draws(folder: Path, seed: int | None = 3, ckpt_path: str | None = None, **settings: Any) -> Draws:
    torch.manual_seed(random.SystemRandom().randrange(2**31))  # whatever the process was left with
    noted = Draws()
    fit = trainer(folder, ReproducibleRandomness(seed), noted, num_sanity_val_steps=0, **settings)
    fit.fit(SmallGAN(), loader(), loader(), ckpt_path=ckpt_path)
    fit.save_checkpoint(folder / "end.ckpt")
    return noted


def test_draws_are_a_function_of_seed_and_batch(tmp_path: Path) -> None:
    first, second = draws(tmp_path, max_steps=6), draws(tmp_path, max_steps=6)
    assert first.training == second.training
    assert len({*first.training}) == 6  # a batch draws other numbers than the batch before
    assert draws(tmp_path, seed=4, max_steps=6).training != first.training


def test_each_rank_draws_other_numbers() -> None:
    found = []
    for rank in (0, 1):
        process: Any = SimpleNamespace(global_rank=rank, fit_loop=SimpleNamespace(total_batch_idx=0))
        ReproducibleRandomness(3).on_train_batch_start(process, SmallGAN(), None, 0)
        found.append(Draws.draw())
    assert all(one != other for one, other in zip(*found, strict=True))


def test_all_ranks_validate_by_the_same_draws() -> None:
    found = []
    for rank in (0, 1):
        process: Any = SimpleNamespace(global_rank=rank, val_dataloaders=None)
        ReproducibleRandomness(3).on_validation_batch_start(process, SmallGAN(), None, 0)
        found.append(Draws.draw())
    assert found[0] == found[1]


def test_batches_dealt_out_among_processes_have_the_draws_of_one() -> None:
    found = []
    for rank, shares, batch_idx in ((1, 2, 1), (0, 1, 3)):
        loader = SimpleNamespace(sampler=SharedBatches(8, 2, rank, shares))
        process: Any = SimpleNamespace(global_rank=rank, val_dataloaders=loader)
        ReproducibleRandomness(3).on_validation_batch_start(process, SmallGAN(), None, batch_idx)
        found.append(Draws.draw())
    assert found[0] == found[1]


def test_each_clip_of_a_test_has_its_own_draws_the_same_each_time() -> None:
    found = []
    for batch_idx in (0, 1, 0):
        ReproducibleRandomness(3).on_test_batch_start(SimpleNamespace(), SmallGAN(), None, batch_idx)  # type: ignore[arg-type]
        found.append(Draws.draw())
    assert found[0] == found[2]
    assert all(one != other for one, other in zip(*found[:2], strict=True))


@pytest.mark.parametrize("stop", [1, 3, 4, 5])
def test_resumed_run_draws_what_the_uninterrupted_one_does(tmp_path: Path, stop: int) -> None:
    whole = draws(tmp_path, max_steps=8).training
    begun = draws(tmp_path, max_steps=stop).training
    rest = draws(tmp_path, max_steps=8, ckpt_path=str(tmp_path / "end.ckpt")).training
    assert begun + rest == whole


def test_validation_draws_the_same_each_time_and_does_not_disturb_training(tmp_path: Path) -> None:
    often = draws(tmp_path, max_epochs=2, val_check_interval=1)
    batches = len(loader())
    assert often.validation == often.validation[:batches] * (2 * batches)
    assert often.training == draws(tmp_path, max_epochs=2, limit_val_batches=0).training


def test_takes_the_runs_seed_when_given_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")  # seed_everything's own variable: put back afterwards
    pl.seed_everything(3)
    assert draws(tmp_path, seed=None, max_steps=2).training == draws(tmp_path, seed=3, max_steps=2).training
    pl.seed_everything(5)
    assert draws(tmp_path, seed=None, max_steps=2).training != draws(tmp_path, seed=3, max_steps=2).training


def test_loaders_of_a_validation_have_draws_of_their_own() -> None:
    found = []
    for number in (0, 1, 0):
        process: Any = SimpleNamespace(global_rank=0, val_dataloaders=[loader(), loader()])
        ReproducibleRandomness(3).on_validation_batch_start(process, SmallGAN(), None, 0, number)
        found.append(Draws.draw())
    assert found[0] == found[2] != found[1]
