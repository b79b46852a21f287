"""Stage 1: identity and emotion distilled from the face in the video into the speech (paper, section 2.1)."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.optim import RMSprop

from data_modules.evenly_spaced import evenly_spaced
from s2v.batch import FPS, SAMPLE_RATE, TalkingFaceBatch
from s2v.errors import InputError
from s2v.losses.distillation import normalised_distance, soft_cross_entropy
from s2v.models.cpc_prediction import FuturePrediction
from s2v.models.speech_encoder import SpeechEncoder
from s2v.models.speech_representation import SpeechRepresentation
from s2v.models.windowed_speech_encoder import WindowedSpeechEncoder
from s2v.modules.checkpoint_part import begin_with, load_part
from s2v.modules.clip_tensors import ClipTensors, check_not_mirrored
from s2v.modules.context_cache import (
    check_heard_as_it_is,
    filled_context_cache,
    for_students,
    heard_by_students,
)
from s2v.modules.face_source import load_face_network
from s2v.modules.frozen import FrozenNetworks
from s2v.modules.identity_retrieval import RetrievesIdentity
from s2v.modules.number_check import check_at_least_one, check_not_negative, check_positive
from s2v.modules.one_cycle import with_one_cycle
from s2v.modules.optimizer_check import check_optimizer
from s2v.modules.speech_weights import load_cpc_weights, load_speaker_weights
from s2v.modules.teacher_cache import TeacherCache, filled_teacher_cache, kept_features, teacher_output
from s2v.speech.own_encoder import check_clips_follow, is_own_encoder
from s2v.speech.portrait import hear_portrait
from s2v.speech_time import count_frames, frame_centre
from s2v.weight_files.weight_source import content_of_source


class DistillModule(RetrievesIdentity):
    """Train the student heads on omega against the face teachers' features (eqs. 1 to 3).

    Args:
        representation: CPC and the two heads; their `out_dim` must be the teachers' feature sizes.
        cpc_checkpoint: a checkpoint of a CPC pretraining (`*.ckpt`), or published weights of the speech encoder: CPC's,
            or a wav2vec 2.0's or HuBERT's for `s2v.models.wav2vec2.Wav2Vec2`.
        speaker_checkpoint: published weights of the representation's speaker encoder, if it has one; always frozen.
        identity_teacher: what `load_face_network` takes; nu* is its embedding (fc7) of the clip's first frame.
        emotion_teacher: likewise; mu* is the mean of its outputs over K frames.
        emotion_feature: which output is mu*: FERplus `logits`, or the pooled `embedding`.
        frames_per_clip: K of eq. 1, redrawn every training step, evenly spaced otherwise; of a shorter clip, in a
            test, all.
        normalised_weight: lambda of eq. 2.
        target: the direction of eq. 3; see `soft_cross_entropy`.
        temperature: of eq. 3.
        finetune_cpc: train the speech encoder too; the paper freezes one pretrained on far more speech.
        contrastive_weight: of CPC's own loss while it is fine-tuned: without it the contexts, bent towards who
            speaks, forget what is said.
        steps_ahead: of that loss, as `cpc_checkpoint` was pretrained with; see `FuturePrediction`.
        negatives: likewise.
        readouts: how many contexts the students read in training: the last one, and others at random instants of the
            window's second half. Each is the last context of a shorter clip; the paper's is 1. More keep the
            students from learning single clips by heart.
        teacher_cache: folder for the teachers' features of every frame: computed once, before the first step, and
            read from then on. Pays once each frame would be drawn more than once. The teachers are loaded all the
            same, since features are found by their weights, and a test still runs them.
        context_cache: folder for what the frozen CPC, and the speaker encoder, hear in each window that there is:
            computed once, before the first step, and read from then on. For a CPC that is not fine-tuned, its last
            context alone (`readouts` 1) and speech that is not changed at random. A kB for each frame of the clips.
        optimizer: makes the optimizer, at the rate below; RMSprop where none is given, as the paper has it.
        lr: its learning rate; with `one_cycle` its peak.
        schedule: `constant` as the paper's, or `one_cycle` (Smith 2018, with its cycled momentum): a short fit ends
            better with a small rate.
        initial_checkpoint: another run's, whose networks a fit begins with instead of `cpc_checkpoint`'s and
            `speaker_checkpoint`'s, unless it goes on from a checkpoint; optimizer and counters begin anew.
    """

    true_precisions = ("32-true", "64-true")

    def __init__(
        self,
        representation: SpeechRepresentation,
        cpc_checkpoint: str | None = None,
        speaker_checkpoint: str | None = None,
        identity_teacher: str | None = None,
        emotion_teacher: str | None = None,
        emotion_feature: Literal["logits", "embedding"] = "logits",
        frames_per_clip: int = 8,
        normalised_weight: float = 0.025,
        target: Literal["teacher", "student"] = "teacher",
        temperature: float = 1.0,
        finetune_cpc: bool = False,
        contrastive_weight: float = 1.0,
        steps_ahead: int = 12,
        negatives: int = 128,
        readouts: int = 1,
        teacher_cache: str | None = None,
        context_cache: str | None = None,
        optimizer: OptimizerCallable | None = None,
        lr: float = 3e-4,
        schedule: Literal["constant", "one_cycle"] = "constant",
        initial_checkpoint: str | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        check_not_negative(
            {"lr": lr, "normalised_weight": normalised_weight, "contrastive_weight": contrastive_weight}
        )
        check_positive({"temperature": temperature})
        check_at_least_one({"frames_per_clip": frames_per_clip, "readouts": readouts})
        if context_cache and (finetune_cpc or readouts > 1):
            why = "finetune_cpc trains it" if finetune_cpc else f"readouts is {readouts}: others are read too"
            raise InputError(
                f"context_cache keeps the last context that a frozen CPC makes of each window, but {why}; leave one out"
            )
        self.representation = representation
        self.cpc_checkpoint = cpc_checkpoint
        self.speaker_checkpoint = speaker_checkpoint
        self.initial_checkpoint = initial_checkpoint
        self.identity_teacher = identity_teacher
        self.emotion_teacher = emotion_teacher
        self.emotion_feature = emotion_feature
        self.frames_per_clip = frames_per_clip
        self.normalised_weight = normalised_weight
        self.target: Literal["teacher", "student"] = target
        self.temperature = temperature
        self.finetune_cpc = finetune_cpc
        self.readouts = readouts
        self.teacher_cache = teacher_cache
        self._cache: TeacherCache | None = None
        self.context_cache = context_cache
        self._hearing: ClipTensors | None = None
        self.optimizer = optimizer
        self.lr = lr
        self.schedule = schedule
        self.teachers = FrozenNetworks()
        self.contrastive_weight = contrastive_weight if finetune_cpc else 0.0
        self._check_windowed(representation.cpc)
        cpc = representation.cpc.requires_grad_(finetune_cpc)
        if representation.speaker_encoder is not None:
            representation.speaker_encoder.requires_grad_(False)
        self.prediction = (
            FuturePrediction(cpc.channels, cpc.hidden, steps_ahead, negatives)
            if self.contrastive_weight
            else None
        )
        self.train()  # Lightning leaves a module in the modes it comes in

    def _check_windowed(self, encoder: SpeechEncoder) -> None:
        """Two things ask for contexts that have heard nothing of what comes later."""
        name = type(encoder).__name__
        if not isinstance(encoder, WindowedSpeechEncoder):
            return
        if self.readouts > 1:
            raise InputError(
                f"readouts is {self.readouts}, but {name} looks ahead, and none of its contexts is the last of a "
                "shorter clip: set model.init_args.readouts=1"
            )
        if self.contrastive_weight:
            raise InputError(
                f"{name} looks ahead, and can't learn by predicting what comes: set "
                "model.init_args.contrastive_weight=0, or leave finetune_cpc out"
            )

    def weight_sources(self, stage: str, resuming: bool) -> dict[str, str | None]:
        """What will be read, for `s2v.training.early_check`."""
        sources = {"identity teacher": self.identity_teacher, "emotion teacher": self.emotion_teacher}
        if stage == "fit" and not resuming:
            sources |= {"pretrained CPC": self.cpc_checkpoint, "speaker encoder": self.speaker_checkpoint}
            sources |= {"initial checkpoint": self.initial_checkpoint}
        return sources

    def untrained(self) -> str:
        """What will be used with random weights, for `s2v.training.early_check`; empty where nothing is."""
        if self.cpc_checkpoint or self.initial_checkpoint or self.finetune_cpc:
            return ""
        if is_own_encoder(self.representation.cpc):
            return ""
        return (
            "cpc_checkpoint is not set: the students hear by a speech encoder of random weights, which stay"
        )

    def setup(self, stage: str) -> None:
        """Check the data's number of frames, load the teachers.

        Raises:
            InputError: the frames are too few, a teacher is missing, or a file does not fit.
        """
        self.check_data(stage, getattr(self._trainer, "datamodule", None))
        if self.identity_teacher and "identity" not in self.teachers:
            self.teachers["identity"] = load_face_network(self.identity_teacher)
        if self.emotion_teacher and "emotion" not in self.teachers:
            self.teachers["emotion"] = load_face_network(self.emotion_teacher)
        if missing := [kind for kind in ("identity", "emotion") if kind not in self.teachers]:
            raise InputError(
                f"distillation has no {' and no '.join(missing)} teacher: set "
                + " and ".join(f"model.init_args.{kind}_teacher" for kind in missing)
                + " to a face teacher's checkpoint, KIND:FILE or class:package.module.Class"
            )
        self._check_labels()

    def _check_labels(self) -> None:
        """Own-trained teachers say what they were taught; their feature sizes may well be alike."""
        for kind, taught in (("identity", "speaker"), ("emotion", "emotion")):
            labels = getattr(self.teachers[kind], "labels", taught)
            if labels != taught:
                source = getattr(self, f"{kind}_teacher")
                raise InputError(
                    f"model.init_args.{kind}_teacher is {source}, which was trained on {labels} labels: give a teacher "
                    f"of {taught} labels"
                )

    def check_data(self, stage: str, data: Any) -> None:
        """Windows must have the K frames of eq. 1, and what is to be cached must not change; tests take whole clips.

        `s2v.training.early_check` asks before loggers begin.

        Raises:
            InputError: they have fewer, or it does.
        """
        served = getattr(data, "num_frames", None)
        if stage in ("fit", "validate") and served is not None and served < self.frames_per_clip:
            raise InputError(
                f"frames_per_clip is {self.frames_per_clip}, but the data serves {served} frames of a clip: lower "
                "model.init_args.frames_per_clip, or raise data.init_args.num_frames"
            )
        if stage == "fit" and self.teacher_cache:
            check_not_mirrored(data, "teacher_cache", "features")
        if stage == "fit" and self.context_cache:
            check_heard_as_it_is(data)

    def on_fit_start(self) -> None:
        """Take the pretrained CPC, unless a checkpoint or an earlier fit has brought one; fill the cache."""
        if not self.has_weights:
            self._take_weights()
        self.has_weights = True
        check_clips_follow(self.representation)
        if self.teacher_cache:
            sources = [self.identity_teacher or "", self.emotion_teacher or ""]
            settings = [source and content_of_source(source) for source in sources]
            teachers = dict(self.teachers.items())
            self._cache = filled_teacher_cache(
                self.teacher_cache, self.trainer, teachers, self.emotion_feature, settings, self.device
            )
        if self.context_cache:
            heard = self.representation
            encoders: dict[str, nn.Module] = {"cpc": heard.cpc}
            if heard.speaker_encoder is not None:
                encoders["speaker_encoder"] = heard.speaker_encoder
            self._hearing = filled_context_cache(
                self.context_cache, self.trainer, heard, encoders, for_students, self.device
            )

    def _take_weights(self) -> None:
        if self.cpc_checkpoint:
            load_cpc_weights(self.representation.cpc, self.cpc_checkpoint, self.prediction)
        if self.speaker_checkpoint:
            load_speaker_weights(self.representation, self.speaker_checkpoint)
        if not self.initial_checkpoint or self.trainer.ckpt_path:
            return
        state = begin_with(self, self.initial_checkpoint, ("representation",))  # its CPC may be fine-tuned
        if self.prediction is not None and any(key.startswith("prediction.") for key in state):
            load_part(self.prediction, state, "prediction.", self.initial_checkpoint, "initial checkpoint")

    def on_fit_end(self) -> None:
        """What is cached is of this fit's clips and windows."""
        self._cache = self._hearing = None

    def train(self, mode: bool = True) -> "DistillModule":
        """A frozen CPC stays in eval mode."""
        super().train(mode)
        if not self.finetune_cpc:
            self.representation.cpc.eval()
        if self.representation.speaker_encoder is not None:
            self.representation.speaker_encoder.eval()
        return self

    def hear(self, speech: Tensor) -> tuple[Tensor, Tensor]:
        """Latents and contexts of a window of speech: (B, N) -> (B, L, C), (B, L, D)."""
        with torch.set_grad_enabled(self.finetune_cpc and torch.is_grad_enabled()):
            return self.representation.cpc(speech)

    @torch.no_grad()
    def teacher_features(self, batch: TalkingFaceBatch) -> tuple[Tensor, Tensor]:
        """nu* (B, identity_dim) of the first frame, and mu* (B, emotion_dim), eq. 1's mean over K frames of each clip.

        In training they are drawn at random, anew each time; else they are evenly spaced, so that a result is the same
        each time.
        """
        device, (clips, served) = batch["frames"].device, batch["frames"].shape[:2]
        if self.training:
            drawn = torch.rand(clips, served, device=device).argsort(dim=1)[:, : self.frames_per_clip]
        else:
            drawn = torch.tensor(evenly_spaced(served, self.frames_per_clip), device=device).expand(clips, -1)
        if self._cache is not None and (kept := kept_features(self._cache, batch, drawn)):
            return kept
        nu = teacher_output(self.teachers["identity"], "identity", batch["still"], "embedding")
        faces = rearrange(
            batch["frames"][torch.arange(clips, device=device).unsqueeze(1), drawn],
            "b k c h w -> (b k) c h w",
        )
        features = teacher_output(self.teachers["emotion"], "emotion", faces, self.emotion_feature)
        return nu, rearrange(features, "(b k) d -> b k d", b=clips).mean(dim=1)

    def _kept_hearing(self, batch: TalkingFaceBatch) -> tuple[Tensor, Tensor | None] | None:
        """omega (B, D) and the speaker encoder's vectors (B, V) of the batch's windows, if they are cached."""
        has_voice = self.representation.speaker_encoder is not None
        return heard_by_students(self._hearing, batch, has_voice) if self._hearing else None

    def other_instants(self, contexts: Tensor) -> list[Tensor]:
        """Contexts (B, D) at `readouts - 1` random instants of the window's second half, others for each clip."""
        clips, steps = contexts.shape[:2]
        drawn = torch.randint(steps // 2, steps, (self.readouts - 1, clips), device=contexts.device)
        return [contexts[torch.arange(clips, device=contexts.device), instants] for instants in drawn]

    def losses(self, nu: Tensor, mu: Tensor, nu_target: Tensor, mu_target: Tensor) -> dict[str, Tensor]:
        """The four terms of eq. 2, weighted, keyed as they are logged."""
        return {
            "emotion_normalised": self.normalised_weight * normalised_distance(mu, mu_target),
            "emotion_distill": soft_cross_entropy(mu, mu_target, self.target, self.temperature),
            "identity_normalised": self.normalised_weight * normalised_distance(nu, nu_target),
            "identity_distill": soft_cross_entropy(nu, nu_target, self.target, self.temperature),
        }

    def _step(self, batch: TalkingFaceBatch, stage: str) -> Tensor:
        """Eq. 2 on windows."""
        kept = self._kept_hearing(batch)
        if kept is None:  # always so where other outputs than the last context are read, which none keeps
            latents, contexts = self.hear(batch["speech"])
            kept = self.representation.cpc.omega(contexts), self.representation.voice(batch["speech"])
        omega, voice = kept
        nu, mu = self.representation.students(omega, voice)
        targets = self.teacher_features(batch)
        terms = self._compared(nu, mu, targets)
        if stage == "train" and self.readouts > 1:
            others = [self.representation.students(other, voice) for other in self.other_instants(contexts)]
            more = [terms, *(self.losses(*other, *targets) for other in others)]
            terms = {name: torch.stack([each[name] for each in more]).mean() for name in terms}
        if self.prediction is not None:
            terms["contrastive"] = self.contrastive_weight * self.prediction(latents, contexts)[0]
        if stage != "train":
            self._log_agreement(nu, mu, *targets, batch, stage)
        return self._log_losses(terms, stage, len(nu))

    def _compared(self, nu: Tensor, mu: Tensor, targets: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """`losses`, once student and teacher have features of one size."""
        for kind, student, teacher in zip(("identity", "emotion"), (nu, mu), targets, strict=True):
            if student.shape != teacher.shape:
                raise InputError(
                    f"the {kind} teacher's feature has {teacher.shape[1]} values, the {kind} head {student.shape[1]}: "
                    f"set model.init_args.representation.init_args.{kind}_head.init_args.out_dim={teacher.shape[1]}"
                )
        return self.losses(nu, mu, *targets)

    def _log_losses(self, terms: dict[str, Tensor], stage: str, size: int) -> Tensor:
        """Log the terms of `size` clips; returns their sum."""
        loss = torch.stack(list(terms.values())).sum()
        self.log_dict({f"{stage}/loss/{name}": value for name, value in terms.items()}, batch_size=size)
        self.log(f"{stage}/loss", loss, prog_bar=True, batch_size=size)
        return loss

    def _log_agreement(
        self,
        nu: Tensor,
        mu: Tensor,
        nu_target: Tensor,
        mu_target: Tensor,
        batch: TalkingFaceBatch,
        stage: str,
    ) -> None:
        """How well the speech tells what the teachers see."""
        cosine = F.cosine_similarity(nu, nu_target).mean()
        self.log(f"{stage}/identity_cosine", cosine, batch_size=len(nu))
        agrees = (mu.argmax(dim=-1) == mu_target.argmax(dim=-1)).float().mean()
        self.log(f"{stage}/emotion_agreement", agrees, prog_bar=True, batch_size=len(nu))
        self.keep_for_retrieval(nu, nu_target, batch["speaker"])

    def training_step(self, batch: TalkingFaceBatch, batch_idx: int) -> Tensor:
        """Eq. 2 on a batch."""
        return self._step(batch, "train")

    def validation_step(self, batch: TalkingFaceBatch, batch_idx: int) -> None:
        """Eq. 2, identity retrieval and emotion agreement on held-out clips."""
        self._step(batch, "val")

    def heard_in_windows(self, speech: Tensor) -> tuple[Tensor, Tensor]:
        """nu (B, identity_dim) and mu (B, emotion_dim) of whole clips (B, N) as export takes them.

        The students hear windows like training's: nu is the mean over windows; mu, known at each window's centre, the
        mean over all frames, where mu* is that over K of them.
        """
        data: Any = getattr(self.trainer, "datamodule", None)
        fps = data.clips("test")[0].fps if hasattr(data, "clips") else FPS
        frames = getattr(data, "window_frames", None)
        samples = speech.shape[1] if frames is None else round(frames * SAMPLE_RATE / fps)
        portraits = [hear_portrait(self.representation, [clip], samples, fps) for clip in speech]
        centres = [frame_centre(frame, fps) for frame in range(count_frames(speech.shape[1], fps))]
        mus = [portrait.emotion_at(centres).mean(dim=1) for portrait in portraits]
        return torch.cat([portrait.nu for portrait in portraits]), torch.cat(mus)

    def test_step(self, batch: TalkingFaceBatch, batch_idx: int) -> None:
        """Eq. 2 on whole clips, with nu and mu as export takes them."""
        nu, mu = self.heard_in_windows(batch["speech"])
        targets = self.teacher_features(batch)
        terms = self._compared(nu, mu, targets)
        if self.prediction is not None:
            terms["contrastive"] = self.contrastive_weight * self.prediction(*self.hear(batch["speech"]))[0]
        self._log_losses(terms, "test", len(nu))
        self._log_agreement(nu, mu, *targets, batch, "test")

    def configure_optimizers(self) -> Any:
        """One optimizer of what is trained; the paper uses RMSprop for all its training."""
        trained = [p for p in self.parameters() if p.requires_grad]
        one_cycle = self.schedule == "one_cycle"
        # with momentum, which is cycled too: without it the demo's students know less
        optimizer = self.optimizer(trained) if self.optimizer else RMSprop(trained, momentum=0.9 * one_cycle)
        check_optimizer(optimizer, "lr")
        for group in optimizer.param_groups:
            group["lr"] = self.lr
        return with_one_cycle(self, optimizer, self.lr) if one_cycle else optimizer
