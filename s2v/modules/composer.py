"""Stage 2: an adversarial composer turns what speech tells into talking-face frames (paper, section 2.2)."""

from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from data_modules.speech_augmentation import SpeechAugmentation
from s2v.batch import FPS, TalkingFaceBatch
from s2v.face_regions import RowRegion
from s2v.losses.adversarial import AdversarialLossName, adversarial_loss_named
from s2v.losses.frame_similarity import frame_similarity_loss
from s2v.models.frame_decoder import Speech2VideoGenerator
from s2v.models.speech_representation import SpeechRepresentation
from s2v.modules.adversarial import normalise, weighted_sum
from s2v.modules.checkpoint_part import load_part, read_checkpoint
from s2v.modules.clip_tensors import ClipTensors, check_not_mirrored
from s2v.modules.composer_checks import (
    check_batch_size,
    check_encoder,
    check_frame_rate,
    check_frame_size,
    check_heads,
    check_identity,
    check_matching,
    check_speakers,
    load_feature_network,
    warn_of_another_stage1,
)
from s2v.modules.composer_losses import ComposerLosses, LossWeights
from s2v.modules.consent_mark import mark_unasked
from s2v.modules.context_cache import (
    check_heard_as_it_is,
    filled_context_cache,
    for_frames,
    heard_frames,
)
from s2v.modules.context_exchange import checked_exchange, exchanged, with_real_mouths
from s2v.modules.frame_augmentation import FrameAugmentation
from s2v.modules.frozen import FrozenNetworks
from s2v.modules.hyperparameters import from_plain
from s2v.modules.identity_mixup import checked_mixing, mixup
from s2v.modules.map_cache import filled_map_cache, kept_maps
from s2v.modules.number_check import check_at_least_one, check_not_negative
from s2v.modules.optimizer_check import check_optimizer, check_schedulers
from s2v.modules.size_check import check_composer_sizes, frames_to_try
from s2v.speech.own_encoder import check_clips_follow, is_own_encoder
from s2v.weight_files.weight_source import content_of_source


@dataclass
class GradientClipping:
    """Largest gradient norm of each optimizer; None leaves it alone."""

    generator: float | None = None
    identity: float | None = None
    frame: float | None = None
    sync: float | None = None


