"""The composer's training step: what it optimises, and that its shortcuts change nothing."""

import csv
import math
import re
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn

from s2v.errors import InputError
from s2v.generation.export_system import open_system
from s2v.losses.adversarial import ADVERSARIAL_LOSSES, AdversarialLossName
from s2v.losses.feature_distance import feature_distance
from s2v.losses.frame_similarity import frame_similarity_loss
from s2v.losses.image_gradient import image_gradient_loss
from s2v.models.discriminators import FrameDiscriminator, SyncDiscriminator
from s2v.models.frame_decoder import Speech2VideoGenerator
from s2v.modules.adversarial import weighted_sum
from s2v.modules.composer import ComposerModule, GradientClipping, LossWeights, normalise
from s2v.modules.composer_checks import check_identity, check_matching, load_feature_network
from s2v.modules.discriminator_parts import scores_of_maps, sync_parts
from s2v.modules.face_source import load_face_network
from s2v.modules.frame_augmentation import FrameAugmentation
from s2v.modules.one_cycle import OneCycleAtRate
from tests.s2v.modules.small_faces import SIZE, Losses, SmallFaces, batch_of, draw_clip, trainer
from tests.s2v.modules.small_modules import COMPOSER, CONTEXT, WIDTH, assert_same, composer, configured

NAMES = ("generator", "identity", "frame", "sync")
NO_LEARNING = {"identity_lr": 0.0, "frame_lr": 0.0, "sync_lr": 0.0}
SEED = 101  # D_sync's two shifts differ with it


class Seed(pl.Callback):
    """Torch's generator as a function of the batch."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        torch.manual_seed(SEED + batch_idx)


class Outputs(pl.Callback):
    """What training_step returned."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_: Any) -> None:
        self.seen.append(outputs)


class Gradients(pl.Callback):
    """Each optimizer's gradients as it steps, and how often it does."""

    def __init__(self) -> None:
        self.steps: dict[str, list[list[Tensor]]] = defaultdict(list)

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        name = NAMES[trainer.optimizers.index(optimizer)]
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.steps[name].append([p.grad.clone() for p in parameters if p.grad is not None])

    def norm(self, name: str) -> float:
        return torch.stack([g.norm() for g in self.steps[name][0]]).norm().item()


class WithoutBatchStatistics(pl.Callback):
    """Everything in eval mode: a clip's result does not depend on which other clips share its batch."""

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        pl_module.generator.eval()
        pl_module.discriminators.eval()


def fit(folder: Path, module: ComposerModule, *callbacks: pl.Callback, **settings: Any) -> pl.Trainer:
    """Fit on six clips of two pictures in one batch, unless told otherwise."""
    data = SmallFaces(**{"pictures": 2} | settings.pop("data", {}))
    made = trainer(folder, *callbacks, **{"max_epochs": -1, "max_steps": 1} | settings)
    made.fit(module, datamodule=data)
    return made


def copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


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


@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
def test_each_adversarial_loss_is_both_players(
    tmp_path: Path, face_file: str, name: AdversarialLossName
) -> None:
    """The logged terms, from the scores of the same networks on the frames that the step returned."""
    outputs, loss = Outputs(), ADVERSARIAL_LOSSES[name]
    module = composer(feature_network=face_file, adversarial_loss=name, generator_lr=0.0, **NO_LEARNING)
    fit(tmp_path, module, WithoutBatchStatistics(), outputs)
    (seen,) = outputs.seen
    with torch.no_grad():
        real, fake = (
            module.discriminators["frame"](seen[f"{kind}_frames"].flatten(0, 1)) for kind in ("real", "fake")
        )
    assert seen["losses"]["d_frame"].item() == pytest.approx(loss.discriminator(real, fake).item(), rel=1e-4)
    assert seen["losses"]["frame"].item() == pytest.approx(loss.generator(fake).item(), rel=1e-4)
    torch.testing.assert_close(seen["real_scores"]["frame"], loss.on_one_scale(real))
    one = [loss.discriminator(torch.zeros(1), torch.ones(1)).item() for loss in ADVERSARIAL_LOSSES.values()]
    assert len(set(one)) == len(one)  # the three are told apart


