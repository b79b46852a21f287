"""Where `last.ckpt` stands after a fit was cut off, and that no validation and no row of metrics is lost."""

import csv
import re
import signal
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor

from callbacks.last_checkpoint import LastCheckpoint
from callbacks.reproducible_randomness import ReproducibleRandomness
from tests.callbacks.small_gan import ShuffledClips, SmallGAN
from tests.quiet_trainer import trainer


class Logged(SmallGAN):
    """Four batches an epoch; logs the generator's loss."""

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Any]:
        outputs = super().training_step(batch, batch_idx)
        self.log("train/loss/generator", outputs["losses"]["generator"])
        return outputs


class Measured(SmallGAN):
    def on_validation_epoch_end(self) -> None:
        self.log("val/l1", 1.0)


class Cut(pl.Callback):
    """An end with no more than a kill would leave, in a hook of a step."""

    def __init__(self, hook: str, step: int) -> None:
        self.step = step
        setattr(self, hook, self.cut)

    def cut(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            raise ZeroDivisionError


class CutAfterSaving(LastCheckpoint):
    """The same, between the checkpoint and the row of metrics."""

    def on_train_batch_end(self, trainer: pl.Trainer, *rest: Any) -> None:
        super().on_train_batch_end(trainer, *rest)
        if trainer.global_step == 6:
            raise ZeroDivisionError

    @property
    def state_key(self) -> str:
        return LastCheckpoint(self.dirpath, self._every_n_train_steps).state_key


def fit(
    folder: Path,
    version: str,
    saving: LastCheckpoint,
    until: dict[str, int],
    *more: pl.Callback,
    resume: bool = False,
) -> None:
    torch.manual_seed(0)
    logger = CSVLogger(folder, name="", version=version, flush_logs_every_n_steps=1)
    ends = ModelCheckpoint(folder, "best", monitor="val/error", enable_version_counter=False)
    run = trainer(
        folder,
        ReproducibleRandomness(0),
        ends,
        saving,
        *more,
        **until,
        logger=logger,
        log_every_n_steps=1,
    )
    run.fit(Logged(), datamodule=ShuffledClips(), ckpt_path=folder / "last.ckpt" if resume else None)


def rows(folder: Path) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for path in folder.glob("*/metrics.csv"):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                for name, value in row.items():
                    if value:
                        found.setdefault((row["step"], name), set()).add(value)
    return found


@pytest.mark.parametrize(
    ("cut", "saved_at"),
    [
        (Cut("on_train_batch_start", 2), 2),
        (Cut("on_validation_start", 4), 3),
        (Cut("on_validation_end", 4), 3),
        (Cut("on_train_batch_start", 4), 4),
        (None, 6),
    ],
    ids=["mid-epoch", "before validation", "after validation", "between epochs", "before the row"],
)
@pytest.mark.parametrize("until", [{"max_epochs": 2}, {"max_steps": 8}], ids=["epochs", "steps"])
def test_resumed_nothing_is_lost(
    until: dict[str, int], cut: Cut | None, saved_at: int, tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    fit(whole, "a", LastCheckpoint(str(whole), 1), until)
    saving = LastCheckpoint(str(parts), 1) if cut else CutAfterSaving(str(parts), 1)
    with pytest.raises(ZeroDivisionError):
        fit(parts, "a", saving, until, *([cut] if cut else []))
    assert torch.load(parts / "last.ckpt", weights_only=True)["global_step"] == saved_at
    if cut is None:
        assert ("5", "train/loss/generator") not in rows(parts)
    fit(parts, "b", LastCheckpoint(str(parts), 1), until, resume=True)
    assert rows(parts) == rows(whole)
    assert len(rows(whole)) == 2 * 8 + 8 + 2  # steps' epoch, step and loss; two validations' error
    for name in ("last.ckpt", "best.ckpt"):
        one, other = (torch.load(folder / name, weights_only=True) for folder in (whole, parts))
        assert one["global_step"] == other["global_step"]
        torch.testing.assert_close(one["state_dict"], other["state_dict"], rtol=0, atol=0)


@pytest.mark.parametrize(
    "cut", [Cut("on_train_batch_start", 4), None], ids=["between epochs", "before the row"]
)
def test_resumed_with_another_number_of_steps_between_saves_nothing_is_lost(
    cut: Cut | None, tmp_path: Path
) -> None:
    """Lightning hands a state to the callback of the same key, of which that number is a part."""
    whole, parts, until = tmp_path / "whole", tmp_path / "parts", {"max_steps": 8}
    fit(whole, "a", LastCheckpoint(str(whole), 1), until)
    saving = LastCheckpoint(str(parts), 1) if cut else CutAfterSaving(str(parts), 1)
    with pytest.raises(ZeroDivisionError):
        fit(parts, "a", saving, until, *([cut] if cut else []))
    fit(parts, "b", LastCheckpoint(str(parts), 2), until, resume=True)
    assert rows(parts) == rows(whole)


def test_a_checkpoint_at_an_epochs_end_has_no_row_left_to_log(tmp_path: Path) -> None:
    saving = LastCheckpoint(str(tmp_path), 1)
    fit(tmp_path, "a", saving, {"max_epochs": 1})
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert saved["callbacks"][saving.state_key]["last_row"] == {}


@pytest.mark.parametrize(("every", "logs_every"), [(1, 0), (0, 1)])
def test_zero_is_never(every: int, logs_every: int, tmp_path: Path) -> None:
    """As Lightning has it of both: a division by it ended the fit."""
    saving = LastCheckpoint(str(tmp_path), every)
    run = trainer(tmp_path, saving, max_epochs=1, log_every_n_steps=logs_every)
    run.fit(Logged(), datamodule=ShuffledClips())
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 4


class Stopped(pl.Callback):
    """SIGTERM while a step is made."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step + 1 == self.step:
            signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("step", [1, 3, 6])
def test_sigterm_costs_no_finished_step(step: int, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    until = {"max_epochs": 2}
    fit(whole, "a", LastCheckpoint(str(whole), 1000), until)
    with pytest.raises(SystemExit):
        fit(parts, "a", LastCheckpoint(str(parts), 1000), until, Stopped(step))
    assert torch.load(parts / "last.ckpt", weights_only=True)["global_step"] == step
    fit(parts, "b", LastCheckpoint(str(parts), 1000), until, resume=True)
    assert rows(parts) == rows(whole)
    for name in ("last.ckpt", "best.ckpt"):
        one, other = (torch.load(folder / name, weights_only=True) for folder in (whole, parts))
        assert one["global_step"] == other["global_step"]
        torch.testing.assert_close(one["state_dict"], other["state_dict"], rtol=0, atol=0)


def test_a_best_checkpoint_that_is_not_this_fits_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It ended before its first validation."""

    def short(steps: int) -> list[str]:
        best = ModelCheckpoint(tmp_path, "best", monitor="val/l1", enable_version_counter=False)
        run = trainer(tmp_path, best, LastCheckpoint(str(tmp_path)), max_steps=steps, max_epochs=-1)
        caplog.clear()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            run.fit(Measured(), datamodule=ShuffledClips())
        return [text for text in [*caplog.messages, *(str(w.message) for w in said)] if "val/l1; its" in text]

    caplog.set_level("INFO")
    last = f"the fit has not come to measure val/l1; its weights are in {tmp_path}/last.ckpt"
    assert short(2) == [f"there is no {tmp_path}/best.ckpt: {last}"]
    assert short(4) == [] and (tmp_path / "best.ckpt").exists()
    assert short(2) == [f"{tmp_path}/best.ckpt is an earlier fit's: {last.replace('the fit', 'this one')}"]


def test_another_name_leaves_last_to_what_is_finished(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        fit(tmp_path, "a", LastCheckpoint(str(tmp_path), 1000, "unfinished"), {"max_epochs": 2}, Stopped(3))
    assert torch.load(tmp_path / "unfinished.ckpt", weights_only=True)["global_step"] == 3
    assert not (tmp_path / "last.ckpt").exists()


def test_sigterm_before_an_epochs_validation_leaves_the_save_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is saved there would count the epoch as over, and its validation would never be made."""
    with pytest.raises(SystemExit), caplog.at_level("INFO"):
        fit(tmp_path, "a", LastCheckpoint(str(tmp_path), 3), {"max_epochs": 2}, Stopped(4))
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 3
    assert says_how_to_go_on(caplog) == [(f"{tmp_path}/last.ckpt", 3)]


def says_how_to_go_on(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int]]:
    found = [
        re.fullmatch(r"stopped: (.+) has step (\d+); --ckpt_path \1 goes on from there", message)
        for message in caplog.messages
    ]
    return [(match[1], int(match[2])) for match in found if match]


class Interrupted(Stopped):
    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step + 1 == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize(("stop", "saved"), [(Stopped, 3), (Interrupted, 2)])
def test_how_to_go_on_is_said_once(
    stop: type[Stopped], saved: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SystemExit), caplog.at_level("INFO"):
        fit(tmp_path, "a", LastCheckpoint(str(tmp_path), 2), {"max_epochs": 1}, stop(3))
    assert says_how_to_go_on(caplog) == [(f"{tmp_path}/last.ckpt", saved)]


def test_before_anything_is_saved_there_is_nothing_to_go_on_from(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SystemExit), caplog.at_level("INFO"):
        fit(tmp_path, "a", LastCheckpoint(str(tmp_path), 1000), {"max_epochs": 1}, Interrupted(2))
    assert says_how_to_go_on(caplog) == []


def test_sigterm_among_batches_that_are_added_up_saves_nothing(tmp_path: Path) -> None:
    class Adding(Logged):
        def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Any]:
            if batch_idx % 2 == 0:
                return {}
            return super().training_step(batch, batch_idx)

    saving = LastCheckpoint(str(tmp_path), 1000)
    run = trainer(tmp_path, saving, Stopped(2), max_epochs=1)
    with pytest.raises(SystemExit):
        run.fit(Adding(), datamodule=ShuffledClips())
    assert run.global_step == 1 and not (tmp_path / "last.ckpt").exists()


def test_batches_added_up_after_a_resume_do_not_replace_the_save(tmp_path: Path) -> None:
    """Killed once more one batch into the next step, whose gradients no checkpoint holds, the fit is still exact."""

    class Killed(pl.Callback):
        def __init__(self, batch: int) -> None:
            self.batch = batch

        def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
            if trainer.fit_loop.epoch_loop.batch_progress.total.ready == self.batch:
                raise ZeroDivisionError

    def fit_two_a_step(folder: Path, *more: pl.Callback) -> dict[str, Tensor]:
        torch.manual_seed(0)
        last = folder / "last.ckpt"
        run = trainer(folder, ReproducibleRandomness(0), LastCheckpoint(str(folder), 1), *more, max_epochs=2)
        module, ckpt_path = SmallGAN(batches_a_step=2), last if last.exists() else None
        run.fit(module, datamodule=ShuffledClips(), ckpt_path=ckpt_path)
        return module.state_dict()

    whole = fit_two_a_step(tmp_path / "whole")
    for batch in (3, 4):
        with pytest.raises(ZeroDivisionError):
            fit_two_a_step(tmp_path / "parts", Killed(batch))
    torch.testing.assert_close(fit_two_a_step(tmp_path / "parts"), whole, rtol=0, atol=0)


class Worsening(SmallGAN):
    """Whose first validation is the best."""

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.log("val/error", float(self.global_step))


def resuming(folder: Path, epochs: int, checkpoint: Path | None) -> int:
    """Fits in `folder`; the step of its best.ckpt."""
    best = ModelCheckpoint(folder, "best", monitor="val/error", enable_version_counter=False)
    run = trainer(folder, best, LastCheckpoint(str(folder)), max_epochs=epochs)
    run.fit(Worsening(), datamodule=ShuffledClips(), ckpt_path=checkpoint)
    assert Path(best.best_model_path) == folder / "best.ckpt"  # which --test_after_fit best takes
    return int(torch.load(folder / "best.ckpt", weights_only=True)["global_step"])


def test_a_moved_run_keeps_its_best_checkpoint(tmp_path: Path) -> None:
    first = resuming(tmp_path / "here", 1, None)
    (tmp_path / "here").rename(tmp_path / "there")
    assert resuming(tmp_path / "there", 2, tmp_path / "there" / "last.ckpt") == first
    # another folder's fit has its own best
    assert resuming(tmp_path / "other", 3, tmp_path / "there" / "last.ckpt") > first
