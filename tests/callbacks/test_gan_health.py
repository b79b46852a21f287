import csv
import inspect
import json
import re
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, WandbLogger
from torch import Tensor

from callbacks.gan_health import GANHealth
from callbacks.gan_signs import diversity, loss_over_chance, motion, win_rate
from s2v.modules.adversarial import AdversarialModule
from s2v.modules.composer import ComposerModule, GradientClipping
from s2v.modules.sdfa import SDFAModule
from tests.callbacks.small_gan import ShuffledClips, SmallGAN, loader
from tests.quiet_trainer import trainer


def gan(**settings: Any) -> SmallGAN:
    torch.manual_seed(0)
    return SmallGAN(**settings)


class Witness(pl.Callback):
    """Keeps what the steps returned, and the generator's gradient norms."""

    def __init__(self) -> None:
        self.outputs: list[dict[str, Any]] = []
        self.norms: list[Tensor] = []

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        if optimizer is trainer.optimizers[0]:
            parameters = pl_module.generator.parameters()
            self.norms.append(torch.nn.utils.clip_grad_norm_(parameters, float("inf")))

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_: Any) -> None:
        self.outputs.append(outputs)


def messages(record: list[warnings.WarningMessage]) -> list[str]:
    return [str(w.message) for w in record if str(w.message).startswith("health/")]


def test_logs_every_n_generator_steps_what_the_formulas_say(tmp_path: Path) -> None:
    witness, logger = Witness(), CSVLogger(tmp_path, name="", version="")
    fit = trainer(
        tmp_path,
        GANHealth(every_n_steps=3, warn=False),
        witness,
        logger=logger,
        max_steps=7,
        log_every_n_steps=50,
    )
    fit.fit(gan(), loader())
    with open(tmp_path / "metrics.csv") as file:
        rows = [row for row in csv.DictReader(file) if row["health/diversity"]]
    # the third and the sixth step, where their losses are
    assert [int(row["step"]) for row in rows] == [2, 5]
    for row, step in zip(rows, (3, 6), strict=True):
        out = witness.outputs[step - 1]
        for name in ("identity", "frame", "sync"):
            rate = win_rate(out["real_scores"][name], out["fake_scores"][name]).item()
            assert float(row[f"health/{name}/win_rate"]) == pytest.approx(rate)
            assert float(row[f"health/gradient_norm/{name}"]) > 0
        fake, real = out["fake_frames"], out["real_frames"]
        over_chance = loss_over_chance(out["real_scores"]["sync"], out["fake_scores"]["sync"]).item()
        assert float(row["health/sync/loss_over_chance"]) == pytest.approx(over_chance)
        assert over_chance == pytest.approx(4 * out["losses"]["d_sync"].item())
        assert float(row["health/diversity"]) == pytest.approx((diversity(fake) / diversity(real)).item())
        assert float(row["health/motion"]) == pytest.approx((motion(fake) / motion(real)).item())
        norm = witness.norms[step - 1].item()
        assert float(row["health/gradient_norm/generator"]) == pytest.approx(norm)
    assert "health/diversity" in fit.callback_metrics


def test_counts_generator_steps_when_gradients_accumulate(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path, name="", version="")
    fit = trainer(tmp_path, GANHealth(every_n_steps=2, warn=False), logger=logger, max_steps=4)
    fit.fit(gan(batches_a_step=2), loader())
    with open(tmp_path / "metrics.csv") as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [
            3,
            7,
        ]  # batches, as Lightning counts for this one's losses


class Sick(SmallGAN):
    """Returns what a training that went wrong would; it trains all the same."""

    def __init__(self, illness: str) -> None:
        super().__init__()
        self.illness = illness

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Any]:
        out = super().training_step(batch, batch_idx)
        if self.illness == "collapse":
            out["fake_frames"] = out["fake_frames"][:1].expand_as(out["fake_frames"])
        elif self.illness == "still":
            out["fake_frames"] = out["fake_frames"][:, :1].expand_as(out["fake_frames"])
        elif self.illness == "overpowering":
            out["real_scores"]["frame"], out["fake_scores"]["frame"] = torch.ones(4), torch.zeros(4)
        elif self.illness == "chance":
            out["real_scores"]["sync"] = out["fake_scores"]["sync"] = torch.full((4,), 0.5)
        return out


@pytest.mark.parametrize(
    ("illness", "words"),
    [
        ("collapse", "(collapse)"),
        ("still", "hardly move"),
        ("overpowering", "frame discriminator always wins"),
        ("chance", "sync discriminator is at chance"),
    ],
)
def test_warns_once_an_epoch_of_what_lasts(tmp_path: Path, illness: str, words: str) -> None:
    torch.manual_seed(0)
    health = GANHealth(every_n_steps=1, patience=2, warmup_steps=0)
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        trainer(tmp_path, health, max_epochs=2).fit(Sick(illness), loader())
    found = [text for text in messages(record) if words in text]
    assert len(found) == 2
    assert all("\n" not in text for text in found)