class WithMotion(ComposerModule):
    """A fourth discriminator, of two successive frames, as docs/extending.md has it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        torch.manual_seed(1)
        self.add_discriminator("motion", nn.Sequential(nn.Flatten(2), nn.Linear(3 * SIZE * SIZE, 1)), lr=0.01)

    def score_real(self, face_maps: Any, real: Tensor, contexts: Tensor, seen: Tensor) -> dict[str, Tensor]:
        scores = super().score_real(face_maps, real, contexts, seen)
        return scores | {"motion": self.discriminators["motion"](real.diff(dim=1))}

    def score_fake(self, inflated: Any, fake: Tensor, contexts: Tensor, seen: Tensor) -> dict[str, Tensor]:
        scores = super().score_fake(inflated, fake, contexts, seen)
        return scores | {"motion": self.discriminators["motion"](fake.diff(dim=1))}

    def generator_losses(
        self, inflated: Any, fake: Tensor, real: Tensor, contexts: Tensor
    ) -> dict[str, Tensor]:
        terms = super().generator_losses(inflated, fake, real, contexts)
        return terms | {"motion": self.adversarial.generator(self.discriminators["motion"](fake.diff(dim=1)))}


def test_a_fourth_discriminator_steps_at_its_own_rate_and_pushes_the_generator(
    tmp_path: Path, face_file: str
) -> None:
    plain = composer()
    parts = {f"{name}_discriminator": plain.discriminators[name] for name in ("identity", "frame", "sync")}
    module = WithMotion(
        representation=plain.representation, generator=plain.generator, feature_network=face_file, **parts
    )
    before, outputs = copied(module.discriminators["motion"]), Outputs()
    made = fit(tmp_path, module, outputs)
    assert made.global_step == 1
    assert [optimizer.param_groups[0]["lr"] for optimizer in made.optimizers] == [
        3e-4,
        3e-4,
        1e-4,
        1e-5,
        0.01,
    ]
    # a first step of RMSprop is the rate times ten, whatever the gradient
    moved = copied(module.discriminators["motion"])["1.weight"] - before["1.weight"]
    assert moved.abs().median().item() == pytest.approx(0.1, rel=1e-2)
    losses = outputs.seen[0]["losses"]
    assert losses["d_motion"] > 0 and losses["motion"] > 0
    total = sum(losses[name] for name in (*LossWeights.__dataclass_fields__, "motion") if name in losses)
    assert losses["generator"].item() == pytest.approx(total.item(), rel=1e-5)
    for name in (
        "sync",
        "mouth",
        "a.b",
        "",
        "keys",
    ):  # one of its own, a loss term's, none that a module can have
        with pytest.raises(InputError, match=f"a discriminator can't be called '{name}' here"):
            module.add_discriminator(name, nn.Linear(1, 1), 0.1)
    assert len(module.discriminators) == 4 and module.optimizer_names[4:] == ("motion",)


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


@pytest.mark.parametrize(
    ("name", "rate"), [("generator_lr", -1.0), ("frame_lr", math.nan), ("sync_lr", math.inf)]
)
def test_rates_that_would_train_wrongly_are_refused(name: str, rate: float) -> None:
    with pytest.raises(InputError, match=f"{name} must be 0 or more and finite, got {rate}"):
        composer(**{name: rate})


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"clipping": GradientClipping(frame=-1.0)}, "clipping.frame must be 0 or more and finite, got -1.0"),
        ({"clipping": {"sync": math.nan}}, "clipping.sync must be 0 or more and finite, got nan"),
        ({"weights": LossWeights(mouth=-0.5)}, "weights.mouth must be 0 or more and finite, got -0.5"),
        ({"gradient_sigma": -1.0}, "gradient_sigma must be 0 or more and finite, got -1.0"),
        ({"gradient_sigma": math.nan}, "gradient_sigma must be 0 or more and finite, got nan"),
        ({"accumulate_grad_batches": 0}, "accumulate_grad_batches must be at least 1, got 0"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=re.escape(reason)):
        composer(**settings)


def test_zeros_that_mean_none_are_taken() -> None:
    made = composer(
        gradient_sigma=0.0, clipping=GradientClipping(frame=0.0), weights=LossWeights(gradient=0.0)
    )
    assert made.gradient_sigma == made.clipping.frame == made.weights.gradient == 0


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


def test_a_scheduler_that_waits_for_a_loss_is_refused(tmp_path: Path, face_file: str) -> None:
    module = composer(feature_network=face_file, scheduler=torch.optim.lr_scheduler.ReduceLROnPlateau)
    with pytest.raises(InputError, match="ReduceLROnPlateau waits for one number"):
        fit(tmp_path, module)


LBFGS, Adam, StepLR = torch.optim.LBFGS, torch.optim.Adam, torch.optim.lr_scheduler.StepLR


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": LBFGS}, "^LBFGS can't train these networks"),
        (
            {"scheduler": lambda optimizer: OneCycleAtRate(optimizer, 40)},
            "^OneCycleAtRate's one cycle of 40 steps would take as many epochs: .*scheduler_interval to step",
        ),
        (
            {"scheduler": lambda optimizer: StepLR(optimizer, 0), "scheduler_interval": "step"},
            "^the model's StepLR fails at step 1 .*: give its init_args other numbers",
        ),
    ],
)
def test_what_can_not_step_is_one_line(
    tmp_path: Path, face_file: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        fit(tmp_path, composer(feature_network=face_file, **settings), max_epochs=3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": lambda weights: Adam(weights, lr=0.5)}, "^the optimizer.s lr of 0.5 does nothing"),
        (
            {
                "scheduler": lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, 100),
                "scheduler_interval": "step",
            },
            "^OneCycleLR gives all optimizers one rate, 4e-05 to begin with",
        ),
        ({"optimizer": Adam}, ""),
        ({"scheduler": lambda optimizer: OneCycleAtRate(optimizer, 40), "scheduler_interval": "step"}, ""),
    ],
)  # fmt: skip
def test_rates_that_are_not_those_of_the_config_are_told(
    tmp_path: Path, face_file: str, settings: dict[str, Any], message: str
) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fit(tmp_path, composer(feature_network=face_file, **settings))
    told = [str(warning.message) for warning in said if " rate" in str(warning.message)]
    assert len(told) == bool(message) and all(re.search(message, text) for text in told)


def test_a_term_that_is_no_scalar_is_named() -> None:
    terms = {"similarity": torch.ones(()), "motion": torch.ones(2, 3)}
    with pytest.raises(InputError, match=r"^the generator's term 'motion' has the shape \(2, 3\): a scalar"):
        weighted_sum(terms, LossWeights())


@pytest.mark.parametrize("off", ["identity", "frame", "sync", "similarity", "gradient"])
def test_weight_0_leaves_a_term_and_its_discriminator_out(tmp_path: Path, face_file: str, off: str) -> None:
    module = composer(
        feature_network=None if off == "identity" else face_file, weights=LossWeights(**{off: 0.0})
    )
    before, gradients, outputs = copied(module.discriminators), Gradients(), Outputs()
    made = fit(tmp_path, module, gradients, outputs, max_steps=2)
    discriminators = {"identity", "frame", "sync"} - {off}
    terms = discriminators | {"similarity", "gradient"} - {off}
    (_, out) = outputs.seen
    assert out["losses"].keys() == terms | {f"d_{name}" for name in discriminators} | {"generator"}
    assert out["real_scores"].keys() == out["fake_scores"].keys() == discriminators
    assert gradients.steps.keys() == discriminators | {"generator"} and made.global_step == 2
    assert f"train/loss/{off}" not in made.callback_metrics
    for name, value in module.discriminators.state_dict().items():
        if name.startswith(off):
            assert torch.equal(value, before[name]), name
    total = sum(out["losses"][name].item() for name in terms)
    assert out["losses"]["generator"].item() == pytest.approx(total, rel=1e-5)


def test_the_generators_loss_is_the_weighted_sum(tmp_path: Path, face_file: str) -> None:
    weights = LossWeights(
        identity=0.5,
        frame=2.0,
        sync=3.0,
        similarity=10.0,
        gradient=0.25,
        mouth=1.5,
        matching=0.3,
        perceptual=0.7,
    )
    outputs = Outputs()
    made = fit(tmp_path, composer(feature_network=face_file, weights=weights), outputs)
    losses = outputs.seen[0]["losses"]
    total = sum(weight * losses[name].item() for name, weight in vars(weights).items() if weight)
    assert losses["generator"].item() == pytest.approx(total, rel=1e-5)
    for name, value in losses.items():
        assert made.callback_metrics[f"train/loss/{name}"] == value


@pytest.mark.parametrize("region", ["full", "upper", "lower"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_pixels_and_edges_are_compared_as_asked(region: Any, reduction: Any) -> None:
    weights = LossWeights(identity=0.0, frame=0.0, sync=0.0)
    module = composer(
        weights=weights, similarity_region=region, similarity_reduction=reduction, gradient_sigma=2.0
    )
    torch.manual_seed(0)
    fake, real = torch.rand(2, 2, 3, 3, SIZE, SIZE) * 2 - 1
    terms = module.generator_losses([], fake, real, torch.zeros(2, 3, CONTEXT))
    half = SIZE // 2
    rows = {"full": slice(None), "upper": slice(half), "lower": slice(half, None)}[region]
    apart = (fake - real).abs()[..., rows, :]
    expected = apart.mean() if reduction == "mean" else apart.sum() / 6  # a sum for each of the frames
    torch.testing.assert_close(terms["similarity"], expected)
    torch.testing.assert_close(terms["gradient"], image_gradient_loss(fake, real, 2.0))
    assert not torch.allclose(terms["gradient"], image_gradient_loss(fake, real))


def test_a_perceptual_loss_alone_takes_a_face_network_of_any_width(face_file: str) -> None:
    """Its maps are compared with the identity branch's only by D_ID."""
    generator = Speech2VideoGenerator(image_size=SIZE, width=WIDTH, feature_width=2 * WIDTH)
    assert load_feature_network(face_file, generator, compared=False)
    with pytest.raises(InputError, match=r"channels, the generator's identity maps .* set feature_width"):
        load_feature_network(face_file, generator)


