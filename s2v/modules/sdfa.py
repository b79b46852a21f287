"""The baselines: SDFA from a still picture, and S2F+SDFA from the voice alone, trained as SDFA's papers say."""

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from s2v.batch import FPS, TalkingFaceBatch
from s2v.errors import InputError
from s2v.face_regions import RowRegion
from s2v.losses.adversarial import AdversarialLossName, adversarial_loss_named
from s2v.losses.frame_similarity import frame_similarity_loss
from s2v.models.sdfa import SDFA
from s2v.models.sdfa_discriminators import snippet
from s2v.models.voice_encoder import VoiceEncoder
from s2v.modules.adversarial import AdversarialModule, normalise, weighted_sum
from s2v.modules.checkpoint_part import load_part, read_checkpoint
from s2v.modules.composer_checks import check_batch_size, check_frame_rate, check_frame_size, check_seconds
from s2v.modules.consent_mark import mark_unasked
from s2v.modules.hyperparameters import from_plain
from s2v.modules.number_check import check_at_least_one, check_not_negative
from s2v.modules.size_check import check_sdfa_sizes, frames_to_try
from s2v.modules.speech_pairs import SpeechPairs, check_consecutive, draw_pairs, frame_numbers


@dataclass
class SDFALossWeights:
    """SDFA's weights of its terms; 0 leaves a term out. The keys are the logged names."""

    frame: float = 1.0
    sequence: float = 0.2
    sync: float = 0.8
    similarity: float = 600.0


@dataclass
class SDFALearningRates:
    """Adam's, as published: the generator's and the frame discriminator's may decay, the two others stay."""

    generator: float = 1e-4
    frame: float = 1e-3
    sequence: float = 5e-5
    sync: float = 5e-5


@dataclass
class SDFAGradientClipping:
    """Largest gradient norm of each optimizer; None, as published, leaves it alone."""

    generator: float | None = None
    frame: float | None = None
    sequence: float | None = None
    sync: float | None = None


DECAYING = ("generator", "frame")

NOT_WARPED = (
    "their authors' code warps each still by the landmarks of eyes and nose to its mean_face, which is not done here: "
    "unfair to them unless the data's crops put faces there"
)
"""What a report says of published weights."""


