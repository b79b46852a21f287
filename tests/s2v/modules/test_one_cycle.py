from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch.optim.lr_scheduler import OneCycleLR

from s2v.errors import InputError
from s2v.modules.cpc_pretraining import CPCPretraining
from s2v.modules.one_cycle import OneCycleAtRate
from tests.s2v.modules.small_faces import SmallFaces, trainer
from tests.s2v.modules.small_modules import distill, representation


class Rates(pl.Callback):
    """The learning rate of each step."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self.values.append(trainer.optimizers[0].param_groups[0]["lr"])


def pretraining() -> CPCPretraining:
    torch.manual_seed(0)
    return CPCPretraining(representation().cpc, steps_ahead=1, negatives=8, lr=1e-2)


def planned(steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1e-2, momentum=0.9)
    schedule = OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps, pct_start=0.2)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize("length", [{"max_steps": 10, "max_epochs": -1}, {"max_epochs": 5}])
def test_rises_to_the_peak_and_falls_over_the_whole_fit(tmp_path: Path, length: dict[str, int]) -> None:
    rates = Rates()
    data = SmallFaces(clips=2, batch_size=1, pictures=1)
    trainer(tmp_path, rates, **length).fit(pretraining(), datamodule=data)
    assert rates.values == pytest.approx(planned(10))
    assert max(rates.values) == pytest.approx(1e-2) and rates.values[-1] < 1e-4


@pytest.mark.parametrize(("first", "whole"), [(12, 15), (5, 10), (3, 30)])
def test_a_resumed_fit_may_have_another_length(tmp_path: Path, first: int, whole: int) -> None:
    data = SmallFaces(clips=1, batch_size=1, pictures=1)
    fit = trainer(tmp_path, max_steps=first, max_epochs=-1)
    fit.fit(pretraining(), datamodule=data)
    fit.save_checkpoint(tmp_path / "first.ckpt")
    rates = Rates()
    trainer(tmp_path, rates, max_steps=whole, max_epochs=-1).fit(
        pretraining(), datamodule=data, ckpt_path=tmp_path / "first.ckpt"
    )
    # the first step still has the rate that the checkpoint left
    assert rates.values[1:] == pytest.approx(planned(whole)[first + 1 :])


def test_larger_batches_after_a_resume_do_not_end_the_fit(tmp_path: Path) -> None:
    """20 steps in 5 epochs of 4 | 10 in 5 epochs of 2, though 10 epochs of 2 make 20 alone."""
    fit = trainer(tmp_path, max_epochs=5)
    fit.fit(pretraining(), datamodule=SmallFaces(clips=4, batch_size=1, pictures=1))
    fit.save_checkpoint(tmp_path / "first.ckpt")
    rates = Rates()
    fit = trainer(tmp_path, rates, max_epochs=10)
    with pytest.warns(UserWarning, match="one cycle of 20 steps is over and the fit goes on"):
        fit.fit(
            pretraining(),
            datamodule=SmallFaces(clips=4, batch_size=2, pictures=1),
            ckpt_path=tmp_path / "first.ckpt",
        )
    assert fit.global_step == 30 and len(set(rates.values)) == 1


@pytest.mark.parametrize("steps", range(1, 11))
def test_a_trial_of_a_few_steps_warms_up(steps: int) -> None:
    module = pretraining()
    module.trainer = pl.Trainer(max_steps=steps, max_epochs=-1, logger=False, accelerator="cpu")
    module.trainer.strategy.connect(module)
    module.trainer.fit_loop.max_batches = 1
    found = module.configure_optimizers()
    optimizer, schedule = found["optimizer"], found["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx(planned(10)[:steps])


def test_a_fit_without_an_end_has_no_schedule(tmp_path: Path) -> None:
    fit = trainer(tmp_path, max_epochs=-1, max_time={"minutes": 1})
    with pytest.raises(
        InputError, match=r"CPCPretraining anneals .*: set trainer.max_steps or trainer.max_ep"
    ):
        fit.fit(pretraining(), datamodule=SmallFaces(clips=1, batch_size=1))


def test_each_optimizer_peaks_at_the_rate_it_came_with() -> None:
    for rate in (1e-2, 3e-4):
        optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=rate)
        schedule = OneCycleAtRate(optimizer, total_steps=100, pct_start=0.1)
        rates = []
        for _ in range(100):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        assert max(rates) == pytest.approx(rate) and rates.index(max(rates)) == 9
        assert rates[0] == pytest.approx(rate / 25) and rates[-1] < rate / 1000


def test_no_length_is_refused() -> None:
    optimizer = torch.optim.Adam([torch.zeros(1)])
    with pytest.raises(InputError, match="OneCycleAtRate's total_steps must be at least 1, got -1"):
        OneCycleAtRate(optimizer, total_steps=-1)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.1, 0.2, 0.3, 0.5])
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 10, 11, 19, 20])
def test_any_length_and_share_can_be_stepped_to_its_end(steps: int, share: float) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-2, momentum=0.9)
    schedule = OneCycleAtRate(optimizer, total_steps=steps, pct_start=share)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert min(rates) >= 0 and max(rates) <= 1e-2
    if share:
        assert rates[0] == pytest.approx(1e-2 / 25)


@pytest.mark.parametrize(
    ("optimizer", "key"),
    [
        (lambda p: torch.optim.Adam(p, lr=1e-2, betas=(0.5, 0.99)), "betas"),
        (lambda p: torch.optim.RMSprop(p, lr=1e-2), "momentum"),
        (lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.99), "momentum"),
        (lambda p: torch.optim.Adagrad(p, lr=1e-2), None),
        # of one group's the other's: a schedule cycles all groups or none
        (
            lambda p: torch.optim.Adam(
                [{"params": p, "betas": (0.5, 0.99)}, {"params": [torch.nn.Parameter(torch.ones(1))]}],
                lr=1e-2,
            ),
            "betas",
        ),
    ],
)
def test_a_momentum_that_was_asked_for_stays(optimizer: Any, key: str | None) -> None:
    made = optimizer([torch.nn.Parameter(torch.ones(1))])
    asked = made.param_groups[0][key] if key else None
    schedule = OneCycleAtRate(made, total_steps=20)
    for _ in range(20):
        assert key is None or made.param_groups[0][key] == asked
        made.step()
        schedule.step()


def test_adams_usual_momentum_is_cycled_as_pytorch_does() -> None:
    weights = [torch.nn.Parameter(torch.zeros(1))]
    mine, theirs = (torch.optim.Adam(weights, lr=1e-2, betas=(0.9, 0.99)) for _ in range(2))
    schedules = [OneCycleAtRate(mine, total_steps=20), OneCycleLR(theirs, 1e-2, 20, pct_start=0.1)]
    for _ in range(20):
        assert mine.param_groups[0]["betas"] == theirs.param_groups[0]["betas"]
        assert mine.param_groups[0]["lr"] == theirs.param_groups[0]["lr"]
        for optimizer, schedule in zip((mine, theirs), schedules, strict=True):
            optimizer.step()
            schedule.step()
    assert mine.param_groups[0]["betas"] != (0.9, 0.99)


def test_stage_1_s_one_cycle_cycles_the_momentum_of_its_rmsprop() -> None:
    module = distill(schedule="one_cycle")
    module.trainer = pl.Trainer(max_steps=20, max_epochs=-1, logger=False, accelerator="cpu")
    module.trainer.strategy.connect(module)
    module.trainer.fit_loop.max_batches = 1
    found = module.configure_optimizers()
    (group,), momenta = found["optimizer"].param_groups, []
    for _ in range(20):
        momenta.append(group["momentum"])
        found["optimizer"].step()
        found["lr_scheduler"]["scheduler"].step()
    assert momenta[0] == pytest.approx(0.95) and min(momenta) == pytest.approx(0.85)
    assert isinstance(distill().configure_optimizers(), torch.optim.RMSprop)
    assert distill().configure_optimizers().param_groups[0]["momentum"] == 0  # the paper's