def test_feature_matching_and_perceptual_loss_are_of_maps(face_file: str) -> None:
    """0 for the real frames themselves; more, the further the made ones are from them."""
    torch.manual_seed(0)
    module = composer(weights=LossWeights(matching=1.0, perceptual=1.0))
    module.feature_networks["face"] = load_face_network(face_file)
    real, other = torch.rand(2, 2, 3, 3, SIZE, SIZE).unbind(0)
    module.eval()

    def terms(share: float) -> dict[str, float]:
        fake = real.lerp(other, share)
        inflated = module.face_network.feature_maps(real[:, 0] * 255)
        with torch.no_grad():
            found = module.generator_losses(inflated, fake, real, torch.zeros(2, 3, CONTEXT))
        return {name: found[name].item() for name in ("matching", "perceptual")}

    same, near, far = terms(0), terms(0.1), terms(1)
    for name in same:
        assert same[name] == 0 < near[name] < far[name]


def test_a_perceptual_loss_sees_pictures_as_the_face_network_does(tmp_path: Path, face_file: str) -> None:
    """From 0 to 255, and without D_ID too."""
    weights = LossWeights(identity=0.0, frame=0.0, sync=0.0, perceptual=1.0)
    outputs = Outputs()
    fit(tmp_path, composer(feature_network=face_file, weights=weights), outputs)
    (out,) = outputs.seen
    maps = load_face_network(face_file).feature_maps
    served = batch_of([draw_clip(index) for index in range(6)], pictures=2)["frames"]
    made = (out["fake_frames"] + 1) / 2 * 255
    expected = feature_distance(maps(made.flatten(0, 1)), maps(served.flatten(0, 1)))
    torch.testing.assert_close(out["losses"]["perceptual"], expected, rtol=1e-4, atol=1e-6)


