"""A speech encoder of one's own, tried out before it is trained: clips are made from speech that comes in blocks."""

import torch

from s2v.batch import SAMPLE_RATE
from s2v.errors import InputError
from s2v.generation.context_stream import ContextStream
from s2v.models.cpc import CPC
from s2v.models.evaluation_mode import evaluated
from s2v.speech_time import SAMPLES_PER_LATENT

_BLOCK = 4000
"""Samples at a time."""

_ROUNDING = 0.05
"""Standard deviations; TF32, the coarsest arithmetic of a fit outside autocast, brings a tenth of it."""


@torch.no_grad()
def check_hears_in_blocks(cpc: CPC) -> None:
    """Compare an encoder of one's own with itself: in blocks, as clips are made, and in one pass, as in training.

    Raises:
        InputError: contexts differ by more than rounding, as those of a network that looks ahead, or forgets its state;
            or they are of another size or rate.
    """
    if type(cpc) is CPC:
        return
    weights = next(cpc.parameters())
    generator = torch.Generator().manual_seed(0)  # the fit's own random numbers stay
    noise = 0.1 * torch.randn(3 * SAMPLE_RATE // 2, generator=generator).to(weights)
    with evaluated(cpc):
        _, whole = cpc(noise[None])
        stream = ContextStream(cpc)
        blocks = [stream.push(block) for block in noise.split(_BLOCK)]
        joined = torch.cat([*blocks, stream.finish()], dim=1)
    expected = (1, (len(noise) + 1) // SAMPLES_PER_LATENT, cpc.hidden)
    for found in (whole, joined):
        if found.shape != expected:
            raise InputError(
                f"{type(cpc).__name__} gives contexts {tuple(found.shape)} for {len(noise)} samples of speech, "
                f"expected {expected}; see the docstring of s2v.models.cpc.CPC"
            )
    apart = float((joined - whole).abs().max() / whole.std())
    if not apart < _ROUNDING:
        raise InputError(
            f"{type(cpc).__name__}'s contexts for speech in blocks, as clips are made, are up to {apart:.2g} standard "
            "deviations from those in one pass, as in training: it hears what comes later, or its `summarise` does not "
            "go on from the state; see the docstring of s2v.models.cpc.CPC"
        )