class ComposerModule(ComposerLosses):
    """Train frame decoder and identity branch against D_ID, D_fr and D_sync by manual optimisation (eqs. 4 to 10).

    A step generates once; the discriminators' losses share one backward pass on the detached frames, the generator
    takes a second one. Only the generator's optimizer counts towards `trainer.global_step`, so max_steps,
    every_n_train_steps and logging mean generator steps.

    Args:
        representation: stage 1's networks, frozen here; they travel inside this module's checkpoint.
        generator: frame decoder and identity branch.
        identity_discriminator: D_ID: any network from maps (B, C, h, w) of conv5_3, conv4_3 and conv3_3, in a list, to
            scores of any shape, with `normalise_real(maps)`, which makes of a face network's maps such as the
            generator inflates (`IdentityDiscriminator`'s divides them by their scale).
        frame_discriminator: D_fr: any network from frames (N, 3, S, S) in [-1, 1] to scores of any shape; for
            `weights.matching` with `feature_maps(frames)`, a list of maps (N, C, h, w). With `score_maps(maps)`, which
            scores what `feature_maps` gives, made frames pass through it once instead of twice.
        sync_discriminator: D_sync: any network from contexts (B, T, D) and frames (B, T, 3, S, S) in [-1, 1], paired,
            to scores (B, T). With `embed_frames(frames)`, (B, T, ...), and `score_pairs(contexts, embedded)`, which
            together are `forward`, real frames pass through it once instead of three times.
        stage1_checkpoint: checkpoint of the DistillModule fit; read at the start of a fit.
        feature_network: what `load_face_network` takes; its conv maps of the still face are D_ID's real input.
        window_frames: length of the training windows in frames; generation reads omega at the same length.
        weights: of the loss terms.
        adversarial_loss: both players' in eqs. 4 to 6, least squares in the paper.
        similarity_region: rows of eq. 8; the paper's is `lower`.
        similarity_reduction: `mean`, or `sum` as printed.
        gradient_sigma: width in pixels of eq. 9's smoothing filter; 0 leaves it out.
        generator_lr: learning rate of the generator's RMSprop.
        identity_lr: of D_ID's.
        frame_lr: of D_fr's.
        sync_lr: of D_sync's, the paper's "naturalness discriminator".
        identity_mixing: mixup: how far, at most, a training step moves each nu towards that of another clip of the
            batch, while the frames to draw stay: 0 as in the paper; 0.3 where a speaker is heard for seconds only,
            whose next sentence then lies far from all that was trained on, and would be drawn as a mixture of people.
        context_exchange: share of a training step's clips that are drawn on another clip's contexts, while all but the
            mouth, which is then the real frame's, is compared as ever: 0 as in the paper. Where a speaker is heard for
            seconds only, eyes and heads follow sounds learnt by heart, and fall apart in the next sentence; but then
            mouths follow them less too.
        voice_augmentation: changes the speech that a training step reads nu and mu from, while contexts hear it as it
            is. The data module's changes it for all: then a context says less of the mouth, which opens less.
        frame_augmentation: changes every frame, real or made, before D_fr judges it, for a small corpus; D_sync's and
            those of feature matching stay as they are.
        clipping: gradient norms' limits.
        accumulate_grad_batches: batches a step.
        optimizer: makes each of the four, at the rates above; RMSprop where none is given, as the paper has it.
        scheduler: makes a learning-rate scheduler for each of them.
        scheduler_interval: when the schedulers step.
        initial_checkpoint: another run's, whose generator and discriminators a fit begins with, unless it goes on from
            a checkpoint; optimizers and counters begin anew, stage 1 comes from `stage1_checkpoint`, and what a
            `PoseCode` remembers of the other's speakers is left behind.
        context_cache: folder for what stage 1's networks say of each window that there is, computed once, before the
            first step, and read from then on; with `voice_augmentation` nu and mu are computed all the same in
            training. For speech that the data module does not change at random.
        map_cache: folder for the face network's maps of the still faces, likewise. For windows that are not mirrored.
    """

    optimizer_names = ("generator", "identity", "frame", "sync")
    fps = FPS

    def __init__(
        self,
        representation: SpeechRepresentation,
        generator: Speech2VideoGenerator,
        identity_discriminator: nn.Module,
        frame_discriminator: nn.Module,
        sync_discriminator: nn.Module,
        stage1_checkpoint: str | None = None,
        feature_network: str | None = None,
        window_frames: int = 40,
        weights: LossWeights = LossWeights(),  # noqa: B008 (jsonargparse reads the default; it is never changed)
        adversarial_loss: AdversarialLossName = "least_squares",
        similarity_region: RowRegion = "lower",
        similarity_reduction: Literal["mean", "sum"] = "mean",
        gradient_sigma: float = 1.0,
        generator_lr: float = 3e-4,
        identity_lr: float = 3e-4,
        frame_lr: float = 1e-4,
        sync_lr: float = 1e-5,
        identity_mixing: float = 0.0,
        context_exchange: float = 0.0,
        voice_augmentation: SpeechAugmentation | None = None,
        frame_augmentation: FrameAugmentation | None = None,
        clipping: GradientClipping = GradientClipping(),  # noqa: B008
        accumulate_grad_batches: int = 1,
        optimizer: OptimizerCallable | None = None,
        scheduler: LRSchedulerCallable | None = None,
        scheduler_interval: Literal["step", "epoch"] = "epoch",
        initial_checkpoint: str | None = None,
        context_cache: str | None = None,
        map_cache: str | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.representation = representation.requires_grad_(False)
        self.generator = generator
        self.discriminators = nn.ModuleDict(
            {"identity": identity_discriminator, "frame": frame_discriminator, "sync": sync_discriminator}
        )
        self.feature_networks = FrozenNetworks()
        self.stage1_checkpoint = stage1_checkpoint
        self.feature_network = feature_network
        self.initial_checkpoint = initial_checkpoint
        self._initial_weights: dict[str, Tensor] = {}
        self.context_cache = context_cache
        self._hearing: ClipTensors | None = None
        self.map_cache = map_cache
        self._maps: ClipTensors | None = None
        self.window_frames = window_frames
        self.weights: LossWeights = from_plain(LossWeights, weights)
        check_identity(self.weights, identity_discriminator)
        check_matching(self.weights, frame_discriminator)
        self.adversarial = adversarial_loss_named(adversarial_loss)
        self.similarity_region: RowRegion = similarity_region
        self.similarity_reduction: Literal["mean", "sum"] = similarity_reduction
        self.gradient_sigma = gradient_sigma
        self.learning_rates = {
            "generator": generator_lr,
            "identity": identity_lr,
            "frame": frame_lr,
            "sync": sync_lr,
        }
        # they are set past the optimizers' own check
        check_not_negative({f"{name}_lr": rate for name, rate in self.learning_rates.items()})
        check_not_negative(vars(self.weights), "weights.")
        check_not_negative({"gradient_sigma": gradient_sigma})
        self.identity_mixing = checked_mixing(identity_mixing)
        self.context_exchange = checked_exchange(context_exchange)
        self.voice_augmentation: SpeechAugmentation | None = from_plain(
            SpeechAugmentation, voice_augmentation
        )
        self.frame_augmentation: FrameAugmentation | None = from_plain(FrameAugmentation, frame_augmentation)
        self.clipping: GradientClipping = from_plain(GradientClipping, clipping)
        check_not_negative(vars(self.clipping), "clipping.")
        check_at_least_one(
            {"accumulate_grad_batches": accumulate_grad_batches, "window_frames": window_frames}
        )
        self.accumulate_grad_batches = accumulate_grad_batches
        self.optimizer = optimizer or torch.optim.RMSprop
        self.scheduler = scheduler
        self.scheduler_interval = scheduler_interval
        self.train()  # Lightning leaves a module in the modes it comes in

    @property
    def image_size(self) -> int:
        """Height and width of the frames, pixels."""
        return self.generator.image_size

    @property
    def _looks_at_faces(self) -> bool:
        return bool(self.weights.identity or self.weights.perceptual)

    def weight_sources(self, stage: str, resuming: bool) -> dict[str, str | None]:
        """What will be read, for `s2v.training.early_check`."""
        if stage != "fit":
            return {}
        return {
            "stage 1": None if resuming else self.stage1_checkpoint,
            "initial checkpoint": None if resuming else self.initial_checkpoint,
            "D_ID's face network": self.feature_network if self._looks_at_faces else None,
        }

    def untrained(self) -> str:
        """What will be used with random weights, for `s2v.training.early_check`; empty where nothing is."""
        if self.stage1_checkpoint or self.initial_checkpoint or is_own_encoder(self.representation.cpc):
            return ""
        return (
            "stage1_checkpoint is not set: frames are made from speech networks of random weights, which stay"
        )

    def setup(self, stage: str) -> None:
        """Check the data's frames; at the start of a fit lay out the generator, take the face network behind D_ID.

        Raises:
            InputError: the frames are of another size or rate, the network is missing or does not fit.
        """
        self.check_data(stage, getattr(self.trainer, "datamodule", None))
        if stage != "fit":
            return
        # what tensor cores work in; two threads of a CPU would take a fifth longer. Before DistributedDataParallel
        # wraps it, whose buckets take the layout that they find, and which would copy gradients of another each step
        if self.trainer.strategy.root_device.type == "cuda":
            self.generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self._looks_at_faces and "face" not in self.feature_networks:
            self.feature_networks["face"] = load_feature_network(
                self.feature_network, self.generator, compared=bool(self.weights.identity)
            )

    def check_data(self, stage: str, data: Any) -> None:
        """The data's frames must be of the generated ones' size and rate, and what is to be cached must not change.

        `s2v.training.early_check` asks before loggers begin.

        Raises:
            InputError: they are not, or it does.
        """
        if stage != "predict":
            check_frame_size((self.image_size, self.image_size), data)
            check_frame_rate(data)
        if stage == "fit":
            networks = (self.representation, self.generator, self.discriminators)
            frames = frames_to_try(data)
            self.try_out_once(ComposerModule, lambda: check_composer_sizes(*networks, self.weights, frames))
        if stage == "fit" and self.context_cache:
            check_heard_as_it_is(data)
        if stage == "fit" and self.map_cache and self.weights.identity:
            check_not_mirrored(data, "map_cache", "maps")

    def on_fit_start(self) -> None:
        """Take stage 1's weights, unless a checkpoint or an earlier fit has brought them."""
        check_batch_size(self.generator, self.trainer)
        if self.stage1_checkpoint and not self.has_weights:
            checkpoint = read_checkpoint(self.stage1_checkpoint, "stage 1")
            state = checkpoint["state_dict"]
            load_part(self.representation, state, "representation.", self.stage1_checkpoint, "stage 1")
            trained_with = checkpoint.get("hyper_parameters")
            check_heads(self.representation, trained_with, self.stage1_checkpoint)
            check_encoder(self.representation.cpc, trained_with, self.stage1_checkpoint)
            mark_unasked(self.representation, checkpoint)
        self.has_weights = True
        check_clips_follow(self.representation)
        if self.context_cache:
            networks: dict[str, nn.Module] = {"representation": self.representation}
            self._hearing = filled_context_cache(
                self.context_cache, self.trainer, self.representation, networks, for_frames, self.device
            )
        if self.map_cache and self.weights.identity:
            source = content_of_source(self.feature_network) if self.feature_network else ""
            self._maps = filled_map_cache(
                self.map_cache, self.trainer, self.face_network, source, self.device
            )

    def on_fit_end(self) -> None:
        """What is cached is of this fit's clips and windows."""
        self._hearing = self._maps = None

    def on_train_start(self) -> None:
        """Compare the initial weights' stage 1 with this one, and let them go."""
        initial, self._initial_weights = self._initial_weights, {}
        if initial:
            warn_of_another_stage1(
                self.representation, initial, self.initial_checkpoint, self.stage1_checkpoint
            )

    def train(self, mode: bool = True) -> "ComposerModule":
        """Stage 1 stays in eval mode."""
        super().train(mode)
        self.representation.eval()
        return self

    def forward(self, speech: Tensor, frame_times: Tensor) -> Tensor:
        """Speech (B, N) and times (B, T) in seconds -> frames (B, T, 3, S, S) in [-1, 1]."""
        return self.generator(*self.representation(speech, frame_times))[0]

    def training_step(self, batch: TalkingFaceBatch, batch_idx: int) -> dict[str, Any]:
        """One generator step and one step of each discriminator."""
        self._count_only_generator_steps()
        real = normalise(batch["frames"])
        with torch.no_grad():
            heard = self.voice_augmentation(batch["speech"]) if self.voice_augmentation else None
            contexts, nu, mu = self._hear(batch, heard)
            face_maps = self._look_at_stills(batch) if self.weights.identity else []
        pose = self._pose_codes(real, nu, batch["speaker"])
        drawn_on, foreign = exchanged(contexts, self.context_exchange)
        fake, inflated = self.generator(drawn_on, mixup(nu, self.identity_mixing), mu, pose)
        if foreign is not None:
            fake = with_real_mouths(fake, real, foreign)

        seen = self.seen_by_sync(real)
        real_scores = self.score_real(face_maps, real, contexts, seen)
        fake_scores = self.score_fake([m.detach() for m in inflated], fake.detach(), drawn_on, seen)
        d_losses = self._discriminator_losses(real_scores, fake_scores)
        self._step_discriminators(d_losses)

        with self.toggled_optimizer(self._optimizers["generator"]):
            # the own contexts: beside a real mouth, D_sync could be pleased by foreign ones through the rest alone
            terms = self.generator_losses(inflated, fake, real, contexts)
            total = weighted_sum(terms, self.weights)
            self._step_generator(total)
        self._step_schedulers()
        self._share_statistics(self.generator, self.discriminators)

        losses = {f"d_{name}": loss for name, loss in d_losses.items()} | terms | {"generator": total}
        return self._log_and_collect(losses, real_scores, fake_scores, fake, real)

    def _hear(self, batch: TalkingFaceBatch, voice: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """C (B, T, D), nu (B, I), mu (B, E) of a batch; nu and mu of other speech (B, N) where it is given."""
        kept = heard_frames(self._hearing, batch, self.fps) if self._hearing else None
        if kept is None:
            return self.representation(batch["speech"], batch["frame_times"], voice)
        return kept if voice is None else (kept[0], *self.representation.person(voice))

    def _look_at_stills(self, batch: TalkingFaceBatch) -> list[Tensor]:
        """The face network's maps of the still faces, smallest first."""
        kept = kept_maps(self._maps, batch["clip_id"], batch["still"].device) if self._maps else None
        return self.face_network.feature_maps(batch["still"]) if kept is None else kept

    def _pose_codes(self, real: Tensor, nu: Tensor, speaker: Tensor) -> Tensor | None:
        """The codes (B, T, P) of the real frames, if the generator has a `PoseCode`."""
        code = self.generator.pose
        if code is None:
            return None
        check_speakers(speaker, len(code.seen))
        return code(real, nu, speaker, self._of_all_processes)

    def _of_all_processes(self, values: Tensor) -> Tensor:
        """(B, ...) -> (N, ...), in the order of the ranks."""
        if self.trainer.world_size == 1:
            return values
        return cast(Tensor, self.all_gather(values)).flatten(0, 1)

    def validation_step(self, batch: TalkingFaceBatch, batch_idx: int) -> dict[str, Tensor]:
        """Generate the window's frames; callbacks measure them."""
        real = normalise(batch["frames"])
        fake = self.generator(*self._hear(batch))[0]
        difference = frame_similarity_loss(fake, real, "full")  # whatever train/loss/similarity compares
        self.log("val/l1", difference, prog_bar=True, batch_size=len(real))
        return {"fake_frames": fake, "real_frames": real}

    def generate_clip(self, speech: Tensor, num_frames: int | None = None) -> Tensor:
        """Speech (N,) of any length -> (num_frames, 3, S, S) uint8, made as `s2v export` makes it.

        Args:
            speech: float in [-1, 1], 16 kHz.
            num_frames: longer speech is cut, shorter is followed by silence; None: as many as export makes of it.
        """
        from s2v.generation.streaming import generate_clip

        return generate_clip(
            self.representation, self.generator, speech, num_frames, self.window_frames, self.fps
        )

    def test_step(self, batch: TalkingFaceBatch, batch_idx: int) -> dict[str, Tensor]:
        """One whole clip: generated and real frames, (T, 3, S, S) uint8."""
        real = batch["frames"][0]
        return {"generated": self.generate_clip(batch["speech"][0], len(real)), "real": real}

    def predict_step(self, batch: TalkingFaceBatch, batch_idx: int) -> dict[str, Any]:
        """One whole clip from its speech: {clip_id, generated (T, 3, S, S) uint8}."""
        frames = self.generate_clip(batch["speech"][0], batch["frames"].shape[1])
        return {"clip_id": batch["clip_id"][0], "generated": frames}

    def configure_optimizers(self) -> Any:
        """An optimizer for each network, RMSprop in the paper (section 3.1), in the order of `optimizer_names`."""
        self._initial_weights = self.take_initial_weights()
        networks: list[nn.Module] = [self.generator, *self.discriminators.values()]
        optimizers = [self.optimizer(network.parameters()) for network in networks]
        check_optimizer(optimizers[0], "generator_lr, identity_lr, frame_lr and sync_lr")
        for name, optimizer in zip(self.optimizer_names, optimizers, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rates[name]
        if self.scheduler is None:
            return optimizers
        schedulers = [self.scheduler(optimizer) for optimizer in optimizers]
        epochs = self.trainer.max_epochs if self.scheduler_interval == "epoch" else None
        check_schedulers(schedulers, self.learning_rates, epochs)
        return optimizers, schedulers