class Blind(nn.Module):
    """A frame discriminator without maps."""

    def forward(self, frames: Tensor) -> Tensor:
        return frames.mean((1, 2, 3))


def test_feature_matching_needs_a_trained_discriminator_that_shows_its_maps() -> None:
    with pytest.raises(
        InputError, match=r"weights.frame is 0, which leaves it untrained: give both a weight"
    ):
        composer(weights=LossWeights(frame=0, matching=1.0))
    with pytest.raises(InputError, match=r"Blind has no feature_maps.*add it, or set weights.matching to 0"):
        check_matching(LossWeights(matching=1.0), Blind())


def test_an_identity_discriminator_makes_maps_alike() -> None:
    with pytest.raises(InputError, match=r"Blind has no normalise_real\(maps\).*set weights.identity to 0"):
        check_identity(LossWeights(identity=0.1), Blind())
    check_identity(LossWeights(identity=0.0), Blind())
    composer(weights=LossWeights(identity=0.1))


class WholeFrame(FrameDiscriminator):
    """Its own `forward`, as far as a step can know: what it inherits beside that may be another network's."""

    def forward(self, frames: Tensor) -> Tensor:
        return super().forward(frames)


class WholeSync(SyncDiscriminator):
    """Likewise."""

    def forward(self, contexts: Tensor, frames: Tensor) -> Tensor:
        return super().forward(contexts, frames)