class SDFAModule(AdversarialModule):
    """Train SDFA's generator against three discriminators (Vougioukas et al. 2018, IJCV 2020).

    With a `voice` this is the paper's S2F+SDFA: a frozen Speech2Face encoder's vector takes the place of the
    picture's code, and nothing is skipped from picture to frame. Trained alike in everything else.

    Args:
        generator: SDFA; with `voice_dim` where there is a `voice`.
        frame_discriminator: sees a frame beside the still: any network from frames (B, T, 3, H, W) and stills
            (B, 3, H, W), in [-1, 1], to logits of any shape.
        sequence_discriminator: sees the frames in order: likewise, from frames (B, T, 3, H, W).
        sync_discriminator: sees 0.2 s of speech and five frames: likewise, from speech (B, 10000) and frames
            (B, 5, 3, H, W) to logits (B,).
        voice: S2F's encoder, frozen here; it travels inside this module's checkpoint.
        voice_checkpoint: of a VoiceEncoderModule fit; read at the start of a fit.
        pretrained: published SDFA weights, for a fit or a test without a checkpoint.
        weights: of the loss terms.
        learning_rates: of the four Adams.
        adversarial_loss: both players'; published with the first GAN's, on logits.
        betas: of the four Adams; unpublished, DCGAN's here.
        decay_after: the last epoch, counted from 0, at the full learning rates; with 20, as published, 21 epochs have
            them. Epochs are the data module's: one window of `num_frames` frames a clip, of CREMA-D 55 minutes in 325
            steps of 16 clips. A published one was a pass over a corpus such as GRID, 27 hours in all. So
            experiments/baselines/sdfa.yaml has a `decay` of 1.
        decay: factor on the decaying learning rates each epoch after that, 0.9 as published; 1: they stay.
        similarity_region: rows of the L1 term; SDFA's is the mouth half.
        clipping: gradient norms' limits.
        accumulate_grad_batches: batches a step.
        initial_checkpoint: another run's, whose generator and discriminators a fit begins with, unless it goes on from
            a checkpoint; optimizers and counters begin anew.
    """

    optimizer_names = ("generator", "frame", "sequence", "sync")
    rate_option = "model.init_args.learning_rates.{}"
    fps = FPS

    def __init__(
        self,
        generator: SDFA,
        frame_discriminator: nn.Module,
        sequence_discriminator: nn.Module,
        sync_discriminator: nn.Module,
        voice: VoiceEncoder | None = None,
        voice_checkpoint: str | None = None,
        pretrained: str | None = None,
        weights: SDFALossWeights = SDFALossWeights(),  # noqa: B008 (as in ComposerModule)
        learning_rates: SDFALearningRates = SDFALearningRates(),  # noqa: B008
        adversarial_loss: AdversarialLossName = "log_likelihood",
        betas: tuple[float, float] = (0.5, 0.999),
        decay_after: int = 20,
        decay: float = 0.9,
        similarity_region: RowRegion = "lower",
        clipping: SDFAGradientClipping = SDFAGradientClipping(),  # noqa: B008
        accumulate_grad_batches: int = 1,
        initial_checkpoint: str | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        if generator.voice_dim != (None if voice is None else voice.out_dim):
            raise InputError(
                f"the voice's vector has {voice.out_dim if voice else 'no'} values, the generator's voice_dim is "
                f"{generator.voice_dim}: give model.init_args.voice and generator.init_args.voice_dim, or neither"
            )
        self.generator = generator
        self.discriminators = nn.ModuleDict(
            {"frame": frame_discriminator, "sequence": sequence_discriminator, "sync": sync_discriminator}
        )
        self.voice = None if voice is None else voice.requires_grad_(False)
        self.system_name = "SDFA" if voice is None else "S2F+SDFA"  # in a test's report
        self.voice_checkpoint = voice_checkpoint
        self.pretrained = pretrained
        self.initial_checkpoint = initial_checkpoint
        self.weights_file: str | None = None  # tested as it is, in a checkpoint's place: a report names it
        self.weights_note = NOT_WARPED  # likewise
        self.weights: SDFALossWeights = from_plain(SDFALossWeights, weights)
        rates = from_plain(SDFALearningRates, learning_rates)
        self.learning_rates = {name: getattr(rates, name) for name in self.optimizer_names}
        check_not_negative(self.learning_rates, "learning_rates.")
        check_not_negative(vars(self.weights), "weights.")
        self.clipping: SDFAGradientClipping = from_plain(SDFAGradientClipping, clipping)
        check_not_negative(vars(self.clipping), "clipping.")
        check_at_least_one({"accumulate_grad_batches": accumulate_grad_batches})
        check_not_negative({"decay": decay, "decay_after": decay_after})
        self.adversarial = adversarial_loss_named(adversarial_loss)
        self.betas = (betas[0], betas[1])
        self.decay_after = decay_after
        self.decay = decay
        self.similarity_region: RowRegion = similarity_region
        self.accumulate_grad_batches = accumulate_grad_batches
        self.train()

    @property
    def needs_still(self) -> bool:
        """Whether it takes a picture of the speaker, beside the speech."""
        return self.voice is None

    def weight_sources(self, stage: str, resuming: bool) -> dict[str, str | None]:
        """What will be read, for `s2v.training.early_check`."""
        if resuming:
            return {}
        voice = self.voice_checkpoint if stage == "fit" and self.voice is not None else None
        initial = self.initial_checkpoint if stage == "fit" else None
        return {"voice encoder": voice, "published SDFA": self.pretrained, "initial checkpoint": initial}

    def setup(self, stage: str) -> None:
        """Check the data's frames; take published weights where a test has no checkpoint.

        Raises:
            InputError: the frames are of another size or rate, or the weights do not fit.
        """
        self.check_data(stage, getattr(self.trainer, "datamodule", None))
        if self.pretrained and not self.has_weights and not self.trainer.ckpt_path:
            from s2v.weights import load_sdfa

            state = {f"sdfa.{key}": value for key, value in load_sdfa(self.pretrained).state_dict().items()}
            load_part(self.generator, state, "sdfa.", self.pretrained, "published SDFA")
            self.weights_file = self.pretrained
        if stage == "fit":
            self.weights_file = None

    def check_data(self, stage: str, data: Any) -> None:
        """The data's frames must be of the generated ones' size and rate.

        `s2v.training.early_check` asks before loggers begin.

        Raises:
            InputError: they are not.
        """
        if stage != "predict":
            side = max(self.generator.frame_size)  # data are square, and cut to the network's proportions
            check_frame_size((side, side), data)
            check_frame_rate(data)
        if stage == "fit":
            networks = (self.generator, self.discriminators, self.voice)
            frames = frames_to_try(data, least=5)
            self.try_out_once(SDFAModule, lambda: check_sdfa_sizes(*networks, self.weights, frames))

    def on_fit_start(self) -> None:
        """Take the voice encoder's weights, unless a checkpoint or an earlier fit has brought them."""
        if self.voice is not None:
            check_batch_size(self.generator, self.trainer)
            if self.voice_checkpoint and not self.has_weights:
                checkpoint = read_checkpoint(self.voice_checkpoint, "voice encoder")
                load_part(
                    self.voice, checkpoint["state_dict"], "voice.", self.voice_checkpoint, "voice encoder"
                )
                check_seconds(self.voice, checkpoint.get("hyper_parameters"), self.voice_checkpoint)
                mark_unasked(self.voice, checkpoint)
        self.has_weights = True

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """A checkpoint's weights are none that a report can name a file of."""
        super().on_load_checkpoint(checkpoint)
        self.weights_file = None

    def train(self, mode: bool = True) -> "SDFAModule":
        """The voice encoder stays in eval mode."""
        super().train(mode)
        if self.voice is not None:
            self.voice.eval()
        return self

    def fitted(self, frames: Tensor) -> Tensor:
        """The middle of square frames (..., S, S) that has the network's proportions, such as 128 x 96 of 128 x 128."""
        height, width = self.generator.frame_size
        top, left = (frames.shape[-2] - height) // 2, (frames.shape[-1] - width) // 2
        return frames[..., top : top + height, left : left + width]

    def who(self, batch: TalkingFaceBatch) -> Tensor:
        """What tells the generator who is to speak: the stills in [-1, 1], or the voices' vectors."""
        if self.voice is None:
            return normalise(self.fitted(batch["still"]))
        with torch.no_grad():
            return self.voice(batch["speech"])

    def training_step(self, batch: TalkingFaceBatch, batch_idx: int) -> dict[str, Any]:
        """One generator step and one step of each discriminator."""
        self._count_only_generator_steps()
        numbers = frame_numbers(batch["frame_times"])
        if self.weights.sync:
            check_consecutive(numbers)
        real, still = (normalise(self.fitted(pictures)) for pictures in (batch["frames"], batch["still"]))
        fake = self.generator(batch["speech"], self.who(batch), numbers)
        pairs = draw_pairs(batch["speech"], numbers) if self.weights.sync else None

        real_scores = self.score(real, still, pairs)
        fake_scores = self.score(fake.detach(), still, pairs)
        if pairs is not None:
            # speech of another instant under real lips: half of what is false, generated lips the other half
            wrong = self.discriminators["sync"](pairs.other_speech, snippet(real, pairs.start))
            fake_scores["sync"] = torch.stack([wrong, fake_scores["sync"]])
        d_losses = self._discriminator_losses(real_scores, fake_scores)
        self._step_discriminators(d_losses)

        with self.toggled_optimizer(self._optimizers["generator"]):
            terms = self.generator_losses(fake, real, still, pairs)
            total = weighted_sum(terms, self.weights)
            self._step_generator(total)
        self._step_schedulers()
        self._share_statistics(self.generator, self.discriminators)

        losses = {f"d_{name}": loss for name, loss in d_losses.items()} | terms | {"generator": total}
        return self._log_and_collect(losses, real_scores, fake_scores, fake, real)

    def score(self, frames: Tensor, still: Tensor, pairs: SpeechPairs | None) -> dict[str, Tensor]:
        """Logits of frames (B, T, 3, H, W) by each discriminator whose loss has a weight."""
        d, scores = self.discriminators, {}
        if self.weights.frame:
            scores["frame"] = d["frame"](frames, still)
        if self.weights.sequence:
            scores["sequence"] = d["sequence"](frames)
        if pairs is not None:
            scores["sync"] = d["sync"](pairs.speech, snippet(frames, pairs.start))
        return scores

    def generator_losses(
        self, fake: Tensor, real: Tensor, still: Tensor, pairs: SpeechPairs | None
    ) -> dict[str, Tensor]:
        """The generator's terms, unweighted scalars, keyed as `SDFALossWeights`.

        A subclass may add its own, under other names and scaled as it wants them: they count as they are.

        Args:
            fake: the generated frames (B, T, 3, H, W) in [-1, 1].
            real: the clip's, likewise.
            still: (B, 3, H, W) in [-1, 1].
            pairs: what the sync discriminator hears, if it takes part.
        """
        terms = {
            name: self.adversarial.generator(scores)
            for name, scores in self.score(fake, still, pairs).items()
        }
        if self.weights.similarity:
            terms["similarity"] = frame_similarity_loss(fake, real, self.similarity_region)
        return terms

    def validation_step(self, batch: TalkingFaceBatch, batch_idx: int) -> dict[str, Tensor]:
        """Generate the window's frames; callbacks measure them."""
        real = normalise(self.fitted(batch["frames"]))
        fake = self.generator(batch["speech"], self.who(batch), frame_numbers(batch["frame_times"]))
        difference = frame_similarity_loss(fake, real, "full")  # whatever train/loss/similarity compares
        self.log("val/l1", difference, prog_bar=True, batch_size=len(real))
        return {"fake_frames": fake, "real_frames": real}

    def generate_clip(
        self, speech: Tensor, num_frames: int | None = None, still: Tensor | None = None
    ) -> Tensor:
        """Speech (N,) and a square still (3, S, S) uint8 -> (num_frames, 3, H, W) uint8, as `s2v export` makes it."""
        from s2v.generation.sdfa_stream import generate_sdfa_clip

        picture = None if still is None else self.fitted(still)
        return generate_sdfa_clip(self.generator, speech, num_frames, picture, self.voice)

    def _generate_first(self, batch: TalkingFaceBatch) -> Tensor:
        still = batch["still"][0] if self.needs_still else None
        return self.generate_clip(batch["speech"][0], batch["frames"].shape[1], still)

    def test_step(self, batch: TalkingFaceBatch, batch_idx: int) -> dict[str, Tensor]:
        """One whole clip: generated and real frames, (T, 3, H, W) uint8."""
        return {"generated": self._generate_first(batch), "real": self.fitted(batch["frames"][0])}

    def predict_step(self, batch: TalkingFaceBatch, batch_idx: int) -> dict[str, Any]:
        """One whole clip: {clip_id, generated (T, 3, H, W) uint8}."""
        return {"clip_id": batch["clip_id"][0], "generated": self._generate_first(batch)}

    def configure_optimizers(self) -> Any:
        """Four Adams, in the order of `optimizer_names`, two of them with a decay."""
        self.take_initial_weights()
        networks: list[nn.Module] = [self.generator, *self.discriminators.values()]
        optimizers = [
            torch.optim.Adam(network.parameters(), lr=self.learning_rates[name], betas=self.betas)
            for name, network in zip(self.optimizer_names, networks, strict=True)
        ]
        schedulers = [
            torch.optim.lr_scheduler.LambdaLR(optimizer, self.decayed)
            for name, optimizer in zip(self.optimizer_names, optimizers, strict=True)
            if name in DECAYING
        ]
        return cast(list[Any], optimizers), schedulers

    def decayed(self, epoch: int) -> float:
        """Factor on the decaying learning rates in an epoch, counted from 0."""
        return self.decay ** max(0, epoch - self.decay_after)
