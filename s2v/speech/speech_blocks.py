"""Speech that arrives in blocks: checked, cut anew, and fitted to a video's frames."""

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from s2v.batch import LOUDEST
from s2v.errors import InputError
from s2v.speech_time import samples_of_frames


def in_blocks(speech: Iterable[Tensor], samples: int) -> Iterator[Tensor]:
    """Cut and join blocks of any length to blocks (samples,); the last one may be shorter."""
    held: list[Tensor] = []
    count = 0
    for block in speech:
        for piece in block.split(samples):
            held.append(piece)
            count += len(piece)
            if count >= samples:
                joined = torch.cat(held)
                yield joined[:samples]
                held, count = [joined[samples:]], count - samples
    if count:
        yield torch.cat(held)


def checked(speech: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yield the blocks (n,) as they are.

    Raises:
        InputError: one is no tensor, has a batch's dimension, or is far louder than any speech trained on: a WAV file's
            int16, as integers or written as floats.
    """
    for block in speech:
        if not isinstance(block, Tensor):
            raise InputError(
                f"expected speech as a torch tensor, got {type(block).__module__}.{type(block).__qualname__}: "
                "torch.from_numpy makes one of an array"
            )
        if block.dim() != 1 or not block.is_floating_point():
            dtype = str(block.dtype).removeprefix("torch.")
            raise InputError(
                f"expected speech (N,) of floats in [-1, 1], got {dtype} {tuple(block.shape)}: "
                "give one clip; divide int16 samples by 32768"
            )
        peak = float(block.abs().max()) if len(block) else 0.0  # nan if any is
        if not peak <= LOUDEST:
            found = f"samples of {peak:.4g}" if math.isfinite(peak) else "samples that are no finite numbers"
            raise InputError(
                f"expected speech (N,) of floats in [-1, 1], got {found}: divide what was int16 by 32768"
            )
        yield block


def fitted(speech: Iterable[Tensor], frames: int, fps: float) -> Iterator[Tensor]:
    """Yield the speech cut to, or followed by silence up to, so many video frames.

    Raises:
        InputError: no frame is asked for, or as `checked`.
    """
    if frames < 1:
        raise InputError(f"num_frames must be at least 1, got {frames}")
    missing = samples_of_frames(frames, fps)
    like = torch.zeros(0)
    for block in checked(speech):
        like = block[:missing]
        yield like
        missing -= len(like)
        if missing == 0:
            return
    yield like.new_zeros(missing)
