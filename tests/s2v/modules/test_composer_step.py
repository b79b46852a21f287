"""The composer's training step: what it optimises, and that its shortcuts change nothing."""

import csv
import re
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor

from s2v.errors import InputError
from s2v.losses.frame_similarity import frame_similarity_loss
from s2v.losses.image_gradient import image_gradient_loss
from s2v.modules.composer import ComposerModule, GradientClipping, normalise
from s2v.modules.face_source import load_face_network
from tests.s2v.modules.composer_fits import (
    NAMES,
    NO_LEARNING,
    SEED,
    Gradients,
    Outputs,
    Seed,
    WithoutBatchStatistics,
    copied,
    fit,
)
from tests.s2v.modules.small_faces import Losses, batch_of, draw_clip, trainer
from tests.s2v.modules.small_modules import composer


def test_learns_to_draw_a_handful_of_clips(tmp_path: Path, face_file: str) -> None:
    losses = Losses("train/loss/similarity")
    module = composer(feature_network=face_file, similarity_region="full", generator_lr=3e-3)
    fit(tmp_path, module, losses, max_steps=30, data={"clips": 3, "batch_size": 3})
    assert min(losses.values[-5:]) < 0.5 * losses.values[0]


def reference(module: ComposerModule, face_network: Any, batch: Any, steps: int) -> None:
    """Steps written out plainly: each player's own backward pass, its own RMSprop, the paper's equations."""
    generator, d = module.generator, module.discriminators
    optimizers = {"generator": torch.optim.RMSprop(generator.parameters(), lr=3e-4)}
    for name, lr in (("identity", 3e-4), ("frame", 1e-4), ("sync", 1e-5)):
        optimizers[name] = torch.optim.RMSprop(d[name].parameters(), lr=lr)
    real = batch["frames"].float() / 127.5 - 1

    def like(scores: Tensor, target: float) -> Tensor:
        return 0.5 * (scores - target).square().mean()

    for _ in range(steps):
        torch.manual_seed(SEED)
        with torch.no_grad():
            contexts, nu, mu = module.representation(batch["speech"], batch["frame_times"])
            maps = d["identity"].normalise_real(face_network.feature_maps(batch["still"]))
        fake, inflated = generator(contexts, nu, mu)
        detached = fake.detach()

        loss = like(d["identity"](maps), 1) + like(d["identity"]([m.detach() for m in inflated]), 0)
        loss.backward()
        loss = like(d["frame"](real.flatten(0, 1)), 1) + like(d["frame"](detached.flatten(0, 1)), 0)
        loss.backward()
        one, other = torch.randint(1, real.shape[1], (2,)).tolist()
        assert one != other
        # looked at once: spectral normalisation iterates with each look
        seen = d["sync"].embed_frames(real)
        together = d["sync"].score_pairs(contexts, seen)
        apart = [
            d["sync"].score_pairs(contexts, seen.roll(one, 1)),
            d["sync"].score_pairs(contexts.roll(other, 1), seen),
            d["sync"](contexts, detached),
        ]
        loss = like(together, 1) + like(torch.stack(apart), 0)
        loss.backward()
        for name in ("identity", "frame", "sync"):
            optimizers[name].step()

        total = (
            like(d["identity"](inflated), 1)
            + like(d["frame"](fake.flatten(0, 1)), 1)
            + like(d["sync"](contexts, fake), 1)
            + frame_similarity_loss(fake, real)
            + image_gradient_loss(fake, real)
        )
        optimizers["generator"].zero_grad()
        total.backward()
        optimizers["generator"].step()
        for optimizer in optimizers.values():
            optimizer.zero_grad()


def test_two_backward_passes_equal_four_to_the_bit(tmp_path: Path, face_file: str) -> None:
    module, plain = composer(feature_network=face_file), composer()
    before = copied(module)
    fit(tmp_path, module, Seed(), max_steps=4, data={"pictures": 4})
    batch = batch_of([draw_clip(index) for index in range(6)], pictures=4)
    reference(plain, load_face_network(face_file), batch, steps=4)
    torch.testing.assert_close(module.state_dict(), plain.state_dict(), rtol=0, atol=0)
    for name, parameter in module.generator.named_parameters():
        assert not torch.equal(parameter, before[f"generator.{name}"]), name
    for name, parameter in module.discriminators.named_parameters():
        assert not torch.equal(parameter, before[f"discriminators.{name}"]), name


