from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from callbacks.generator_ema import GeneratorEMA
from callbacks.reproducible_randomness import ReproducibleRandomness
from s2v.errors import InputError
from tests.callbacks.small_gan import ShuffledClips, SmallGAN, loader
from tests.quiet_trainer import trainer

PREFIX = "generator."


class Recorder(pl.Callback):
    """Copies the generator's weights after each training batch, and those that validation ran with."""

    def __init__(self) -> None:
        self.raw: list[dict[str, Tensor]] = []
        self.validated: list[dict[str, Tensor]] = []

    @staticmethod
    def copy(pl_module: Any) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in pl_module.generator.state_dict().items()}

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        self.raw.append(self.copy(pl_module))

    def on_validation_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        self.validated.append(self.copy(pl_module))


def gan() -> SmallGAN:
    torch.manual_seed(0)
    return SmallGAN()


def average_by_hand(
    start: dict[str, Tensor], raw: list[dict[str, Tensor]], decay: float, start_step: int = 0
) -> dict[str, Tensor]:
    average = {name: value.double() for name, value in start.items()}
    for step, weights in enumerate(raw, start=1):
        n = step - start_step
        d = min(decay, n / (n + 9)) if n > 0 else 0.0
        for name, value in weights.items():
            copied = "running" in name or "num_batches" in name
            average[name] = value.double() if copied else d * average[name] + (1 - d) * value.double()
    return average


def assert_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=0)


def saved_generator(path: Path) -> dict[str, Tensor]:
    state = torch.load(path, weights_only=True)["state_dict"]
    return {name.removeprefix(PREFIX): v for name, v in state.items() if name.startswith(PREFIX)}


@pytest.mark.parametrize(("decay", "start_step"), [(0.999, 0), (0.2, 0), (0.9, 3)])
def test_average_is_the_formulas(tmp_path: Path, decay: float, start_step: int) -> None:
    module, recorder = gan(), Recorder()
    start = recorder.copy(module)
    fit = trainer(tmp_path, GeneratorEMA(decay, start_step), recorder, max_steps=7, limit_val_batches=0)
    fit.fit(module, loader())
    expected = average_by_hand(start, recorder.raw, decay, start_step)
    assert len(recorder.raw) == 7
    for name, value in module.generator.state_dict().items():  # the fit's result
        torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-6, msg=name)


def test_with_decay_0_the_average_is_the_raw_weights(tmp_path: Path) -> None:
    module, recorder = gan(), Recorder()
    trainer(tmp_path, GeneratorEMA(0.0), recorder, max_steps=3).fit(module, loader())
    assert_equal(recorder.raw[-1], Recorder.copy(module))


def test_counts_generator_steps_not_batches(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module, recorder = SmallGAN(batches_a_step=2), Recorder()
    start = recorder.copy(module)
    trainer(tmp_path, GeneratorEMA(0.999), recorder, max_steps=4).fit(module, loader())
    assert len(recorder.raw) == 8
    expected = average_by_hand(start, recorder.raw[1::2], 0.999)
    weight = module.generator[0].weight.double()
    torch.testing.assert_close(weight, expected["0.weight"], rtol=1e-5, atol=1e-6)


def test_validates_the_average_and_trains_on_as_without_it(tmp_path: Path) -> None:
    results = []
    for callbacks in ([], [GeneratorEMA(0.9)]):
        module, recorder = gan(), Recorder()
        fit = trainer(
            tmp_path, ReproducibleRandomness(), *callbacks, recorder, max_epochs=2, num_sanity_val_steps=0
        )
        start = recorder.copy(module)
        fit.fit(module, loader(), loader())
        results.append(recorder)
    plain, averaged = results
    assert len(averaged.raw) == 8
    for one, other in zip(plain.raw, averaged.raw, strict=True):
        assert_equal(one, other)
    expected = average_by_hand(start, averaged.raw[:4], 0.9)
    for name, value in averaged.validated[0].items():
        torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-6, msg=name)
    assert not torch.equal(averaged.validated[0]["0.weight"], plain.validated[0]["0.weight"])


