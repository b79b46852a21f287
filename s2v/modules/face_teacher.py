"""A face teacher of our own: an identity or emotion classifier on labelled faces."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from s2v.batch import TalkingFaceBatch
from s2v.errors import InputError
from s2v.models.face_network import FaceNetwork
from s2v.modules.hyperparameters import PlainHyperparameters
from s2v.modules.number_check import check_not_negative
from s2v.modules.one_cycle import with_one_cycle
from s2v.modules.shared_validation import SharedValidation

INSTEAD = {
    "speaker": "A folder of videos needs a subfolder a speaker; or give stage 1 published weights "
    "(model.init_args.identity_teacher=vggface:FILE)",
    "emotion": "Give stage 1 published weights (model.init_args.emotion_teacher=senet:FILE), or a teacher of a corpus "
    "with emotions (model.init_args.emotion_teacher=runs/crema_d/emotion_teacher/best.ckpt)",
}
"""What to do where the data have no labels."""


class FaceTeacher(PlainHyperparameters, SharedValidation):
    """Classify single frames by speaker or emotion; also the judge of a test, trained apart.

    Where the published teachers (VGGFace, SENet-FERplus) can't be had, a small one trained on the corpus takes
    their place: the same classes, narrow.

    Args:
        network: VGGFace or SENet50; its `num_classes` must be the data's number of classes.
        labels: what is told apart.
        lr: peak learning rate of AdamW.
        weight_decay: of AdamW.
        shift: frames are moved at random by up to this share of their size, so that places don't matter.
        light: brightness and contrast vary at random by up to this share.
        label_smoothing: keeps the logits of an easy corpus finite, so that a student can match them.
    """

    def __init__(
        self,
        network: nn.Module,
        labels: Literal["speaker", "emotion"] = "speaker",
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        shift: float = 0.04,
        light: float = 0.1,
        label_smoothing: float = 0.1,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        check_not_negative({"lr": lr, "weight_decay": weight_decay, "shift": shift, "light": light})
        if not 0 <= label_smoothing <= 1:
            raise InputError(f"label_smoothing must be from 0 to 1, got {label_smoothing}")
        self.face = FaceNetwork(network)
        self.labels = labels
        self.lr = lr
        self.weight_decay = weight_decay
        self.shift = shift
        self.light = light
        self.label_smoothing = label_smoothing
        self.class_names: list[str] = []
        self.train()  # Lightning leaves a module in the modes it comes in; loaded weights come in eval mode

    def setup(self, stage: str) -> None:
        """At the start of a fit: the class names from the data."""
        data = getattr(self.trainer, "datamodule", None)
        if stage == "fit" and data is not None:
            self.check_data(stage, data)
            self.class_names = self._names_in(data)

    def check_data(self, stage: str, data: Any) -> None:
        """A fit's network needs an output for each class of the data.

        `s2v.training.early_check` asks before loggers begin.

        Raises:
            InputError: there are no classes, or another number of them.
        """
        if stage != "fit":
            return
        names = self._names_in(data)
        if not names:
            raise InputError(
                f"no clip of the data has a label of the kind '{self.labels}': there is nothing to learn. "
                f"{INSTEAD[self.labels]}"
            )
        if len(names) == 1:
            raise InputError(
                f"the data has one {self.labels} alone, {names[0]}: a teacher learns to tell two or more apart"
            )
        wanted = getattr(self.face.network, "num_classes", len(names))
        if wanted != len(names):
            shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
            raise InputError(
                f"the {self.labels} teacher has {wanted} classes but the data has {len(names)} "
                f"({shown}): set model.init_args.network.init_args.num_classes={len(names)}"
            )

    def _names_in(self, data: Any) -> list[str]:
        return list(data.speakers if self.labels == "speaker" else data.emotions)

    def _check_class_names(self) -> None:
        """Now that a checkpoint, if there is one, has brought its own."""
        data = getattr(self.trainer, "datamodule", None)
        if data is None or not self.class_names:
            return
        names = self._names_in(data)
        if names != self.class_names:
            raise InputError(
                f"the teacher was trained on {self.labels}s {self.class_names}, the data has {names}"
            )

    on_fit_start = on_validation_start = on_test_start = _check_class_names

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        """RGB faces (B, 3, H, W), uint8 or 0..255, any size -> `embedding` (B, D) and `logits` (B, C)."""
        return self.face(faces)

    def feature_maps(self, faces: Tensor) -> list[Tensor]:
        """conv5_3, conv4_3, conv3_3 of RGB faces (B, 3, H, W) 0..255 at their own size."""
        return self.face.feature_maps(faces)

    def augment(self, faces: Tensor) -> Tensor:
        """Random shift and light of each face, (B, 3, H, W) float 0..255."""
        count = faces.shape[0]
        theta = torch.eye(2, 3, device=faces.device).repeat(count, 1, 1)
        theta[:, :, 2] = (torch.rand(count, 2, device=faces.device) * 2 - 1) * 2 * self.shift
        grid = F.affine_grid(theta, list(faces.shape), align_corners=False)
        moved = F.grid_sample(faces, grid, padding_mode="border", align_corners=False)
        gain, offset = (torch.rand(2, count, 1, 1, 1, device=faces.device) * 2 - 1) * self.light
        return (moved * (1 + gain) + 255 * offset).clamp(0, 255)

    def _step(self, batch: TalkingFaceBatch, stage: str) -> Tensor:
        labels = batch["speaker"] if self.labels == "speaker" else batch["emotion"]
        known = labels >= 0
        if not known.any():
            # nothing to learn, but with several processes the others wait for this one's gradients
            return self(batch["frames"][:, 0])["logits"].sum() * 0
        frames = batch["frames"][known].float()
        targets = labels[known].repeat_interleave(frames.shape[1])
        faces = frames.flatten(0, 1)
        logits = self(self.augment(faces) if stage == "train" else faces)["logits"]
        loss = F.cross_entropy(logits, targets, label_smoothing=self.label_smoothing)
        accuracy = (logits.argmax(dim=-1) == targets).float().mean()
        self.log(f"{stage}/cross_entropy", loss, prog_bar=True, batch_size=len(targets))
        self.log(f"{stage}/accuracy", accuracy, prog_bar=True, batch_size=len(targets))
        return loss

    def training_step(self, batch: TalkingFaceBatch, batch_idx: int) -> Tensor:
        """One step on all served frames as single faces."""
        return self._step(batch, "train")

    def validation_step(self, batch: TalkingFaceBatch, batch_idx: int) -> None:
        """Loss and accuracy on held-out clips."""
        self._step(batch, "val")

    def test_step(self, batch: TalkingFaceBatch, batch_idx: int) -> None:
        """Loss and accuracy on test clips."""
        self._step(batch, "test")

    def configure_optimizers(self) -> Any:
        """AdamW on all parameters, warmed up and annealed over the fit."""
        return with_one_cycle(
            self, torch.optim.AdamW(self.parameters(), lr=self.lr, weight_decay=self.weight_decay), self.lr
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The class names travel with the weights."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["class_names"] = self.class_names

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the class names back."""
        super().on_load_checkpoint(checkpoint)
        self.class_names = list(checkpoint.get("class_names", []))
