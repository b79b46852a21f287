"""CPC contexts of speech that arrives in blocks: the numbers of one pass over it, in constant memory."""

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from s2v.batch import LOUDEST
from s2v.errors import InputError
from s2v.models.cpc import CPC, RecurrentState
from s2v.models.speech_representation import SpeechRepresentation
from s2v.speech_time import (
    LATENTS_BEFORE,
    LATENTS_PER_SECOND,
    complete_latents,
    count_frames,
    first_sample,
    frame_position,
    latents_of_frame,
    samples_of_frames,
)


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


class ContextStream:
    """Contexts block by block; joined, they equal `CPC.forward` of the joined speech.

    The convolutions see each block with the neighbouring samples they reach to; the recurrent network's
    state goes from block to block.

    Args:
        cpc: in eval mode.

    Attributes:
        latents: (1, l, C), those of the last push, for whoever wants to hear the same speech otherwise.
    """

    def __init__(self, cpc: CPC) -> None:
        self.cpc = cpc
        self.latents = torch.zeros(1, 0, cpc.channels)
        self._held: Tensor | None = None  # (n,) speech from the last latent given on, or from the beginning
        self._given = 0  # latents
        self._state: RecurrentState | None = None

    def push(self, speech: Tensor) -> Tensor:
        """Speech (n,), n > 0 -> contexts (1, l, D) of all latents that are complete, possibly none."""
        self._held = speech if self._held is None else torch.cat([self._held, speech])
        complete = complete_latents(len(self._held))
        if complete <= self._known:
            self.latents = self._held.new_zeros(1, 0, self.cpc.channels)
            return self._held.new_zeros(1, 0, self.cpc.hidden)
        self.latents = self.cpc.encode(self._held.unsqueeze(0))[:, self._known : complete]
        self._held = self._held[first_sample(complete - LATENTS_BEFORE) :]
        return self._summarise(self.latents)

    def finish(self) -> Tensor:
        """The contexts (1, l, D) of the last latents, which hear the padding after the speech.

        Raises:
            InputError: all of the speech was shorter than a latent.
        """
        if self._held is None:
            raise InputError("expected speech, got no sample of it")
        return self._summarise(self.cpc.encode(self._held.unsqueeze(0))[:, self._known :])

    @property
    def _known(self) -> int:
        """Latents of the held speech that were given already."""
        return LATENTS_BEFORE if self._given else 0

    def _summarise(self, latents: Tensor) -> Tensor:
        if not latents.shape[1]:
            return latents.new_zeros(1, 0, self.cpc.hidden)
        self._given += latents.shape[1]
        contexts, self._state = self.cpc.summarise(latents, self._state)
        return contexts


class FrameReader:
    """Contexts at the frames' centre times, frame after frame, from contexts that arrive in pieces.

    Times are counted from the piece at hand: single precision would blur them after an hour.
    """

    def __init__(self, representation: SpeechRepresentation, fps: float) -> None:
        self.representation = representation
        self.fps = fps
        self.frames_read = 0
        self._held: Tensor | None = None  # (1, l, D) contexts that are still to be read
        self._first = 0  # number of the latent that _held begins with

    def push(self, contexts: Tensor, until: int | None = None) -> Tensor:
        """Contexts (1, l, D) -> C (1, t, D) of the frames whose neighbouring contexts are there.

        Args:
            contexts: those that follow the ones pushed before.
            until: read no frame from this number on.
        """
        held = contexts if self._held is None else torch.cat([self._held, contexts], dim=1)
        known = self._first + held.shape[1]
        ready = 0
        while self._latents_of(self.frames_read + ready).stop <= known:
            ready += 1
        self._held = held
        return self.read(ready if until is None else min(ready, until - self.frames_read))

    def read(self, count: int) -> Tensor:
        """C (1, count, D) of the next frames; past the last context, that context."""
        assert self._held is not None
        numbers = range(self.frames_read, self.frames_read + count)
        positions = [frame_position(t, self.fps) - self._first for t in numbers]
        times = [(position + 0.5) / LATENTS_PER_SECOND for position in positions]
        read = self.representation.at_times(self._held, self._held.new_tensor([times]))
        self.frames_read += count
        # At the end one is kept, for frames beyond the last.
        done = min(self._latents_of(self.frames_read).start - self._first, self._held.shape[1] - 1)
        self._held = self._held[:, max(0, done) :]
        self._first += max(0, done)
        return read

    def _latents_of(self, frame: int) -> range:
        return latents_of_frame(frame, self.fps, self.representation.context_reach)


class FrameContextStream:
    """C of one frame after the other, from blocks of speech.

    Args:
        representation: stage 1's networks, in eval mode.
        fps: frames a second.

    Attributes:
        samples: pushed so far.
    """

    def __init__(self, representation: SpeechRepresentation, fps: float) -> None:
        self.samples = 0
        self._stream = ContextStream(representation.cpc)
        self._reader = FrameReader(representation, fps)
        self._fps = fps

    @property
    def latents(self) -> Tensor:
        """(1, l, C), what the last block completed."""
        return self._stream.latents

    def push(self, block: Tensor) -> Tensor:
        """Speech (n,), n > 0, on the networks' device -> C (1, t, D) of the frames that are complete."""
        self.samples += len(block)
        return self._reader.push(self._stream.push(block))

    def finish(self) -> Tensor:
        """C (1, t, D) of the last frames; speech that ends before its last frame does is followed by silence."""
        if not self.samples:
            raise InputError("expected speech, got no sample of it")
        total = count_frames(self.samples, self._fps)
        missing = samples_of_frames(total, self._fps) - self.samples
        pieces = []
        if missing > 0:
            silence = self._stream.latents.new_zeros(missing)
            pieces.append(self._reader.push(self._stream.push(silence)))
        pieces.append(self._reader.push(self._stream.finish(), total))
        pieces.append(self._reader.read(total - self._reader.frames_read))
        return torch.cat(pieces, dim=1)

    def rest(self, speech: Iterable[Tensor], block_samples: int) -> Iterator[Tensor]:
        """Yield C (1, t, D) of all further frames of blocks (n,); the encoder takes so many samples at once."""
        for block in in_blocks(speech, block_samples):
            yield self.push(block)
        yield self.finish()