def test_steps_are_the_generators(tmp_path: Path, face_file: str) -> None:
    """max_steps, global_step, {step} and every_n_train_steps, over epochs of two batches."""
    saving = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=2, save_top_k=-1)
    gradients, outputs = Gradients(), Outputs()
    made = fit(
        tmp_path, composer(feature_network=face_file), gradients, outputs, saving, max_steps=5,
        data={"batch_size": 3},
    )  # fmt: skip
    assert made.global_step == 5
    assert {name: len(steps) for name, steps in gradients.steps.items()} == dict.fromkeys(NAMES, 5)
    assert len(outputs.seen) == 5
    saved = sorted(tmp_path.glob("*.ckpt"))
    assert [path.stem for path in saved] == ["step=2", "step=4"]
    assert torch.load(saved[0], weights_only=True)["global_step"] == 2


def test_steps_are_the_generators_when_batches_are_accumulated(tmp_path: Path, face_file: str) -> None:
    saving = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=2, save_top_k=-1)
    gradients, outputs = Gradients(), Outputs()
    made = fit(
        tmp_path, composer(feature_network=face_file, accumulate_grad_batches=2), gradients, outputs, saving,
        max_steps=5, data={"batch_size": 2}, logger=CSVLogger(tmp_path, name="", version=""), log_every_n_steps=1,
    )  # fmt: skip
    # an epoch has three batches: two for a step, and one that is left for another
    assert made.global_step == 5 and len(outputs.seen) == 8
    assert {name: len(steps) for name, steps in gradients.steps.items()} == dict.fromkeys(NAMES, 5)
    with open(tmp_path / "metrics.csv", newline="") as file:
        logged = [int(row["step"]) for row in csv.DictReader(file) if row["train/loss/generator"]]
    assert logged == [0, 0, 1, 2, 2, 3, 4, 4]  # both batches of a step at the step that they make
    assert sorted(path.stem for path in tmp_path.glob("*.ckpt")) == ["step=2", "step=4"]


def test_a_validation_between_added_batches_takes_no_gradient_away(tmp_path: Path, face_file: str) -> None:
    """Four batches make a step; after the second, or after the fourth, comes a validation."""
    found = []
    for batches in (2, 4):
        gradients = Gradients()
        module = composer(feature_network=face_file, accumulate_grad_batches=4, **NO_LEARNING)
        fit(
            tmp_path, module, gradients, data={"clips": 8, "batch_size": 2}, max_epochs=1,
            val_check_interval=batches, limit_val_batches=1,
        )  # fmt: skip
        found.append(gradients.steps)
    for name in NAMES:
        assert len(found[0][name]) == len(found[1][name]) == 1
        for one, other in zip(found[0][name][0], found[1][name][0], strict=True):
            torch.testing.assert_close(one, other, msg=name)


