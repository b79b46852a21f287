"""The Speech2Face voice encoder, distilled from the face teacher (Oh et al., CVPR 2019): the other baseline's ear."""

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from s2v.batch import TalkingFaceBatch
from s2v.errors import InputError
from s2v.losses.absolute_difference import absolute_difference
from s2v.losses.distillation import normalised_distance, soft_cross_entropy
from s2v.models.face_network import FaceNetwork
from s2v.models.voice_encoder import VoiceEncoder
from s2v.modules.composer_checks import check_batch_size
from s2v.modules.face_source import load_face_network
from s2v.modules.face_teacher import FaceTeacher
from s2v.modules.frozen import FrozenNetworks
from s2v.modules.identity_retrieval import RetrievesIdentity
from s2v.modules.number_check import check_at_least_one, check_not_negative, check_positive


class VoiceEncoderModule(RetrievesIdentity):
    """Train the voice encoder to give the face teacher's fc7 of the clip's first frame.

    Speech2Face's first term compares v after the first layer of a face decoder, which has no counterpart here: the
    vectors themselves are compared.

    Args:
        voice: the encoder; its `out_dim` must be the size of the teacher's fc7.
        identity_teacher: what `load_face_network` takes, a VGGFace: the loss reads its last layer, fc8.
        difference_weight: of |v_f - v_s|_1.
        normalised_weight: of the squared distance of the normalised vectors.
        distill_weight: of the cross-entropy between fc8's outputs.
        temperature: of that.
        lr: learning rate of Adam (beta1 0.5, eps 1e-4).
        lr_decay: factor on it every `decay_steps` steps.
        decay_steps: see there.
    """

    def __init__(
        self,
        voice: VoiceEncoder,
        identity_teacher: str | None = None,
        difference_weight: float = 1.0,
        normalised_weight: float = 0.025,
        distill_weight: float = 200.0,
        temperature: float = 2.0,
        lr: float = 1e-3,
        lr_decay: float = 0.95,
        decay_steps: int = 10_000,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        check_not_negative(
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "difference_weight": difference_weight,
                "normalised_weight": normalised_weight,
                "distill_weight": distill_weight,
            }
        )
        check_positive({"temperature": temperature})
        check_at_least_one({"decay_steps": decay_steps})
        self.voice = voice
        self.identity_teacher = identity_teacher
        self.difference_weight = difference_weight
        self.normalised_weight = normalised_weight
        self.distill_weight = distill_weight
        self.temperature = temperature
        self.lr = lr
        self.lr_decay = lr_decay
        self.decay_steps = decay_steps
        self.teachers = FrozenNetworks()
        self.train()  # Lightning leaves a module in the modes it comes in; loaded weights come in eval mode

    def weight_sources(self, stage: str, resuming: bool) -> dict[str, str | None]:
        """What will be read, for `s2v.training.early_check`."""
        return {"face teacher": self.identity_teacher}

    def setup(self, stage: str) -> None:
        """Load the teacher.

        Raises:
            InputError: it is missing, no VGGFace, or its fc7 of another size than the encoder's vector.
        """
        if not self.identity_teacher:
            raise InputError(
                "the voice encoder has no face teacher: set model.init_args.identity_teacher to a VGGFace teacher's "
                "checkpoint or vggface:FILE"
            )
        teacher = load_face_network(self.identity_teacher)
        network = (teacher.face if isinstance(teacher, FaceTeacher) else teacher).network
        if not isinstance(getattr(network, "fc8", None), nn.Linear):
            raise InputError(
                f"the voice encoder learns through a VGGFace's fc8, and {self.identity_teacher} is a "
                f"{type(network).__name__}: give a VGGFace teacher"
            )
        size = cast(nn.Linear, network.fc8).in_features
        if size != self.voice.out_dim:
            raise InputError(
                f"the face teacher's vector has {size} values, the voice encoder's {self.voice.out_dim}: "
                f"set model.init_args.voice.init_args.out_dim={size}"
            )
        self.teachers["face"] = teacher

    def on_fit_start(self) -> None:
        """Refuse batches of a single voice."""
        check_batch_size(self.voice, self.trainer, "the voice encoder")

    @property
    def _fc8(self) -> nn.Linear:
        teacher = cast(FaceTeacher | FaceNetwork, self.teachers["face"])
        face = teacher.face if isinstance(teacher, FaceTeacher) else teacher
        return cast(nn.Linear, face.network.fc8)

    def losses(self, heard: Tensor, seen: Tensor) -> dict[str, Tensor]:
        """The three terms, weighted, of the voices' and the faces' vectors (B, D)."""
        logits, target = self._fc8(heard), self._fc8(seen)
        return {
            "difference": self.difference_weight * absolute_difference(heard, seen),
            "normalised": self.normalised_weight * normalised_distance(heard, seen),
            "distill": self.distill_weight * soft_cross_entropy(logits, target, "teacher", self.temperature),
        }

    def _step(self, batch: TalkingFaceBatch, stage: str) -> Tensor:
        with torch.no_grad():
            seen = self.teachers["face"](batch["still"])["embedding"]
        heard = self.voice(batch["speech"])
        terms = self.losses(heard, seen)
        loss = torch.stack(list(terms.values())).sum()
        size = len(heard)
        self.log_dict({f"{stage}/loss/{name}": value for name, value in terms.items()}, batch_size=size)
        self.log(f"{stage}/loss", loss, prog_bar=True, batch_size=size)
        if stage != "train":
            self.log(f"{stage}/identity_cosine", F.cosine_similarity(heard, seen).mean(), batch_size=size)
            self.keep_for_retrieval(heard, seen, batch["speaker"])
        return loss

    def training_step(self, batch: TalkingFaceBatch, batch_idx: int) -> Tensor:
        """Speech2Face's loss on a batch."""
        return self._step(batch, "train")

    def validation_step(self, batch: TalkingFaceBatch, batch_idx: int) -> None:
        """The same, and how well the voice tells the face, on held-out clips."""
        self._step(batch, "val")

    def test_step(self, batch: TalkingFaceBatch, batch_idx: int) -> None:
        """The same on test clips, each whole."""
        self._step(batch, "test")

    def configure_optimizers(self) -> Any:
        """Adam as published, its learning rate decaying in steps."""
        optimizer = torch.optim.Adam(self.voice.parameters(), lr=self.lr, betas=(0.5, 0.999), eps=1e-4)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, self.decay_steps, self.lr_decay)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
