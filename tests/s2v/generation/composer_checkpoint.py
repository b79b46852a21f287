"""A small composer's checkpoint, written the way `s2v fit` writes one."""

import warnings
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.cli import LightningCLI

from s2v.modules.composer import ComposerModule

WINDOW_FRAMES = 12


def network(path: str, **settings: Any) -> dict[str, Any]:
    """A network as a config names it."""
    return {"class_path": f"s2v.models.{path}", "init_args": settings}


def instantiate_composer(
    image_size: int = 32, speaker_encoder: bool = False, **settings: Any
) -> LightningCLI:
    """A CLI with an untrained composer and a trainer, from a config as `s2v fit` reads it."""
    who = {"speaker_encoder": network("speaker_encoder.SpeakerEncoder", hidden=20)} if speaker_encoder else {}
    heard = 256 if speaker_encoder else 16
    networks = {
        "window_frames": WINDOW_FRAMES,
        "representation": network(
            "speech_representation.SpeechRepresentation",
            cpc=network("cpc.CPC", channels=16, hidden=16),
            identity_head=network("students.StudentHead", in_dim=heard, hidden=16, out_dim=24),
            emotion_head=network("students.StudentHead", in_dim=16, hidden=16, out_dim=8),
            **who,
        ),
        "generator": network(
            "frame_decoder.Speech2VideoGenerator",
            context_dim=16,
            identity_dim=24,
            emotion_dim=8,
            image_size=image_size,
            width=0.05,
            feature_width=0.05,
            **{"pose_dim": 3, "num_speakers": 2} if speaker_encoder else {},
        ),
        "identity_discriminator": network(
            "discriminators.IdentityDiscriminator", feature_width=0.05, width=0.05
        ),
        "frame_discriminator": network("discriminators.FrameDiscriminator", width=0.05),
        "sync_discriminator": network(
            "discriminators.SyncDiscriminator", context_dim=16, image_size=image_size, width=0.05
        ),
    }
    model = {"class_path": "s2v.modules.composer.ComposerModule", "init_args": {**networks, **settings}}
    trainer = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False}
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
        return LightningCLI(
            ComposerModule,
            subclass_mode_model=True,
            run=False,
            save_config_callback=None,
            seed_everything_default=0,
            args={"model": model, "trainer": trainer},
        )


def write_composer_checkpoint(path: Path, speaker_encoder: bool = False) -> Path:
    """Untrained 32 x 32 networks."""
    cli = instantiate_composer(speaker_encoder=speaker_encoder)
    cli.trainer.strategy.connect(cli.model)
    cli.trainer.save_checkpoint(path)
    return path
