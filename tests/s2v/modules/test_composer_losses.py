"""What the discriminators score, and the generator's terms."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from s2v.errors import InputError
from s2v.generation.export_system import open_system
from s2v.losses.adversarial import ADVERSARIAL_LOSSES, AdversarialLossName
from s2v.losses.feature_distance import feature_distance
from s2v.losses.image_gradient import image_gradient_loss
from s2v.models.discriminators import FrameDiscriminator, SyncDiscriminator
from s2v.models.frame_decoder import Speech2VideoGenerator
from s2v.modules.composer import ComposerModule, LossWeights
from s2v.modules.composer_checks import load_feature_network
from s2v.modules.discriminator_parts import scores_of_maps, sync_parts
from s2v.modules.face_source import load_face_network
from s2v.modules.frame_augmentation import FrameAugmentation
from tests.s2v.modules.composer_fits import (
    NAMES,
    NO_LEARNING,
    Blind,
    Gradients,
    Outputs,
    Seed,
    WithoutBatchStatistics,
    copied,
    fit,
)
from tests.s2v.modules.small_faces import SIZE, Losses, batch_of, draw_clip
from tests.s2v.modules.small_modules import COMPOSER, CONTEXT, WIDTH, assert_same, composer, configured


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


def test_a_single_picture_has_no_wrong_instant(tmp_path: Path, face_file: str) -> None:
    outputs = Outputs()
    fit(tmp_path, composer(feature_network=face_file), outputs, data={"pictures": 1})
    assert outputs.seen[0]["fake_scores"]["sync"].shape == (1, 6, 1)
