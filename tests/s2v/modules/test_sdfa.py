"""SDFA's training step, its schedule, and what it makes of a clip; S2F+SDFA's voice in the picture's place."""

import copy
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from s2v.errors import InputError
from s2v.losses.frame_similarity import frame_similarity_loss
from s2v.losses.log_likelihood import log_discriminator_loss, log_generator_loss
from s2v.models.sdfa import SDFA
from s2v.models.sdfa_discriminators import (
    SequenceDiscriminator,
    SpeechLipsDiscriminator,
    StillFrameDiscriminator,
)
from s2v.models.voice_encoder import VoiceEncoder
from s2v.modules.sdfa import (
    SDFAGradientClipping,
    SDFALearningRates,
    SDFALossWeights,
    SDFAModule,
)
from s2v.modules.speech_pairs import draw_pairs
from tests.s2v.modules.small_faces import SIZE, Losses, SmallFaces, batch_of, draw_clip, trainer

VOICE = 20


def sdfa(voice: bool = False, size: int | list[int] = SIZE, **settings: Any) -> SDFAModule:
    torch.manual_seed(0)
    return SDFAModule(
        SDFA(size, 0.125, speech_dim=16, code_dim=8, voice_dim=VOICE if voice else None),
        StillFrameDiscriminator(size, 0.125),
        SequenceDiscriminator(size, 0.125),
        SpeechLipsDiscriminator(size, 0.125, dim=16),
        VoiceEncoder(VOICE, 1 / 16, hidden=8, seconds=1.5) if voice else None,
        **settings,
    )


def numbers_of(networks: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in networks.parameters()]


def changed(before: list[Tensor], networks: nn.Module) -> bool:
    return any(not torch.equal(a, b) for a, b in zip(before, networks.parameters(), strict=True))


@pytest.mark.parametrize("voice", [False, True], ids=["SDFA", "S2F+SDFA"])
def test_a_step_moves_all_four_networks_and_counts_once(voice: bool, tmp_path: Path) -> None:
    module = sdfa(voice)
    networks = {"generator": module.generator, **module.discriminators}
    before = {name: numbers_of(network) for name, network in networks.items()}
    heard = None if module.voice is None else copy.deepcopy(module.voice.state_dict())
    run = trainer(tmp_path, max_steps=2, max_epochs=-1)
    run.fit(module, datamodule=SmallFaces(pictures=6))
    assert run.global_step == 2
    assert all(changed(before[name], network) for name, network in networks.items())
    if module.voice is not None and heard is not None:  # frozen, its batch norms too
        torch.testing.assert_close(module.voice.state_dict(), heard, rtol=0, atol=0)
    assert module.system_name == ("S2F+SDFA" if voice else "SDFA")


def test_the_losses_are_the_published_ones(tmp_path: Path) -> None:
    """The logged terms, recomputed from the returned scores."""
    kept: dict[str, Any] = {}

    class Kept(SDFAModule):
        def training_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
            kept.update(super().training_step(batch, batch_idx))
            return kept

    module = sdfa()
    module.__class__ = Kept
    trainer(tmp_path, max_steps=1, max_epochs=-1).fit(module, datamodule=SmallFaces(pictures=6))
    losses = kept["losses"]
    for name in ("frame", "sequence", "sync"):
        real, fake = (kept[f"{kind}_scores"][name].logit() for kind in ("real", "fake"))
        torch.testing.assert_close(
            losses[f"d_{name}"], log_discriminator_loss(real, fake), rtol=1e-3, atol=1e-4
        )
    assert kept["fake_scores"]["sync"].shape == (2, 6)  # wrong speech, and generated lips
    similarity = frame_similarity_loss(kept["fake_frames"], kept["real_frames"])
    torch.testing.assert_close(losses["similarity"], similarity)
    total = losses["frame"] + 0.2 * losses["sequence"] + 0.8 * losses["sync"] + 600 * losses["similarity"]
    torch.testing.assert_close(losses["generator"], total)
    assert log_generator_loss(torch.zeros(1)) > 0.69


class Gradients(pl.Callback):
    """Each network's gradients as it steps; a batch's randomness is always the same."""

    def __init__(self) -> None:
        self.steps: dict[str, list[Tensor]] = {}

    def on_train_batch_start(self, *_: Any) -> None:
        torch.manual_seed(100)

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        name = SDFAModule.optimizer_names[trainer.optimizers.index(optimizer)]
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        assert name not in self.steps
        self.steps[name] = [p.grad.clone() for p in parameters]


