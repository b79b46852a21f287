"""Which kind of system a checkpoint holds, and the stream of frames that it makes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from torch import Tensor

from s2v.batch import FPS
from s2v.errors import InputError
from s2v.generation.composer_networks import ComposerNetworks, composer_networks
from s2v.generation.sdfa_stream import SDFAStream
from s2v.generation.still_picture import read_still
from s2v.generation.streaming import StreamingGenerator
from s2v.models.sdfa import SDFA
from s2v.modules.checkpoint_part import read_checkpoint
from s2v.modules.consent_mark import unasked_in
from s2v.speech.portrait import Identity
from s2v.weights import load_sdfa

if TYPE_CHECKING:
    import lightning.pytorch as pl

Module = TypeVar("Module", bound="pl.LightningModule")


class FrameStream(Protocol):
    """What makes frames of speech."""

    fps: float

    def frames(self, speech: Iterable[Tensor], num_frames: int | None = None) -> Iterator[Tensor]:
        """Blocks (n,) of 16 kHz speech -> portions (t, 3, H, W) uint8."""
        ...


def open_system(path: str, device: str, identity: Identity = "mean", image: str | None = None) -> FrameStream:
    """The system in a checkpoint as a stream from speech to frames; nothing in the file is executed.

    Args:
        path: checkpoint of a composer, of SDFA or of S2F+SDFA; or `sdfa:FILE`, published weights.
        device: where to compute.
        identity: for a composer, which windows tell it.
        image: picture of a face: for SDFA, and for no other.

    Raises:
        InputError: the checkpoint is damaged or of another kind; the image is missing, unwanted or unreadable.
    """
    if path.startswith("sdfa:"):
        network = load_sdfa(path.removeprefix("sdfa:"))
        return SDFAStream(network, still_for(network, path, image), device=device)
    checkpoint = read_checkpoint(path, "--checkpoint")
    state = checkpoint["state_dict"]
    parts = {key.split(".")[0] for key in state}
    broken = [key for key, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise InputError(
            f"--checkpoint: {path} has numbers that are not finite in {', '.join(broken[:3])}"
            f"{' ...' if len(broken) > 3 else ''}: its training diverged; give an earlier checkpoint"
        )
    if {"representation", "generator"} <= parts:
        if image is not None:
            raise InputError(f"--image: {path} makes the face of speech alone: leave --image out")
        networks = composer_networks(checkpoint, path) or networks_of_module(checkpoint, path, device)
        return StreamingGenerator(*networks, FPS, device, identity=identity)
    if not any(key.startswith("generator.encoder_id.") for key in state):
        raise InputError(
            f"--checkpoint: {path} holds {', '.join(sorted(parts)) or 'nothing'}, but expected a composer's "
            "(representation and generator) or a baseline's: give the checkpoint of stage 2"
        )
    if "voice" in parts and image is not None:
        raise InputError(
            f"--image: {path} is S2F+SDFA, which hears the face in the speech: leave --image out"
        )
    from s2v.modules.sdfa import SDFAModule

    module = load_module(SDFAModule, checkpoint, path, device)
    still = None if "voice" in parts else still_for(module.generator, path, image)
    return SDFAStream(module.generator, still, module.voice, device)


def speakers_without_consent(path: str) -> list[str]:
    """Speakers that a checkpoint says it was trained on without their consent, or what it learned from was, sorted.

    Published weights say nothing.
    """
    if path.startswith("sdfa:"):
        return []
    return sorted(unasked_in(read_checkpoint(path, "--checkpoint")))


def still_for(network: SDFA, path: str, image: str | None) -> Tensor:
    """The picture for SDFA to animate, of its size; InputError where none is given."""
    if image is None:
        raise InputError(f"{path} is SDFA, which animates a picture: give one with --image")
    return read_still(image, network.frame_size)


def networks_of_module(checkpoint: dict[str, Any], path: str, device: str) -> ComposerNetworks:
    """The networks of a composer's checkpoint, of imported classes too."""
    from s2v.modules.composer import ComposerModule

    composer = load_module(ComposerModule, checkpoint, path, device)
    return ComposerNetworks(composer.representation, composer.generator, composer.window_frames)


def load_module(kind: type[Module], checkpoint: dict[str, Any], path: str, device: str) -> Module:
    """A module from its checkpoint, in eval mode.

    Raises:
        InputError: see `module_from`.
    """
    # brings Lightning, whose import takes longer than PyTorch's
    from s2v.modules.named_classes import module_from

    with warnings.catch_warnings():  # advice to the programmer about save_hyperparameters
        warnings.filterwarnings("ignore", message="Attribute .* is an instance of `nn.Module`")
        return module_from(kind, checkpoint, path, "--checkpoint", device).eval()