def test_the_generators_pass_leaves_no_gradients_with_the_discriminators(
    tmp_path: Path, face_file: str
) -> None:
    module = composer(feature_network=face_file)
    left = []

    class Watch(pl.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            left.extend(name for name, p in module.named_parameters() if p.grad is not None)

    fit(tmp_path, module, Watch(), max_steps=2)
    assert left == []
    assert all(p.requires_grad for p in module.discriminators.parameters())
    assert not any(p.requires_grad for p in module.representation.parameters())


def test_each_player_has_its_own_rmsprop_at_the_papers_rate(tmp_path: Path) -> None:
    module = composer()
    made = module.configure_optimizers()
    assert all(type(optimizer) is torch.optim.RMSprop for optimizer in made)
    assert [optimizer.param_groups[0]["lr"] for optimizer in made] == [3e-4, 3e-4, 1e-4, 1e-5]
    networks = [module.generator, *(module.discriminators[name] for name in NAMES[1:])]
    for optimizer, network in zip(made, networks, strict=True):
        assert [id(p) for p in optimizer.param_groups[0]["params"]] == [id(p) for p in network.parameters()]
    asked = composer(generator_lr=1.0, identity_lr=2.0, frame_lr=3.0, sync_lr=4.0).configure_optimizers()
    assert [optimizer.param_groups[0]["lr"] for optimizer in asked] == [1.0, 2.0, 3.0, 4.0]


def test_other_optimizers_take_the_four_rates_too() -> None:
    made = composer(optimizer=torch.optim.Adam, generator_lr=0.5).configure_optimizers()
    assert all(type(optimizer) is torch.optim.Adam for optimizer in made)
    assert [optimizer.param_groups[0]["lr"] for optimizer in made] == [0.5, 3e-4, 1e-4, 1e-5]


def test_clips_each_optimizers_gradients_at_its_own_norm(tmp_path: Path, face_file: str) -> None:
    free, clipped = Gradients(), Gradients()
    fit(tmp_path, composer(feature_network=face_file), Seed(), free)
    limits = GradientClipping(generator=1e-3, frame=1e-4, sync=1e6)
    fit(tmp_path, composer(feature_network=face_file, clipping=limits), Seed(), clipped)
    assert free.norm("generator") > 1e-2 and free.norm("frame") > 1e-3
    assert clipped.norm("generator") == pytest.approx(1e-3, rel=1e-2)
    assert clipped.norm("frame") == pytest.approx(1e-4, rel=1e-2)
    assert clipped.norm("identity") == free.norm("identity")  # not clipped
    assert clipped.norm("sync") == pytest.approx(free.norm("sync"))  # below its limit
    for one, other in zip(clipped.steps["frame"][0], free.steps["frame"][0], strict=True):
        torch.testing.assert_close(one * free.norm("frame"), other * clipped.norm("frame"))


def test_clips_what_float16s_scaler_has_scaled(tmp_path: Path, face_file: str) -> None:
    gradients = Gradients()
    half = MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu", init_scale=1024.0))
    module = composer(feature_network=face_file, clipping=GradientClipping(generator=1e-3))
    fit(tmp_path, module, gradients, plugins=[half])
    assert gradients.norm("generator") == pytest.approx(1e-3, rel=1e-2)


def test_all_gradients_of_a_step_carry_one_factor_of_float16s_scaler(tmp_path: Path, face_file: str) -> None:
    """A scaler that would double its factor after each optimizer's step, and one that keeps it for long."""
    norms, factors = [], []
    for interval in (1, 1000):
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=interval)
        gradients = Gradients()
        half = MixedPrecision("16-mixed", "cpu", scaler=scaler)
        fit(tmp_path, composer(feature_network=face_file), Seed(), gradients, plugins=[half])
        norms.append({name: gradients.norm(name) for name in NAMES})
        factors.append(scaler.get_scale())
    assert norms[0] == pytest.approx(norms[1], rel=1e-2)
    assert factors == [2048.0, 1024.0]


def test_two_accumulated_batches_equal_one_of_double_size(tmp_path: Path, face_file: str) -> None:
    """In eval mode, where batch norm does not mix clips, and with discriminators that wait for the generator."""
    results = []
    for batches, batch_size in ((1, 6), (2, 3)):
        gradients = Gradients()
        module = composer(feature_network=face_file, accumulate_grad_batches=batches, **NO_LEARNING)
        made = fit(tmp_path, module, WithoutBatchStatistics(), gradients, data={"batch_size": batch_size})
        assert made.global_step == 1
        results.append(gradients.steps)
    for name in NAMES:
        for one, other in zip(results[0][name][0], results[1][name][0], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize(
    ("interval", "accumulate", "halvings"), [("step", 1, 5), ("epoch", 1, 2), ("step", 2, 5)]
)
def test_schedulers_follow_steps_or_whole_epochs(
    tmp_path: Path, face_file: str, interval: Any, accumulate: int, halvings: int
) -> None:
    module = composer(
        feature_network=face_file,
        scheduler=lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5),
        scheduler_interval=interval,
        accumulate_grad_batches=accumulate,
    )
    # epochs of two batches: five steps are two epochs and a half without accumulation
    made = fit(tmp_path, module, max_steps=5, data={"clips": 4, "batch_size": 2})
    rates = [optimizer.param_groups[0]["lr"] for optimizer in made.optimizers]
    assert rates == pytest.approx([lr * 0.5**halvings for lr in (3e-4, 3e-4, 1e-4, 1e-5)])


