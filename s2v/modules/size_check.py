"""A fit's networks tried out together before it begins: sizes that do not fit would end its first step.

Nothing of the networks changes by it, nor the random numbers to come.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from s2v.batch import FPS, SAMPLE_RATE
from s2v.errors import InputError, one_line
from s2v.models.evaluation_mode import evaluated
from s2v.models.frame_decoder import Speech2VideoGenerator
from s2v.models.sdfa import SDFA
from s2v.models.speech_representation import SpeechRepresentation
from s2v.models.voice_encoder import VoiceEncoder


def check_composer_sizes(
    representation: SpeechRepresentation,
    generator: Speech2VideoGenerator,
    discriminators: nn.ModuleDict,
    weights: Any,
    frames: int,
) -> None:
    """Let two clips go through stage 2's networks, as in a training step.

    Args:
        representation: stage 1.
        generator: of frames.
        discriminators: `identity`, `frame` and `sync`.
        weights: `LossWeights`; a discriminator without one takes no part.
        frames: of each clip; a network of one's own may want more than one.

    Raises:
        InputError: what one network makes is not what another takes.
    """
    with _tried_out(representation, generator, discriminators) as device:
        speech = torch.zeros(2, SAMPLE_RATE, device=device)
        times = torch.linspace(0.1, 0.9, frames, device=device).expand(2, -1)
        contexts, nu, mu = _made(
            "stage 1's C, nu and mu",
            "give its networks sizes that fit each other",
            lambda: representation(speech, times),
        )
        sizes = [values.shape[-1] for values in (contexts, nu, mu)]
        fake, maps = _made(
            f"frames from contexts of {sizes[0]} values, nu of {sizes[1]} and mu of {sizes[2]}",
            f"give the generator context_dim={sizes[0]}, identity_dim={sizes[1]} and emotion_dim={sizes[2]}, or stage "
            "1's networks the generator's sizes",
            lambda: generator(contexts, nu, mu),
        )
        pictures = f"frames of {fake.shape[-1]} x {fake.shape[-2]} pixels"
        if weights.identity:
            _made(
                "D_ID's scores of the generator's identity maps",
                "give both the same feature_width",
                lambda: discriminators["identity"](maps),
            )
        if weights.frame:
            _made(
                f"D_fr's scores of {pictures}",
                "give it fewer layers, or the data and the other networks a larger image_size",
                lambda: discriminators["frame"](fake.flatten(0, 1)),
            )
        if weights.sync:
            _made(
                f"D_sync's scores of contexts of {sizes[0]} values and {pictures}",
                f"give it context_dim={sizes[0]} and image_size={fake.shape[-1]}",
                lambda: discriminators["sync"](contexts, fake),
            )


def check_sdfa_sizes(
    generator: SDFA, discriminators: nn.ModuleDict, voice: VoiceEncoder | None, weights: Any, frames: int
) -> None:
    """Let two clips go through SDFA's networks, or S2F+SDFA's; as `check_composer_sizes`.

    Args:
        generator: of frames.
        discriminators: `frame`, `sequence` and `sync`.
        voice: S2F's encoder.
        weights: `SDFALossWeights`.
        frames: of each clip, up to a second's; five and more where the sync discriminator takes part.
    """
    with _tried_out(generator, discriminators, *([] if voice is None else [voice])) as device:
        speech = torch.zeros(2, SAMPLE_RATE, device=device)
        still = torch.zeros(2, 3, *generator.frame_size, device=device)
        numbers = torch.arange(frames, device=device).expand(2, -1)
        fake = _made(
            "frames",
            "give the generator's networks sizes that fit each other",
            lambda: generator(speech, still if voice is None else voice(speech), numbers),
        )
        calls: dict[str, Callable[[], Tensor]] = {
            "frame": lambda: discriminators["frame"](fake, still),
            "sequence": lambda: discriminators["sequence"](fake),
            "sync": lambda: discriminators["sync"](speech[:, :10_000], fake[:, :5]),
        }
        height, width = generator.frame_size
        for name, call in calls.items():
            if getattr(weights, name):
                _made(
                    f"the {name} discriminator's scores of frames of {width} x {height} pixels",
                    f"give model.init_args.{name}_discriminator the generator's size, {height} x {width}",
                    call,
                )


def frames_to_try(data: Any, least: int = 2) -> int:
    """As many as the data module serves of a clip, or `least`; a second's at most."""
    served = getattr(data, "num_frames", None) or getattr(data, "window_frames", None)
    return min(max(served if isinstance(served, int) else least, least), FPS)


@contextmanager
def _tried_out(*networks: nn.Module) -> Iterator[torch.device]:
    """Where they are; they come out as they went in."""
    device = next(parameter.device for network in networks for parameter in network.parameters())
    # by default it would begin with every GPU of the machine, and warn of it
    devices = [device] if device.type == "cuda" else []
    with torch.no_grad(), torch.random.fork_rng(devices), evaluated(*networks):
        yield device


def _made(what: str, remedy: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except (RuntimeError, IndexError, ValueError) as error:
        raise InputError(f"{what} can't be computed ({one_line(error, 120)}): {remedy}") from error
