"""What the benchmarks of generation share: untrained networks of stated sizes, and speech-like sound in a file.

How long a network takes does not depend on what it has learnt.
"""

import logging
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import av
import numpy as np
import torch

from s2v.batch import SAMPLE_RATE
from s2v.models.cpc import CPC
from s2v.models.frame_decoder import Speech2VideoGenerator
from s2v.models.speech_representation import SpeechRepresentation
from s2v.models.students import StudentHead

WINDOW_FRAMES = 48
"""1.92 s; the configs' windows have 40 frames."""


@dataclass(frozen=True)
class Sizes:
    """What the configs say about the networks that generate."""

    channels: int
    hidden: int
    head: int
    identity: int
    emotion: int
    width: float
    feature_width: float
    image_size: int = 128
    subpixel: bool = False


PAPER = Sizes(256, 256, 512, 4096, 8, width=1.0, feature_width=1.0)
"""experiments/compose/compose.yaml with base/representation.yaml and the generator whole: width 1, not `subpixel`."""
DEFAULT = replace(PAPER, width=0.5, subpixel=True)
"""experiments/compose/compose.yaml as it is."""
NARROW = Sizes(64, 128, 256, 512, 7, width=0.4, feature_width=0.125)
"""The speech networks of experiments/demo and real_faces, with a generator of width 0.4 (theirs have 0.25 and 0.5)."""


def at_width(width: float) -> Sizes:
    """The paper's sizes but for the generator's width."""
    return replace(PAPER, width=width)


def networks(sizes: Sizes) -> tuple[SpeechRepresentation, Speech2VideoGenerator]:
    """Stage 1's networks and stage 2's generator, untrained, in eval mode."""
    representation = SpeechRepresentation(
        CPC(sizes.channels, sizes.hidden),
        StudentHead(sizes.hidden, sizes.head, sizes.identity),
        StudentHead(sizes.hidden, sizes.head, sizes.emotion),
    )
    generator = Speech2VideoGenerator(
        sizes.hidden,
        sizes.identity,
        sizes.emotion,
        sizes.image_size,
        sizes.width,
        sizes.feature_width,
        sizes.subpixel,
    )
    return representation.eval(), generator.eval()


def write_checkpoint(path: Path, sizes: Sizes) -> Path:
    """A composer's checkpoint as `s2v fit` writes it, through the same CLI, of untrained networks."""
    from lightning.pytorch.cli import LightningCLI

    from s2v.modules.composer import ComposerModule

    def network(name: str, **settings: object) -> dict:
        return {"class_path": f"s2v.models.{name}", "init_args": settings}

    s = asdict(sizes)
    discriminators = {"feature_width": s["feature_width"], "width": s["width"]}
    model = {
        "window_frames": WINDOW_FRAMES,
        "representation": network(
            "speech_representation.SpeechRepresentation",
            cpc=network("cpc.CPC", channels=s["channels"], hidden=s["hidden"]),
            identity_head=network(
                "students.StudentHead", in_dim=s["hidden"], hidden=s["head"], out_dim=s["identity"]
            ),
            emotion_head=network(
                "students.StudentHead", in_dim=s["hidden"], hidden=s["head"], out_dim=s["emotion"]
            ),
        ),
        "generator": network(
            "frame_decoder.Speech2VideoGenerator",
            context_dim=s["hidden"],
            identity_dim=s["identity"],
            emotion_dim=s["emotion"],
            image_size=s["image_size"],
            width=s["width"],
            feature_width=s["feature_width"],
            subpixel=s["subpixel"],
        ),
        "identity_discriminator": network("discriminators.IdentityDiscriminator", **discriminators),
        "frame_discriminator": network("discriminators.FrameDiscriminator", width=s["width"]),
        "sync_discriminator": network(
            "discriminators.SyncDiscriminator",
            context_dim=s["hidden"],
            image_size=s["image_size"],
            width=s["width"],
        ),
    }
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice about LightningCLI within a program
        cli = LightningCLI(
            ComposerModule,
            subclass_mode_model=True,
            run=False,
            save_config_callback=None,
            seed_everything_default=0,
            args={
                "model": {"class_path": "s2v.modules.composer.ComposerModule", "init_args": model},
                "trainer": {"accelerator": "cpu", "logger": False, "enable_checkpointing": False},
            },
        )
    cli.trainer.strategy.connect(cli.model)
    cli.trainer.save_checkpoint(path, weights_only=True)
    return path


def write_speech(path: Path, seconds: float, seed: int = 0) -> Path:
    """A WAV of 16 kHz noise whose loudness changes a few times a second, written block by block."""
    generator = torch.Generator().manual_seed(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono")
        total = round(seconds * SAMPLE_RATE)
        for start in range(0, total, SAMPLE_RATE):
            time = torch.arange(start, min(start + SAMPLE_RATE, total)) / SAMPLE_RATE
            loudness = 4_000 * torch.sin(2 * torch.pi * 1.7 * time).abs()
            noise = torch.randn(len(time), generator=generator).clamp(-3, 3)
            samples = (loudness * noise).to(torch.int16).numpy()[None]
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="s16", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
