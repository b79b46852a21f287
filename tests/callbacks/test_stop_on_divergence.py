"""Fits whose numbers go wrong end in one line, with the last good checkpoint left on disk."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn

from callbacks.stop_on_divergence import StopOnDivergence, TrainingDiverged
from s2v.errors import InputError
from tests.callbacks.small_gan import SmallGAN, loader
from tests.quiet_trainer import trainer


def gan(**settings: Any) -> SmallGAN:
    torch.manual_seed(0)
    return SmallGAN(**settings)


def test_stops_on_nan_naming_term_and_checkpoint(tmp_path: Path) -> None:
    module = gan(poison_at=6)
    saving = ModelCheckpoint(
        tmp_path, "good-{step}", every_n_train_steps=2, save_last=True, save_on_exception=True
    )
    older = ModelCheckpoint(tmp_path, "older-{step}", every_n_train_steps=3)
    with pytest.raises(TrainingDiverged) as caught:
        trainer(tmp_path, StopOnDivergence(), saving, older, max_steps=20).fit(module, loader())
    text = str(caught.value)
    assert "\n" not in text and "diverged at step 6: generator = nan;" in text
    assert f"--ckpt_path {tmp_path}" in text
    named = text.split("--ckpt_path ")[1].split(",")[0]
    state = torch.load(named, weights_only=True)
    assert state["global_step"] == 4
    assert sorted(path.name for path in tmp_path.glob("*.ckpt")) == [
        "good-step=4.ckpt",
        "last.ckpt",
        "older-step=3.ckpt",
    ]


def test_stops_on_nan_before_any_checkpoint(tmp_path: Path) -> None:
    module = gan(poison_at=1)
    with pytest.raises(
        TrainingDiverged, match="no checkpoint was saved yet: start again with a lower learning"
    ):
        trainer(tmp_path, StopOnDivergence(), max_steps=3).fit(module, loader())


def test_a_resumed_fit_knows_what_was_usual() -> None:
    before, module = StopOnDivergence(), gan()
    watched = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    for _ in range(20):
        before.on_train_batch_end(watched, module, {"losses": {"g": torch.tensor(1.0)}}, None, 0)
    resumed = StopOnDivergence()
    resumed.load_state_dict(before.state_dict())
    with pytest.raises(TrainingDiverged, match=r"g = 1e\+06, 1000 times more than is usual"):
        resumed.on_train_batch_end(watched, module, {"losses": {"g": torch.tensor(1e6)}}, None, 0)


@pytest.mark.parametrize(
    ("usual", "value", "stops"),
    [(5, 4999, False), (5, 5001, True), (0.001, 999, False), (0.001, 1001, True)],
)
@pytest.mark.parametrize("sign", [1, -1])  # a log-likelihood is negative
def test_how_much_more_than_usual_is_too_much(usual: float, value: float, stops: bool, sign: int) -> None:
    callback = StopOnDivergence()
    assert not any(callback._wrong({"g": sign * usual}) for _ in range(10))
    assert bool(callback._wrong({"g": sign * value})) == stops


def test_a_peak_before_does_not_make_another_usual() -> None:
    """The median is, which one of 3,000 among twenty leaves where it was."""
    callback = StopOnDivergence()
    values = [1.0] * 19 + [900.0] * 1
    assert not any(callback._wrong({"g": value}) for value in values)
    assert callback._wrong({"g": 1_001.0})


def test_a_process_stops_with_another_whose_loss_is_wrong() -> None:
    process: Any = SimpleNamespace(
        world_size=2,
        strategy=SimpleNamespace(reduce_boolean_decision=lambda mine, all: mine if all else True),
        checkpoint_callbacks=[],
        global_step=3,
    )
    with pytest.raises(TrainingDiverged, match="at step 3: a loss of another process; "):
        StopOnDivergence().on_train_batch_end(process, gan(), {"losses": {"g": torch.tensor(1.0)}}, None, 0)


class Regression(pl.LightningModule):
    """Automatic optimisation of two logged terms; from a step on the second is what `fault` makes of it."""

    def __init__(self, fault: Any, at: int) -> None:
        super().__init__()
        self.layer, self.fault, self.at = nn.Linear(4, 4), fault, at

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        error = (self.layer(batch[1]) - batch[1]).square()
        terms = {"near": error.mean(), "far": 0.1 * error.amax()}
        if self.global_step >= self.at:
            terms["far"] = self.fault(terms["far"])
        self.log_dict({f"train/loss/{name}": term for name, term in terms.items()}, batch_size=len(error))
        return terms["near"] + terms["far"]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1e-3)


def every_step(folder: Path) -> ModelCheckpoint:
    return ModelCheckpoint(folder, "{step}", every_n_train_steps=1, save_top_k=-1, save_on_exception=True)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda term: term * float("nan"), "far = nan, loss = nan; "),
        (lambda term: term + float("inf"), "far = inf, loss = inf; "),
        (lambda term: term * 1e7, "far = "),
    ],
)
def test_names_the_logged_term_in_automatic_optimisation(fault: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged) as caught:
        fit = trainer(tmp_path, StopOnDivergence(), every_step(tmp_path), max_steps=30)
        fit.fit(Regression(fault, at=15), loader())
    text = str(caught.value)
    assert f"diverged at step 16: {words}" in text and "near" not in text
    assert f"--ckpt_path {tmp_path}/step=15.ckpt," in text
    assert not list(tmp_path.glob("step=16*"))
    weights = torch.load(tmp_path / "step=15.ckpt", weights_only=True)["state_dict"]
    assert all(value.isfinite().all() for value in weights.values())


def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    """The gradient of a root is infinite where the root is 0; the loss itself is a number."""

    def root(term: Tensor) -> Tensor:
        return term + (term * 0).sqrt() * 0

    with pytest.raises(
        TrainingDiverged, match=r"at step 4: the weights layer\.weight are no numbers"
    ) as caught:
        trainer(tmp_path, StopOnDivergence(), every_step(tmp_path), max_steps=30).fit(
            Regression(root, at=3), loader()
        )
    assert f"--ckpt_path {tmp_path}/step=3.ckpt," in str(caught.value)
    assert sorted(path.name for path in tmp_path.glob("*.ckpt")) == [
        "step=1.ckpt",
        "step=2.ckpt",
        "step=3.ckpt",
    ]


def test_a_loss_may_fall_and_rise_within_reason(tmp_path: Path) -> None:
    fit = trainer(tmp_path, StopOnDivergence(), max_steps=30)
    fit.fit(Regression(lambda term: term * 100, at=15), loader())
    assert fit.global_step == 30


def test_wrong_factor() -> None:
    with pytest.raises(InputError, match="factor must be above 1"):
        StopOnDivergence(1.0)
