"""Checks a custom speech encoder before training: generation feeds it speech block by block."""

import torch
from torch import Tensor, nn

from s2v.batch import SAMPLE_RATE
from s2v.errors import InputError
from s2v.models.cpc import CPC
from s2v.models.evaluation_mode import evaluated
from s2v.models.speech_encoder import SpeechEncoder
from s2v.models.speech_representation import SpeechRepresentation, contexts_at
from s2v.models.wav2vec2 import Wav2Vec2
from s2v.models.windowed_speech_encoder import WindowedSpeechEncoder
from s2v.speech.context_stream import context_stream
from s2v.speech_time import SAMPLES_PER_LATENT

_BLOCK = 4000
"""Samples at a time."""

_ROUNDING = 0.05
"""Standard deviations; TF32, the coarsest arithmetic of a fit outside autocast, brings a tenth of it."""


def check_clips_follow(representation: SpeechRepresentation) -> None:
    """Try out what of stage 1's networks is one's own, as `check_hears_in_blocks` does CPC.

    Raises:
        InputError: clips would be made from something else than what is trained.
    """
    check_hears_in_blocks(representation.cpc)
    if type(representation) is not SpeechRepresentation:
        _check_is_its_parts(representation)


@torch.no_grad()
def _check_is_its_parts(representation: SpeechRepresentation) -> None:
    """Training calls the whole, clips are made from its parts: one may be overridden and not the other."""
    noise = _noise_for(representation)[None]
    times = torch.tensor([[0.1, 0.5, 1.0]]).to(noise)
    with evaluated(representation):
        contexts = representation.cpc(noise)[1]
        person = representation.students(representation.cpc.omega(contexts), representation.voice(noise))
        by_parts = {"forward": (contexts_at(contexts, times), *person), "person": person}
        whole = {"forward": representation(noise, times), "person": representation.person(noise)}
    for name, parts in by_parts.items():
        for value, part in zip(whole[name], parts, strict=True):
            if value.shape != part.shape or not _apart(value, part) < _ROUNDING:
                raise InputError(
                    f"{type(representation).__name__}.{name} gives something else than `cpc`, `voice` and `students`, "
                    "from which clips are made: override these instead"
                )


def is_own_encoder(encoder: SpeechEncoder) -> bool:
    """Whether it is none of this package's, of which all is known."""
    return type(encoder) not in (CPC, Wav2Vec2)


@torch.no_grad()
def check_hears_in_blocks(cpc: SpeechEncoder) -> None:
    """Compare an encoder of one's own with itself: in blocks, as clips are made, and in one pass, as in training.

    Raises:
        InputError: contexts differ by more than rounding, as those of a network that looks ahead, or forgets its state;
            or they are of another size or rate.
    """
    if not is_own_encoder(cpc):
        return
    noise = _noise_for(cpc)
    with evaluated(cpc):
        _, whole = cpc(noise[None])
        stream = context_stream(cpc)
        blocks = [stream.push(block) for block in noise.split(_BLOCK)]
        joined = torch.cat([*blocks, stream.finish()], dim=1)
    expected = (1, (len(noise) + 1) // SAMPLES_PER_LATENT, cpc.hidden)
    for found in (whole, joined):
        if found.shape != expected:
            raise InputError(
                f"{type(cpc).__name__} gives contexts {tuple(found.shape)} for {len(noise)} samples of speech, "
                f"expected {expected}; see the docstring of s2v.models.speech_encoder.SpeechEncoder"
            )
    apart = _apart(joined, whole)
    if not apart < _ROUNDING:
        raise InputError(
            f"{type(cpc).__name__}'s contexts for speech in blocks, as clips are made, are up to {apart:.2g} standard "
            "deviations from those in one pass, as in training: it hears what comes later, which is for a "
            "s2v.models.windowed_speech_encoder.WindowedSpeechEncoder, or its `summarise` does not go on from the "
            "state; see the docstring of s2v.models.cpc.CPC"
        )


def _apart(found: Tensor, expected: Tensor) -> float:
    """The largest difference, in standard deviations."""
    return float((found - expected).abs().max() / expected.std())


def _noise_for(network: nn.Module) -> Tensor:
    """(N,), a second and a half, where the network is; of an encoder that hears windows, two and a half of these."""
    seconds = max(
        [1.5] + [2.5 * part.span for part in network.modules() if isinstance(part, WindowedSpeechEncoder)]
    )
    generator = torch.Generator().manual_seed(0)  # the fit's own random numbers stay
    return 0.1 * torch.randn(round(seconds * SAMPLE_RATE), generator=generator).to(next(network.parameters()))