class Passes:
    """Counts what goes through a network."""

    def __init__(self, network: nn.Module) -> None:
        self.number = 0
        network.register_forward_hook(self._count)

    def _count(self, *_: Any) -> None:
        self.number += 1


@pytest.mark.parametrize(("normalise", "pictures"), [(True, 4), (False, 4), (False, 1)])
def test_pictures_looked_at_once_give_the_losses_and_gradients_of_whole_passes(
    tmp_path: Path, face_file: str, normalise: bool, pictures: int
) -> None:
    """With spectral normalisation in eval mode, where a pass leaves the weights as they are."""
    found = []
    for whole in (True, False):
        module = composer(
            feature_network=face_file,
            normalise=normalise,
            weights=LossWeights(frame=2.0, matching=0.5),
            **NO_LEARNING,
        )
        frame, sync = module.discriminators["frame"], module.discriminators["sync"]
        if whole:
            frame.__class__, sync.__class__ = WholeFrame, WholeSync
        module.sizes_fit = True  # or trying them out counts as well
        passes = [Passes(frame.layers[0]), Passes(sync.picture)]
        gradients, outputs = Gradients(), Outputs()
        still = [WithoutBatchStatistics()] if normalise else []
        fit(tmp_path, module, Seed(), *still, gradients, outputs, data={"pictures": pictures})
        found.append((outputs.seen[0], gradients.steps, [count.number for count in passes]))
    (plain, plain_gradients, plain_passes), (step, step_gradients, passes_now) = found
    # D_fr: real, made, made again (not whole: for its maps too), real maps; D_sync: real, made, made again
    assert plain_passes == [5, 5 if pictures > 1 else 3] and passes_now == [4, 3]
    for kind in ("losses", "real_scores", "fake_scores"):
        torch.testing.assert_close(step[kind], plain[kind], rtol=1e-4, atol=1e-6)
    for name in NAMES:
        one, other = (
            torch.cat([g.flatten() for g in steps[name][0]]) for steps in (step_gradients, plain_gradients)
        )
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5 * float(other.abs().max()), msg=name)


def test_changed_frames_are_scored_by_themselves(tmp_path: Path, face_file: str) -> None:
    """The maps that are matched are of the frames as they are, the scores of changed ones."""
    matching = LossWeights(matching=1.0)
    module = composer(feature_network=face_file, weights=matching, frame_augmentation=FrameAugmentation())
    module.sizes_fit = True  # or trying them out counts as well
    passes = Passes(module.discriminators["frame"].layers[0])
    fit(tmp_path, module)
    assert passes.number == 5