@pytest.mark.parametrize("weights_only", [False, True])
def test_checkpoints_hold_the_average_for_whoever_loads_them(tmp_path: Path, weights_only: bool) -> None:
    module, recorder = gan(), Recorder()
    start = recorder.copy(module)
    saving = ModelCheckpoint(
        tmp_path, "{step}", every_n_train_steps=2, save_top_k=-1, save_weights_only=weights_only
    )
    fit = trainer(tmp_path, GeneratorEMA(0.9), recorder, saving, max_steps=4)
    fit.fit(module, loader(), loader())
    for steps in (2, 4):
        expected = average_by_hand(start, recorder.raw[:steps], 0.9)
        loaded = SmallGAN.load_from_checkpoint(tmp_path / f"step={steps}.ckpt")
        for name, value in loaded.generator.state_dict().items():
            torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-6, msg=name)


def test_testing_a_checkpoint_uses_the_average(tmp_path: Path) -> None:
    trainer(tmp_path, GeneratorEMA(0.9), saving := ModelCheckpoint(tmp_path), max_steps=4).fit(
        gan(), loader()
    )
    module, recorder = SmallGAN(), Recorder()
    trainer(tmp_path, GeneratorEMA(0.9), recorder).validate(
        module, loader(), ckpt_path=saving.best_model_path, verbose=False
    )
    assert_equal(recorder.validated[0], saved_generator(Path(saving.best_model_path)))
    assert_equal(Recorder.copy(module), saved_generator(Path(saving.best_model_path)))


def run(
    folder: Path, max_steps: int, ckpt_path: Path | None = None, batches_a_step: int = 1, **settings: Any
) -> dict[str, Any]:
    """A fit with everything on; what it leaves behind, as a checkpoint."""
    fit = trainer(
        folder, ReproducibleRandomness(7), GeneratorEMA(0.99, start_step=2), max_steps=max_steps, **settings
    )
    torch.manual_seed(0)
    module = SmallGAN(batches_a_step=batches_a_step)
    fit.fit(module, datamodule=ShuffledClips(), ckpt_path=ckpt_path)
    fit.save_checkpoint(folder / f"{max_steps}.ckpt")
    return torch.load(folder / f"{max_steps}.ckpt", weights_only=True)


@pytest.mark.parametrize("stop", [1, 2, 3, 4, 6, 8])
def test_resumed_equals_uninterrupted_to_the_bit(tmp_path: Path, stop: int) -> None:
    whole = run(tmp_path, 10)
    run(tmp_path, stop)
    resumed = run(tmp_path, 10, ckpt_path=tmp_path / f"{stop}.ckpt")
    assert_equal(whole["state_dict"], resumed["state_dict"])
    (raw_whole,), (raw,) = ([c["callbacks"][k]["raw"] for k in c["callbacks"]] for c in (whole, resumed))
    assert_equal(raw_whole, raw)
    torch.testing.assert_close(whole["optimizer_states"], resumed["optimizer_states"], rtol=0, atol=0)
    assert not torch.equal(raw["0.weight"], resumed["state_dict"]["generator.0.weight"])


def test_a_batch_that_only_adds_gradients_is_no_step_after_a_resume_either(tmp_path: Path) -> None:
    whole = run(tmp_path, 5, batches_a_step=2)
    run(tmp_path, 3, batches_a_step=2)
    resumed = run(tmp_path, 5, tmp_path / "3.ckpt", batches_a_step=2)
    assert_equal(whole["state_dict"], resumed["state_dict"])


def test_two_networks_are_averaged_by_one_callback_each(tmp_path: Path) -> None:
    module = gan()
    fit = trainer(tmp_path, GeneratorEMA(0.9), GeneratorEMA(0.9, module="discriminators"), max_steps=2)
    fit.fit(module, loader())
    fit.save_checkpoint(tmp_path / "both.ckpt")
    saved = torch.load(tmp_path / "both.ckpt", weights_only=True)
    raw = [state["raw"] for state in saved["callbacks"].values()]
    assert [weights.keys() for weights in raw] == [
        module.generator.state_dict().keys(),
        module.discriminators.state_dict().keys(),
    ]
    for name, weights in zip(("generator", "discriminators"), raw, strict=True):
        average = getattr(module, name).state_dict()
        assert not any(torch.equal(average[key], value) for key, value in weights.items() if "weight" in key)


class Interrupt(pl.Callback):
    """Ctrl-C in the midst of the second validation."""

    calls = 0

    def on_validation_batch_start(self, *_: Any) -> None:
        self.calls += 1
        if self.calls == 6:
            raise RuntimeError("stop here")