def test_callbacks_get_plain_values_without_a_graph(tmp_path: Path, face_file: str) -> None:
    outputs = Outputs()
    fit(tmp_path, composer(feature_network=face_file), outputs, data={"pictures": 3})
    (out,) = outputs.seen
    tensors = [
        *out["losses"].values(), *out["real_scores"].values(), *out["fake_scores"].values(),
        out["fake_frames"], out["real_frames"],
    ]  # fmt: skip
    assert not any(tensor.requires_grad for tensor in tensors)
    assert all(loss.dim() == 0 for loss in out["losses"].values())
    assert out["fake_scores"]["sync"].shape == (3, 6, 3)  # kinds of wrong pairs, clips, frames
    assert out["real_scores"]["sync"].shape == (6, 3)
    assert out["fake_frames"].shape == out["real_frames"].shape == (6, 3, 3, 32, 32)
    assert out["fake_frames"].abs().max() <= 1 and out["real_frames"].abs().max() <= 1


def test_frames_are_normalised_to_the_generators_range() -> None:
    values = torch.tensor([0, 51, 255], dtype=torch.uint8)
    torch.testing.assert_close(normalise(values), torch.tensor([-1.0, -0.6, 1.0]))


def test_trains_in_bfloat16(tmp_path: Path, face_file: str) -> None:
    outputs = Outputs()
    module = composer(feature_network=face_file, identity_mixing=0.3)
    fit(tmp_path, module, outputs, precision="bf16-mixed", max_steps=2)
    assert all(loss.isfinite() for loss in outputs.seen[-1]["losses"].values())


POSES = {"pose_dim": 3, "num_speakers": 3, "context_region": "lower"}


def test_pose_codes_are_read_in_training_and_recalled_afterwards(tmp_path: Path, face_file: str) -> None:
    module = composer(feature_network=face_file, drawing=POSES, frame_lr=0.0)
    code = module.generator.pose
    assert code is not None
    before = copied(code.encoder)
    gradients = Gradients()
    fit(tmp_path, module, gradients, max_steps=2)
    assert code.seen.tolist() == [4, 4, 4]  # six clips of three speakers, twice
    assert code.codes[:, :4].abs().min() > 0
    assert not torch.equal(copied(code.encoder)["0.weight"], before["0.weight"])
    batch = batch_of([draw_clip(index) for index in range(3)], 2)
    module.eval()
    with torch.no_grad():
        shown = module(batch["speech"], batch["frame_times"])
        code.codes *= -5.0
        assert not torch.allclose(module(batch["speech"], batch["frame_times"]), shown, atol=1e-3)


@pytest.mark.parametrize(
    ("most", "speaker", "told"),
    [(2, 2, "at least 3 speakers, the generator's pose codes are for 2"), (3, -1, "speaker is unknown")],
)
def test_pose_codes_name_a_speaker_that_they_have_no_place_for(
    most: int, speaker: int, told: str, tmp_path: Path, face_file: str
) -> None:
    module = composer(feature_network=face_file, drawing=POSES | {"num_speakers": most})

    class Other(pl.Callback):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            batch["speaker"][0] = speaker

    with pytest.raises(InputError, match=re.escape(told)):
        fit(tmp_path, module, Other())


@pytest.mark.parametrize(
    ("device", "stage", "laid_out"), [("cuda", "fit", True), ("cuda", "test", False), ("cpu", "fit", False)]
)
def test_for_a_fit_on_a_gpu_the_generator_is_laid_out_before_it_is_wrapped(
    device: str, stage: str, laid_out: bool, face_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DDP's buckets, made between `setup` and `on_fit_start`, take the layout that they find."""
    module, run = composer(feature_network=face_file), trainer(tmp_path)
    monkeypatch.setattr(type(run.strategy), "root_device", torch.device(device))
    module.trainer = run
    module.setup(stage)
    kernels = [p for p in module.generator.parameters() if p.dim() == 4 and p.shape[-1] > 1]
    assert kernels
    assert all(p.is_contiguous(memory_format=torch.channels_last) == laid_out for p in kernels)
