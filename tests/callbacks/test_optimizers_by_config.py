"""What a config changes between stop and resume is in force afterwards; what it does not change stays to the bit."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.optim import Adam, Optimizer, RMSprop
from torch.optim.lr_scheduler import MultiStepLR, OneCycleLR, StepLR

from callbacks.optimizers_by_config import OptimizersByConfig
from s2v.errors import InputError
from tests.callbacks.small_gan import ShuffledClips
from tests.quiet_trainer import trainer


class Line(pl.LightningModule):
    """A linear layer with the optimizer and scheduler it is given; notes the settings of every step."""

    def __init__(self, optimizer: Any, scheduler: Any = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.optimizer, self.scheduler = nn.Linear(4, 4), optimizer, scheduler
        self.used: list[dict[str, Any]] = []

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return (self.layer(batch[1]) - batch[1]).square().mean()

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        self.used.append(
            {name: value for name, value in optimizer.param_groups[0].items() if name != "params"}
        )

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(self.parameters())
        if self.scheduler is None:
            return optimizer
        return [optimizer], [{"scheduler": self.scheduler(optimizer), "interval": "step"}]


def used(folder: Path, module: Line, steps: int, resume: Path | None = None) -> list[dict[str, Any]]:
    """The optimizer's settings at each step, a checkpoint of the end left in `folder`."""
    saving = ModelCheckpoint(folder, "end", every_n_train_steps=steps, enable_version_counter=False)
    fit = trainer(folder, OptimizersByConfig(), saving, max_steps=steps, limit_val_batches=0)
    fit.fit(module, datamodule=ShuffledClips(), ckpt_path=resume)
    return module.used


def resumed(folder: Path, before: Line, after: Line) -> list[dict[str, Any]]:
    """The settings of steps 3 and 4, after two steps of another config."""
    used(folder / "before", before, 2)
    return used(folder / "after", after, 4, folder / "before" / "end.ckpt")


def test_settings_without_a_schedule(tmp_path: Path) -> None:
    steps = resumed(
        tmp_path,
        Line(lambda p: RMSprop(p, lr=0.1, weight_decay=0.5)),
        Line(lambda p: RMSprop(p, lr=0.01, alpha=0.9, weight_decay=0.5)),
    )
    assert [(step["lr"], step["alpha"], step["weight_decay"]) for step in steps] == [(0.01, 0.9, 0.5)] * 2


def test_a_scheduled_rate_keeps_its_place_in_the_schedule(tmp_path: Path) -> None:
    """0.1, 0.05 | then from 0.4: a quarter of it, an eighth."""
    steps = resumed(
        tmp_path,
        Line(lambda p: RMSprop(p, lr=0.1), lambda o: StepLR(o, 1, gamma=0.5)),
        Line(lambda p: RMSprop(p, lr=0.4), lambda o: StepLR(o, 1, gamma=0.5)),
    )
    assert [step["lr"] for step in steps] == pytest.approx([0.1, 0.05])


def test_another_schedule(tmp_path: Path) -> None:
    """0.1, 0.05, 0.025 | then a tenth a step."""
    steps = resumed(
        tmp_path,
        Line(lambda p: RMSprop(p, lr=0.1), lambda o: StepLR(o, 1, gamma=0.5)),
        Line(lambda p: RMSprop(p, lr=0.1), lambda o: StepLR(o, 1, gamma=0.1)),
    )
    assert [step["lr"] for step in steps] == pytest.approx([0.025, 0.0025])


def test_a_cycle_with_another_peak(tmp_path: Path) -> None:
    def cycle(peak: float) -> Line:
        return Line(
            lambda p: RMSprop(p, lr=peak, momentum=0.9), lambda o: OneCycleLR(o, max_lr=peak, total_steps=6)
        )

    whole = used(tmp_path / "whole", cycle(0.3), 4)
    steps = resumed(tmp_path, cycle(0.1), cycle(0.3))
    for name in ("lr", "momentum"):
        assert [step[name] for step in steps] == pytest.approx([step[name] for step in whole[2:]])