@pytest.mark.parametrize(
    "settings", [{"patience": 9}, {"warmup_steps": 9}, {"warn": False}], ids=lambda s: next(iter(s))
)
def test_does_not_warn_of_what_passes_nor_early_nor_unasked(tmp_path: Path, settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    health = GANHealth(**{"every_n_steps": 1, "patience": 1, "warmup_steps": 0} | settings)
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        trainer(tmp_path, health, max_epochs=2).fit(Sick("collapse"), loader())
    assert messages(record) == []


def test_weights_and_biases_get_the_warnings(tmp_path: Path) -> None:
    torch.manual_seed(0)
    logger = WandbLogger(project="s2v", save_dir=tmp_path, offline=True)
    health = GANHealth(every_n_steps=1, patience=2, warmup_steps=0)
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        trainer(tmp_path, health, logger=logger, max_epochs=2).fit(Sick("collapse"), loader())
    logger.experiment.finish()
    tables = (tmp_path / "wandb").glob("offline-run-*/files/media/table/health/*.table.json")
    newest = max((json.loads(path.read_text()) for path in tables), key=lambda table: len(table["data"]))
    assert newest["columns"] == ["step", "sign", "value", "likely cause"]
    rows = [f"{sign} = {value:.3g}: {cause}" for _, sign, value, cause in newest["data"]]
    assert rows == messages(record)
    collapse = [row for row in newest["data"] if "(collapse)" in row[3]]
    # the second measurement in a row, and the first of the next epoch
    assert [row[0] for row in collapse] == [2, len(loader()) + 1]


@pytest.mark.parametrize("stop", [2, 3, 4, 6])
def test_a_resumed_fit_warns_as_if_it_had_not_stopped(tmp_path: Path, stop: int) -> None:
    """Two of them, each with what it has seen itself: in epochs of four steps, and of two measurements."""

    def collapses(steps: int, resumed: Path | None = None) -> list[list[int]]:
        torch.manual_seed(0)
        each = GANHealth(every_n_steps=1, patience=3, warmup_steps=0)
        other = GANHealth(every_n_steps=2, patience=4, warmup_steps=0)
        saving = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=1, save_top_k=-1)
        fit = trainer(tmp_path, each, other, saving, max_steps=steps, limit_val_batches=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit.fit(Sick("collapse"), datamodule=ShuffledClips(), ckpt_path=resumed)
        fit.save_checkpoint(tmp_path / "ended.ckpt")
        return [[row[0] for row in health._said if "(collapse)" in row[3]] for health in (each, other)]

    whole = collapses(8)
    assert whole == [[3, 5], [8]]
    assert collapses(8, tmp_path / f"step={stop}.ckpt") == whole
    collapses(stop)
    assert collapses(8, tmp_path / "ended.ckpt") == whole


class Explode(pl.Callback):
    """From a step on the generator's gradients are a thousand times what they were."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        if optimizer is trainer.optimizers[0] and trainer.global_step + 1 >= self.step:
            for parameter in pl_module.generator.parameters():
                parameter.grad *= 1000


def warned_of_explosion(tmp_path: Path, step: int, module: SmallGAN | None = None) -> list[str]:
    health = GANHealth(every_n_steps=1, patience=1, warmup_steps=0)
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        trainer(tmp_path, Explode(step), health, max_steps=step).fit(module or gan(), loader())
    return [text for text in messages(record) if "explode" in text]


def test_four_measurements_do_not_tell_what_is_usual(tmp_path: Path) -> None:
    assert not warned_of_explosion(tmp_path, 5) and warned_of_explosion(tmp_path, 6)


def test_warns_of_exploding_gradients_against_what_was_usual(tmp_path: Path) -> None:
    (text,) = warned_of_explosion(tmp_path, 7)
    assert text.startswith("health/gradient_norm/generator = ")
    # SmallGAN has no such options
    assert text.endswith("explode: clip them or lower the generator optimizer's learning rate")


def test_what_is_no_number_is_not_usual() -> None:
    health, fit, module = GANHealth(), trainer(Path()), gan()
    fit.strategy.connect(module)
    for value in [5.0, 4.0, float("nan"), float("inf"), 3.0, 2.0, 1.0]:
        health._judge(fit, module, {"health/motion": value}, enough_steps=False)
    assert health._usual("health/motion") == 3.0


@pytest.mark.parametrize(
    ("kind", "rate"),
    [(ComposerModule, "generator_lr"), (SDFAModule, "learning_rates.generator")],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_warning_names_options_that_the_module_has(
    kind: type[AdversarialModule], rate: str, tmp_path: Path
) -> None:
    module = gan()
    module.rate_option, module.clipping = kind.rate_option, GradientClipping()  # type: ignore[assignment]
    (text,) = warned_of_explosion(tmp_path, 7, module)
    *_, clipping, lower = re.findall(r"model\.init_args\.([\w.]+)", text)
    assert (clipping, lower) == ("clipping.generator", rate)
    arguments = inspect.signature(kind).parameters
    for option in (clipping, lower):
        name, _, inner = option.partition(".")
        assert not inner or hasattr(arguments[name].default, inner)
        assert name in arguments


def test_judges_only_what_the_step_returns(tmp_path: Path) -> None:
    class Terse(SmallGAN):
        def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Any]:
            return {"losses": super().training_step(batch, batch_idx)["losses"]}

    fit = trainer(tmp_path, GANHealth(every_n_steps=1), max_steps=2)
    fit.fit(Terse(), loader())
    logged = {name for name in fit.callback_metrics if name.startswith("health/")}
    assert logged == {f"health/gradient_norm/{name}" for name in SmallGAN.optimizer_names}