class OtherStills(pl.Callback):
    """Stills that are none of the window's frames."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        batch["still"] = 255 - batch["still"]


def test_the_frame_discriminator_sees_each_frame_beside_the_still(tmp_path: Path) -> None:
    module, seen = sdfa(), []
    module.discriminators["frame"].register_forward_pre_hook(lambda _, given: seen.append(given[1].detach()))
    run = trainer(tmp_path, OtherStills(), max_steps=1, max_epochs=-1)
    run.fit(module, datamodule=SmallFaces(pictures=6))
    expected = (
        255 - batch_of([draw_clip(index) for index in range(6)], pictures=6)["still"].float()
    ) / 127.5 - 1
    assert len(seen) > 2  # real and made frames of the step, after the networks have been tried out
    for still in seen[-3:]:
        torch.testing.assert_close(
            still.sum(dim=(1, 2, 3)).sort().values, expected.sum(dim=(1, 2, 3)).sort().values
        )


WAITING = SDFALearningRates(frame=0.0, sequence=0.0, sync=0.0)
"""Discriminators that stay as they are."""


def test_a_steps_gradients_are_those_of_the_papers_losses(tmp_path: Path) -> None:
    """Written out plainly: each network's own backward pass, the probabilities' logarithms."""
    gradients, module = Gradients(), sdfa()
    trainer(tmp_path, gradients, max_steps=1, max_epochs=-1).fit(
        sdfa(learning_rates=WAITING), datamodule=SmallFaces(pictures=10)
    )
    batch = batch_of([draw_clip(index) for index in range(6)], pictures=10)
    real, still = (batch[name].float() / 127.5 - 1 for name in ("frames", "still"))  # type: ignore[literal-required]
    d, numbers = module.discriminators, torch.arange(10).expand(6, -1)
    torch.manual_seed(100)
    fake = module.generator(batch["speech"], still, numbers)
    pairs = draw_pairs(batch["speech"], numbers)
    assert pairs.start > 0
    now, detached = slice(pairs.start, pairs.start + 5), fake.detach()

    def like(logits: Tensor, target: float) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))

    losses = {
        "frame": like(d["frame"](real, still), 1) + like(d["frame"](detached, still), 0),
        "sequence": like(d["sequence"](real), 1) + like(d["sequence"](detached), 0),
        "sync": like(d["sync"](pairs.speech, real[:, now]), 1)
        + 0.5 * like(d["sync"](pairs.other_speech, real[:, now]), 0)
        + 0.5 * like(d["sync"](pairs.speech, detached[:, now]), 0),
    }
    expected = {name: torch.autograd.grad(loss, list(d[name].parameters())) for name, loss in losses.items()}
    total = (
        like(d["frame"](fake, still), 1)
        + 0.2 * like(d["sequence"](fake), 1)
        + 0.8 * like(d["sync"](pairs.speech, fake[:, now]), 1)
        + 600 * (fake - real)[..., SIZE // 2 :, :].abs().mean()
    )
    expected["generator"] = torch.autograd.grad(total, list(module.generator.parameters()))
    assert gradients.steps.keys() == expected.keys()
    for name, wanted in expected.items():
        one, other = (torch.cat([g.flatten() for g in found]) for found in (gradients.steps[name], wanted))
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5 * float(other.abs().max()), msg=name)


def test_two_accumulated_batches_count_as_their_mean(tmp_path: Path) -> None:
    """The same clips twice, with discriminators that do not learn between: what they give once."""

    class Again(SmallFaces):
        def train_dataloader(self) -> Any:
            clips = [draw_clip(index % 3) for index in range(6)]
            return DataLoader(clips, batch_size=3, collate_fn=lambda some: batch_of(some, 6))  # type: ignore[arg-type]

    found = []
    for batches, data in ((1, SmallFaces), (2, Again)):
        gradients = Gradients()
        module = sdfa(learning_rates=WAITING, accumulate_grad_batches=batches)
        run = trainer(tmp_path, gradients, max_steps=1, max_epochs=-1)
        run.fit(module, datamodule=data(clips=3, pictures=6))
        found.append(
            {name: torch.cat([g.flatten() for g in grads]) for name, grads in gradients.steps.items()}
        )
    once, twice = found
    assert once.keys() == twice.keys() == set(SDFAModule.optimizer_names)
    for name, wanted in once.items():
        torch.testing.assert_close(
            twice[name], wanted, rtol=1e-3, atol=1e-5 * float(wanted.abs().max()), msg=name
        )


def test_a_subclasses_own_term_counts_as_it_is(tmp_path: Path) -> None:
    kept: dict[str, Any] = {}

    class WithContrast(SDFAModule):
        def generator_losses(self, fake: Tensor, real: Tensor, *others: Any) -> dict[str, Tensor]:
            terms = super().generator_losses(fake, real, *others)
            return terms | {"contrast": 3 * (fake.std() - real.std()).square()}

        def training_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
            kept.update(super().training_step(batch, batch_idx))
            return kept

    module, logged = sdfa(), Losses("train/loss/contrast")
    module.__class__ = WithContrast
    trainer(tmp_path, logged, max_steps=1, max_epochs=-1).fit(module, datamodule=SmallFaces(pictures=6))
    terms = kept["losses"]
    assert logged.values == [terms["contrast"].item()] and logged.values[0] > 0
    weights = {"frame": 1.0, "sequence": 0.2, "sync": 0.8, "similarity": 600.0, "contrast": 1.0}
    torch.testing.assert_close(terms["generator"], sum(w * terms[name] for name, w in weights.items()))


@pytest.mark.parametrize("served", [{"pictures": 3}, {"pictures": 6, "gap": True}])
def test_the_sync_discriminator_needs_five_frames_in_a_row(served: dict[str, Any]) -> None:
    batch = batch_of([draw_clip(0), draw_clip(1)], served["pictures"])
    if "gap" in served:
        batch["frame_times"] = batch["frame_times"] * 2 - 0.02
    module = sdfa()
    module._count_only_generator_steps = lambda: None  # type: ignore[method-assign]
    with pytest.raises(InputError, match="to 5 at least and frame_step to 1"):
        module.training_step(batch, 0)


def test_weight_0_leaves_a_term_out(tmp_path: Path) -> None:
    module = sdfa(weights=SDFALossWeights(sequence=0.0, sync=0.0))
    before = numbers_of(module.discriminators["sync"])
    logged = Losses("train/loss/similarity")
    trainer(tmp_path, logged, max_steps=1, max_epochs=-1).fit(module, datamodule=SmallFaces(pictures=2))
    assert not changed(before, module.discriminators["sync"])


def test_without_any_term_there_is_nothing_to_learn(tmp_path: Path) -> None:
    module = sdfa(weights=SDFALossWeights(frame=0, sequence=0, sync=0, similarity=0))
    with pytest.raises(InputError, match=r"every one of model\.init_args\.weights is 0"):
        trainer(tmp_path, max_steps=1, max_epochs=-1).fit(module, datamodule=SmallFaces(pictures=6))


def test_the_learning_rates_decay_after_the_21st_epoch() -> None:
    module = sdfa(learning_rates=SDFALearningRates(sync=1e-5))
    assert [module.decayed(epoch) for epoch in (0, 20, 21, 22)] == pytest.approx([1, 1, 0.9, 0.81])
    optimizers, schedulers = module.configure_optimizers()
    assert [o.defaults["lr"] for o in optimizers] == [1e-4, 1e-3, 5e-5, 1e-5]
    assert all(o.defaults["betas"] == (0.5, 0.999) for o in optimizers)  # no config sets them
    assert [s.optimizer for s in schedulers] == optimizers[:2]


def test_each_network_has_its_own_adam() -> None:
    rates = SDFALearningRates(generator=1.0, frame=2.0, sequence=3.0, sync=4.0)
    optimizers, _ = sdfa(learning_rates=rates, betas=(0.3, 0.8)).configure_optimizers()
    assert all(type(optimizer) is torch.optim.Adam for optimizer in optimizers)
    groups = [optimizer.param_groups[0] for optimizer in optimizers]
    assert [(group["lr"], group["betas"]) for group in groups] == [
        (rate, (0.3, 0.8)) for rate in (1.0, 2.0, 3.0, 4.0)
    ]


@pytest.mark.parametrize("region", ["full", "upper", "lower"])
def test_the_rows_that_are_asked_for_are_compared(region: Any) -> None:
    module = sdfa(
        similarity_region=region, weights=SDFALossWeights(frame=0, sequence=0, sync=0, similarity=1)
    )
    torch.manual_seed(0)
    fake, real = torch.rand(2, 1, 5, 3, SIZE, SIZE)
    terms = module.generator_losses(fake, real, real[:, 0], None)
    assert terms.keys() == {"similarity"}
    torch.testing.assert_close(terms["similarity"], frame_similarity_loss(fake, real, region))


def test_a_fit_lowers_the_two_rates_epoch_by_epoch(tmp_path: Path) -> None:
    rates: list[list[float]] = []

    class Rates(pl.Callback):
        def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
            rates.append([optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers])

    fit = trainer(tmp_path, Rates(), max_epochs=4)
    fit.fit(sdfa(decay_after=1, decay=0.5), datamodule=SmallFaces(clips=4, batch_size=2, pictures=6))
    falling = [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]  # of two steps an epoch
    for column, (rate, decays) in enumerate([(1e-4, True), (1e-3, True), (5e-5, False), (5e-5, False)]):
        expected = [rate * share if decays else rate for share in falling]
        assert [step[column] for step in rates] == pytest.approx(expected)


def test_clips_each_optimizers_gradients_at_its_own_norm(tmp_path: Path) -> None:
    norms: dict[int, list[float]] = {}

    class Norms(pl.Callback):
        def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
            norms.setdefault(trainer.optimizers.index(optimizer), []).append(norm.item())

    for limits in (SDFAGradientClipping(), SDFAGradientClipping(generator=1e-3, sequence=1e-4)):
        torch.manual_seed(1)
        run = trainer(tmp_path, Norms(), max_steps=1, max_epochs=-1)
        run.fit(sdfa(clipping=limits), datamodule=SmallFaces(pictures=6))
    (generator, clipped), frame, (sequence, clipped_sequence), sync = (norms[index] for index in range(4))
    assert generator > 2e-3 and clipped == pytest.approx(1e-3, rel=1e-2)
    assert sequence > 2e-4 and clipped_sequence == pytest.approx(1e-4, rel=1e-2)
    assert frame[0] == pytest.approx(frame[1]) and sync[0] == pytest.approx(sync[1])  # not clipped


def test_a_limit_of_no_sense_is_one_error() -> None:
    with pytest.raises(InputError, match=r"clipping\.sync must be 0 or more and finite, got -1"):
        sdfa(clipping={"sync": -1.0})  # as from a checkpoint


def test_the_voice_and_the_generator_have_to_agree() -> None:
    discriminators = (
        StillFrameDiscriminator(SIZE),
        SequenceDiscriminator(SIZE),
        SpeechLipsDiscriminator(SIZE),
    )
    with pytest.raises(InputError, match="voice_dim"):
        SDFAModule(SDFA(SIZE, 0.125), *discriminators, voice=VoiceEncoder(VOICE, 1 / 16))
    with pytest.raises(InputError, match="voice_dim"):
        SDFAModule(SDFA(SIZE, 0.125, voice_dim=VOICE), *discriminators)


@pytest.mark.parametrize("seconds", [1.5, 6.0])
def test_a_voice_encoder_that_was_trained_on_other_lengths_is_one_error(
    seconds: float, tmp_path: Path
) -> None:
    """No weight tells how much speech it hears."""
    module = sdfa(voice=True)
    assert module.voice is not None
    settings = {
        "voice": {"class_path": "s2v.models.voice_encoder.VoiceEncoder", "init_args": {"seconds": seconds}}
    }
    state = {f"voice.{key}": value for key, value in module.voice.state_dict().items()}
    torch.save({"state_dict": state, "hyper_parameters": settings}, tmp_path / "voice.ckpt")
    module = sdfa(voice=True, voice_checkpoint=str(tmp_path / "voice.ckpt"))
    run = trainer(tmp_path, max_steps=1, max_epochs=-1)
    if seconds == 1.5:
        run.fit(module, datamodule=SmallFaces(pictures=6))
    else:
        with pytest.raises(InputError, match=r"trained with voice\.init_args\.seconds=6, here it is 1\.5"):
            run.fit(module, datamodule=SmallFaces(pictures=6))


def test_another_size_than_the_datas_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="frames of 64 x 64 pixels, the data's are 32 x 32"):
        trainer(tmp_path, max_steps=1, max_epochs=-1).fit(sdfa(size=64), datamodule=SmallFaces())


def test_batches_of_one_voice_are_one_error(tmp_path: Path) -> None:
    run = trainer(tmp_path, max_steps=1, max_epochs=-1)
    with pytest.raises(InputError, match="batch_size is 1, but the generator normalises over the batch"):
        run.fit(sdfa(voice=True), datamodule=SmallFaces(batch_size=1))


def test_another_rate_than_sdfas_is_one_error(tmp_path: Path) -> None:
    data = SmallFaces()
    data.fps, data.cache_dir = 50.0, tmp_path
    with pytest.raises(
        InputError, match=r"stored at 50 frames a second.* at 25: prepare them anew, without --fps"
    ):
        trainer(tmp_path, max_steps=1, max_epochs=-1).fit(sdfa(), datamodule=data)


def test_published_weights_do_not_replace_trained_ones(tmp_path: Path) -> None:
    from tests.s2v.test_sdfa_weights import content

    torch.save(content(), tmp_path / "sdfa.dat")
    published = content()["generator"]["rnn_noise.weight_ih_l0"]
    module = sdfa(pretrained=str(tmp_path / "sdfa.dat"))
    module.generator = SDFA([32, 24], 0.125, speech_dim=12, code_dim=16)
    module.trainer = trainer(tmp_path)
    module.sizes_fit = True  # its discriminators are made for larger frames
    weight = module.generator.generator.rnn_noise.weight_ih_l0
    module.setup("fit")
    torch.testing.assert_close(weight.detach(), published)
    module.on_fit_start()
    with torch.no_grad():
        weight += 1  # a fit
    module.setup("test")
    assert module.weights_file is None  # a report must not take them for the published ones
    torch.testing.assert_close(weight.detach(), published + 1)
    module.has_weights = False
    module.on_load_checkpoint({})  # load_from_checkpoint, and then a test
    module.setup("test")
    torch.testing.assert_close(weight.detach(), published + 1)


def test_published_weights_are_tested_without_a_checkpoint(tmp_path: Path) -> None:
    from tests.s2v.test_sdfa_weights import content

    torch.save(content(), tmp_path / "sdfa.dat")
    module = sdfa()
    module.generator = SDFA([32, 24], 0.125, speech_dim=12, code_dim=16)
    module.pretrained = str(tmp_path / "sdfa.dat")
    module.trainer = trainer(tmp_path)
    module.setup("predict")
    assert module.weights_file == module.pretrained
    torch.testing.assert_close(
        module.generator.generator.rnn_noise.weight_ih_l0, content()["generator"]["rnn_noise.weight_ih_l0"]
    )


def test_square_data_are_cut_to_the_networks_proportions(tmp_path: Path) -> None:
    """32 x 24 of 32 x 32, as the published 128 x 96 of 128 x 128."""
    module = sdfa(size=[32, 24])
    frames = torch.arange(32.0).expand(1, 3, 32, 32)
    assert module.fitted(frames)[0, 0, 0].tolist() == list(range(4, 28))
    run = trainer(tmp_path, max_steps=1, max_epochs=-1)
    run.fit(module, datamodule=SmallFaces(pictures=5))
    tested = module.test_step(batch_of([draw_clip(0)]), 0)
    assert tested["generated"].shape == tested["real"].shape == (16, 3, 32, 24)


@pytest.mark.parametrize("voice", [False, True], ids=["SDFA", "S2F+SDFA"])
def test_a_whole_clip_in_test_and_predict(voice: bool, tmp_path: Path) -> None:
    module = sdfa(voice)
    run = trainer(tmp_path)
    made = run.predict(module, datamodule=SmallFaces(clips=2))
    assert made is not None and [clip["clip_id"] for clip in made] == ["clip0", "clip1"]
    batch = batch_of([draw_clip(1)])
    tested = module.test_step(batch, 0)
    assert tested["generated"].dtype == torch.uint8
    assert tested["generated"].shape == tested["real"].shape == (16, 3, SIZE, SIZE)
    torch.testing.assert_close(tested["generated"], made[1]["generated"])  # the same noise each time
    other = dict(batch, still=255 - batch["still"])
    same = torch.equal(module.test_step(other, 0)["generated"], tested["generated"])  # type: ignore[arg-type]
    assert same == voice  # a voice alone asks for no picture


def test_validation_logs_the_difference_of_whole_frames(tmp_path: Path) -> None:
    """Not eq. 8 of the configured region, whose name is train/loss/similarity."""
    seen: list[dict[str, Tensor]] = []

    class Kept(SDFAModule):
        def validation_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
            seen.append(super().validation_step(batch, batch_idx))
            return seen[-1]

    module = sdfa(similarity_region="lower")
    module.__class__ = Kept
    data = SmallFaces(clips=2, batch_size=2)
    (logged,) = trainer(tmp_path, limit_val_batches=None).validate(module, datamodule=data, verbose=False)
    difference = (seen[0]["fake_frames"] - seen[0]["real_frames"]).abs().mean().item()
    assert set(logged) == {"val/l1"}
    assert logged["val/l1"] == pytest.approx(difference)


@pytest.mark.slow
def test_it_overfits_a_few_clips(tmp_path: Path) -> None:
    rates = SDFALearningRates(generator=2e-3, frame=1e-4, sequence=1e-4, sync=1e-4)
    logged = Losses("train/loss/similarity")
    run = trainer(tmp_path, logged, max_steps=60, max_epochs=-1)
    run.fit(sdfa(learning_rates=rates), datamodule=SmallFaces(pictures=6))
    assert sum(logged.values[-5:]) / 5 < 0.4 * logged.values[0]