def test_parts_of_a_discriminator_stand_for_the_forward_beside_them() -> None:
    module = composer()
    frame, sync = module.discriminators["frame"], module.discriminators["sync"]
    assert sync_parts(sync) == (sync.embed_frames, sync.score_pairs)
    assert scores_of_maps(frame) == frame.score_maps
    frame.__class__, sync.__class__ = WholeFrame, WholeSync
    frames = torch.zeros(1, 1, 3, SIZE, SIZE)
    embed, score = sync_parts(sync)
    assert embed(frames) is frames and score is sync and scores_of_maps(frame) is None
    frame.__class__ = type(
        "OtherMaps", (FrameDiscriminator,), {"feature_maps": lambda self, frames: [frames]}
    )
    assert scores_of_maps(frame) is None
    assert scores_of_maps(Blind()) is None and sync_parts(Blind())[0](frames) is frames


class WithContrast(ComposerModule):
    """A composer with a term of its own."""

    def generator_losses(
        self, inflated: Any, fake: Tensor, real: Tensor, contexts: Tensor
    ) -> dict[str, Tensor]:
        terms = super().generator_losses(inflated, fake, real, contexts)
        return terms | {"contrast": 3 * (fake.std() - real.std()).square()}


def test_a_subclasses_own_term_counts_as_it_is(tmp_path: Path, face_file: str) -> None:
    outputs, losses = Outputs(), Losses("train/loss/contrast")
    module = composer(feature_network=face_file, weights=LossWeights(similarity=3.0))
    module.__class__ = WithContrast
    fit(tmp_path, module, outputs, losses)
    (terms,) = [output["losses"] for output in outputs.seen]
    assert losses.values == [terms["contrast"].item()] and losses.values[0] > 0
    weights = {
        "identity": 1.0,
        "frame": 1.0,
        "sync": 1.0,
        "similarity": 3.0,
        "gradient": 1.0,
        "contrast": 1.0,
    }
    torch.testing.assert_close(terms["generator"], sum(w * terms[name] for name, w in weights.items()))


def test_discriminators_of_ones_own_need_not_be_subclasses(tmp_path: Path, face_file: str) -> None:
    """Configured, fitted, and read from their checkpoint."""
    own = "tests.experiments.own_networks"
    maps = load_face_network(face_file).feature_maps(torch.zeros(1, 3, SIZE, SIZE))
    discriminators: dict[str, Any] = {
        "identity_discriminator": {"channels": maps[0].shape[1]},
        "frame_discriminator": {},
        "sync_discriminator": {"context_dim": CONTEXT},
    }
    named = {
        name: {"class_path": f"{own}.Own{name.title().replace('_', '')}", "init_args": settings}
        for name, settings in discriminators.items()
    }
    named["generator"] = COMPOSER["generator"] | {"class_path": f"{own}.OwnGenerator"}
    module = configured(ComposerModule, COMPOSER | named | {"feature_network": face_file}, tmp_path)
    before = copied(module.discriminators)
    fit(tmp_path, module).save_checkpoint(tmp_path / "own.ckpt")
    for name, value in module.discriminators.state_dict().items():
        assert not torch.equal(value, before[name]), name
    again = ComposerModule.load_from_checkpoint(tmp_path / "own.ckpt", weights_only=True)
    assert_same(copied(again.discriminators), copied(module.discriminators))
    stream: Any = open_system(str(tmp_path / "own.ckpt"), "cpu")
    assert type(stream.generator).__name__ == "OwnGenerator"


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


def test_a_single_picture_has_no_wrong_instant(tmp_path: Path, face_file: str) -> None:
    outputs = Outputs()
    fit(tmp_path, composer(feature_network=face_file), outputs, data={"pictures": 1})
    assert outputs.seen[0]["fake_scores"]["sync"].shape == (1, 6, 1)


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