@pytest.mark.parametrize(
    ("make", "before", "after"),
    [
        (lambda o, settings: OneCycleLR(o, 0.1, **settings), {"total_steps": 4}, {"total_steps": 12}),
        (
            lambda o, settings: OneCycleLR(o, 0.1, 12, **settings),
            {"pct_start": 0.2},
            {"pct_start": 0.5},
        ),
        (lambda o, settings: MultiStepLR(o, **settings), {"milestones": [5]}, {"milestones": [3, 3, 6]}),
    ],
)
def test_another_length_or_other_milestones(tmp_path: Path, make: Any, before: Any, after: Any) -> None:
    """From the second step on; the first one still has the rate that the checkpoint left."""

    def line(settings: Any) -> Line:
        return Line(lambda p: RMSprop(p, lr=0.1, momentum=0.9), lambda o: make(o, settings))

    whole = used(tmp_path / "whole", line(after), 8)
    used(tmp_path / "before", line(before), 2)
    steps = used(tmp_path / "after", line(after), 8, tmp_path / "before" / "end.ckpt")
    for name in ("lr", "momentum"):
        assert [step[name] for step in steps[1:]] == pytest.approx([step[name] for step in whole[3:]])


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        (lambda p: RMSprop(p, lr=0.1), lambda p: RMSprop(p, lr=0.1, momentum=0.5), "momentum_buffer"),
        (lambda p: RMSprop(p, lr=0.1), lambda p: RMSprop(p, lr=0.1, centered=True), "grad_avg"),
        (lambda p: Adam(p, lr=0.1), lambda p: Adam(p, lr=0.1, amsgrad=True), "max_exp_avg_sq"),
    ],
)
def test_an_option_that_is_switched_on_begins_with_zeros(
    tmp_path: Path, before: Any, after: Any, kept: str
) -> None:
    steps = resumed(tmp_path, Line(before), module := Line(after))
    assert len(steps) == 2
    states = list(module.optimizers().optimizer.state.values())  # type: ignore[union-attr]
    assert len(states) == 2 and all(state[kept].abs().sum() > 0 for state in states)


def test_a_cycle_in_place_of_a_constant_rate(tmp_path: Path) -> None:
    steps = resumed(
        tmp_path,
        Line(lambda p: RMSprop(p, lr=0.1)),
        Line(lambda p: RMSprop(p, lr=0.1, momentum=0.9), lambda o: OneCycleLR(o, 0.1, total_steps=8)),
    )
    # from its beginning: a 25th of the peak, the momentum's upper end
    assert steps[0]["lr"] == pytest.approx(0.004) and steps[0]["momentum"] == pytest.approx(0.95)
    assert steps[1]["lr"] > steps[0]["lr"] and steps[1]["momentum"] < steps[0]["momentum"]


def test_a_constant_rate_in_place_of_a_schedule(tmp_path: Path) -> None:
    def cycle(optimizer: Optimizer) -> OneCycleLR:
        return OneCycleLR(optimizer, 0.1, total_steps=8)

    for make, scheduler in (
        (lambda p: RMSprop(p, lr=0.1, momentum=0.9), lambda o: StepLR(o, 1, gamma=0.5)),
        (lambda p: Adam(p, lr=0.1, betas=(0.9, 0.99)), cycle),
    ):
        folder = tmp_path / make([torch.zeros(1)]).__class__.__name__
        steps = resumed(folder, Line(make, scheduler), Line(make))
        asked = make([torch.zeros(1)]).param_groups[0]
        for name in {"lr", "momentum", "betas"} & asked.keys():
            assert [step[name] for step in steps] == [asked[name]] * 2


@pytest.mark.parametrize(
    "schedule", [lambda o: StepLR(o, 1, gamma=0.7), lambda o: OneCycleLR(o, 0.1, total_steps=8)]
)
def test_unchanged_it_stays_to_the_bit(tmp_path: Path, schedule: Any) -> None:
    """A cycle moves Adam's betas as well."""

    def line() -> Line:
        return Line(lambda p: Adam(p, lr=0.1), schedule)

    whole = used(tmp_path / "whole", line(), 4)
    assert resumed(tmp_path, line(), line()) == whole[2:]
    end, again = (torch.load(tmp_path / name / "end.ckpt", weights_only=True) for name in ("whole", "after"))
    for part in ("state_dict", "optimizer_states"):
        torch.testing.assert_close(again[part], end[part], rtol=0, atol=0)
    assert again["lr_schedulers"] == end["lr_schedulers"]


def test_another_optimizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the checkpoint's optimizers are RMSprop, the config's Adam"):
        resumed(tmp_path, Line(lambda p: RMSprop(p)), Line(lambda p: Adam(p)))