def test_checkpoint_saved_on_an_exception_while_validating_resumes_exactly(tmp_path: Path) -> None:
    whole = run(tmp_path, 12)
    saving = ModelCheckpoint(tmp_path, "stopped", every_n_epochs=100, save_on_exception=True)
    recorder = Recorder()
    stopped = trainer(
        tmp_path,
        recorder,
        ReproducibleRandomness(7),
        GeneratorEMA(0.99, start_step=2),
        Interrupt(),
        saving,
        max_steps=12,
        num_sanity_val_steps=0,
    )
    module = gan()
    with pytest.raises(RuntimeError, match="stop here"):
        stopped.fit(module, datamodule=ShuffledClips())
    # who goes on with the module in Python has the weights in training, the average is in the checkpoint
    assert_equal(module.generator.state_dict(), recorder.raw[-1])
    assert not torch.equal(
        saved_generator(tmp_path / "stopped.ckpt")["0.weight"], recorder.raw[-1]["0.weight"]
    )
    assert_equal(whole["state_dict"], run(tmp_path, 12, ckpt_path=tmp_path / "stopped.ckpt")["state_dict"])


def test_an_exception_in_training_stays_that_exception(tmp_path: Path) -> None:
    class Stop(pl.Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            raise RuntimeError("stop here")

    with pytest.raises(RuntimeError, match="stop here"):
        trainer(tmp_path, GeneratorEMA(), Stop(), max_steps=1).fit(gan(), loader())


def test_a_second_fit_with_the_same_callback_is_one_with_a_new_callback(tmp_path: Path) -> None:
    found = []
    for again in (True, False):
        module, first = gan(), GeneratorEMA(0.9)
        trainer(tmp_path, ReproducibleRandomness(7), first, max_steps=4).fit(module, loader())
        recorder, second = Recorder(), first if again else GeneratorEMA(0.9)
        fit = trainer(tmp_path, ReproducibleRandomness(8), second, recorder, max_steps=8)
        fit.fit(module, loader(), loader())
        assert len(recorder.validated) > 4  # between its steps, too
        found.append([*recorder.validated, *recorder.raw, Recorder.copy(module)])
    for one, other in zip(*found, strict=True):
        assert_equal(one, other)


def test_a_checkpoint_without_an_average_starts_one_from_its_weights(tmp_path: Path) -> None:
    plain = trainer(tmp_path, max_steps=4)
    plain.fit(gan(), loader())
    plain.save_checkpoint(tmp_path / "plain.ckpt")
    module = gan()
    fit = trainer(tmp_path, GeneratorEMA(0.9), recorder := Recorder(), max_steps=5)
    fit.fit(module, loader(), ckpt_path=tmp_path / "plain.ckpt")
    d = 5 / 14  # the fifth step's
    expected = (
        d * saved_generator(tmp_path / "plain.ckpt")["0.weight"] + (1 - d) * recorder.raw[-1]["0.weight"]
    )
    torch.testing.assert_close(module.generator[0].weight.detach(), expected)


def test_validating_after_the_fit_keeps_the_average(tmp_path: Path) -> None:
    module = gan()
    fit = trainer(tmp_path, GeneratorEMA(0.9), max_steps=4)
    fit.fit(module, loader())
    after_fit = Recorder.copy(module)
    fit.validate(module, loader(), verbose=False)
    assert_equal(after_fit, Recorder.copy(module))
    assert_equal(
        after_fit, {k.removeprefix(PREFIX): v for k, v in module.state_dict().items() if k.startswith(PREFIX)}
    )


def test_refuses_what_cannot_be_averaged(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="SmallGAN has no network of that name"):
        trainer(tmp_path, GeneratorEMA(module="decoder"), max_steps=1).fit(gan(), loader())
    with pytest.raises(InputError, match="decay must be at least 0 and below 1, got 1"):
        GeneratorEMA(1.0)


def test_weights_loaded_after_the_fit_are_saved_without_the_fits_raw_ones(tmp_path: Path) -> None:
    module, callback = gan(), GeneratorEMA(0.9)
    fit = trainer(tmp_path, callback, max_steps=2)
    fit.fit(module, loader())
    fit.save_checkpoint(tmp_path / "fitted.ckpt")
    other = SmallGAN()
    module.load_state_dict(other.state_dict())
    fit.save_checkpoint(tmp_path / "other.ckpt")
    assert_equal(saved_generator(tmp_path / "other.ckpt"), Recorder.copy(other))
    held = {
        name: callback.state_key in torch.load(tmp_path / name, weights_only=True)["callbacks"]
        for name in ("fitted.ckpt", "other.ckpt")
    }
    assert held == {"fitted.ckpt": True, "other.ckpt": False}
