"""Narrow modules of the real classes, built in Python or as `s2v fit` builds them from a config."""

import sys
import warnings
from pathlib import Path
from typing import Any
from unittest.mock import patch

import lightning.pytorch as pl
import torch
import yaml
from lightning.pytorch.cli import LightningCLI
from torch import Tensor

from s2v.models.cpc import CPC
from s2v.models.discriminators import FrameDiscriminator, IdentityDiscriminator, SyncDiscriminator
from s2v.models.frame_decoder import Speech2VideoGenerator
from s2v.models.senet import SENet50
from s2v.models.speech_representation import SpeechRepresentation
from s2v.models.students import StudentHead
from s2v.models.vggface import VGGFace
from s2v.modules.composer import ComposerModule
from s2v.modules.distill import DistillModule
from s2v.modules.face_teacher import FaceTeacher
from tests.s2v.modules.small_faces import EMOTIONS, SIZE, SPEAKERS, SmallFaces, trainer

WIDTH, CONTEXT, IDENTITY, EMOTION = 0.05, 16, 205, len(EMOTIONS)
"""`IDENTITY` is the size of a VGGFace's fc7 at that width."""


def representation() -> SpeechRepresentation:
    return SpeechRepresentation(
        CPC(channels=CONTEXT, hidden=CONTEXT),
        StudentHead(in_dim=CONTEXT, hidden=32, out_dim=IDENTITY),
        StudentHead(in_dim=CONTEXT, hidden=32, out_dim=EMOTION),
    )


def vggface(batch_norm: bool = True) -> VGGFace:
    return VGGFace(image_size=SIZE, width=WIDTH, num_classes=len(SPEAKERS), batch_norm=batch_norm)


def senet() -> SENet50:
    return SENet50(image_size=SIZE, width=WIDTH, blocks=(1, 1, 1, 1), num_classes=EMOTION)


def composer(
    image_size: int = SIZE,
    normalise: bool = True,
    seed: int = 0,
    drawing: dict[str, Any] | None = None,
    **settings: Any,
) -> ComposerModule:
    """A composer built in Python; `normalise` is the discriminators' spectral normalisation, `drawing` the generator's
    settings."""
    torch.manual_seed(seed)
    return ComposerModule(
        representation=representation(),
        generator=Speech2VideoGenerator(
            context_dim=CONTEXT,
            identity_dim=IDENTITY,
            emotion_dim=EMOTION,
            image_size=image_size,
            width=WIDTH,
            feature_width=WIDTH,
            **drawing or {},
        ),
        identity_discriminator=IdentityDiscriminator(feature_width=WIDTH, width=WIDTH, normalise=normalise),
        frame_discriminator=FrameDiscriminator(width=WIDTH, layers=2, normalise=normalise),
        sync_discriminator=SyncDiscriminator(
            context_dim=CONTEXT, image_size=image_size, width=WIDTH, normalise=normalise
        ),
        **settings,
    )


def distill(seed: int = 0, **settings: Any) -> DistillModule:
    """A distillation built in Python."""
    torch.manual_seed(seed)
    return DistillModule(representation=representation(), **settings)


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=0)


def network(path: str, **settings: Any) -> dict[str, Any]:
    """A network as a config names it."""
    return {"class_path": f"s2v.models.{path}", "init_args": settings}


REPRESENTATION = network(
    "speech_representation.SpeechRepresentation",
    cpc=network("cpc.CPC", channels=CONTEXT, hidden=CONTEXT),
    identity_head=network("students.StudentHead", in_dim=CONTEXT, hidden=32, out_dim=IDENTITY),
    emotion_head=network("students.StudentHead", in_dim=CONTEXT, hidden=32, out_dim=EMOTION),
)
IDENTITY_TEACHER = {
    "labels": "speaker",
    "network": network(
        "vggface.VGGFace", image_size=SIZE, width=WIDTH, num_classes=len(SPEAKERS), batch_norm=True
    ),
}
EMOTION_TEACHER = {
    "labels": "emotion",
    "network": network(
        "senet.SENet50", image_size=SIZE, width=WIDTH, blocks=[1, 1, 1, 1], num_classes=EMOTION
    ),
}
COMPOSER = {
    "representation": REPRESENTATION,
    "generator": network(
        "frame_decoder.Speech2VideoGenerator",
        context_dim=CONTEXT,
        identity_dim=IDENTITY,
        emotion_dim=EMOTION,
        image_size=SIZE,
        width=WIDTH,
        feature_width=WIDTH,
    ),
    "identity_discriminator": network(
        "discriminators.IdentityDiscriminator", feature_width=WIDTH, width=WIDTH
    ),
    "frame_discriminator": network("discriminators.FrameDiscriminator", width=WIDTH, layers=2),
    "sync_discriminator": network(
        "discriminators.SyncDiscriminator", context_dim=CONTEXT, image_size=SIZE, width=WIDTH
    ),
}


class NoData(pl.LightningDataModule):
    """LightningCLI wants one."""


def configured(kind: type[pl.LightningModule], config: dict[str, Any], folder: Path) -> Any:
    """A module made by LightningCLI from YAML: its checkpoints know their networks."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.yaml").write_text(yaml.safe_dump({"model": config}))
    with patch.object(sys, "argv", sys.argv[:1]), torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LightningCLI(
            kind,
            NoData,
            run=False,
            save_config_callback=None,
            seed_everything_default=0,
            trainer_defaults={"accelerator": "cpu", "logger": False, "default_root_dir": str(folder)},
            args=["--config", str(folder / "model.yaml")],
        ).model


def write_teachers(folder: Path) -> None:
    """`identity.ckpt` and `emotion.ckpt`: teachers that know the small faces, written as `s2v fit` writes them."""
    for name, config in (("identity", IDENTITY_TEACHER), ("emotion", EMOTION_TEACHER)):
        torch.manual_seed(0)
        teacher = configured(FaceTeacher, config | {"lr": 5e-3}, folder)
        fit = trainer(folder, max_steps=20, max_epochs=-1)
        fit.fit(teacher, datamodule=SmallFaces(pictures=4))
        fit.save_checkpoint(folder / f"{name}.ckpt")
