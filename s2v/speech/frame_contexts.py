"""C of the video's frames, read from contexts that arrive in pieces."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from s2v.errors import InputError
from s2v.models.speech_representation import SpeechRepresentation
from s2v.speech.context_stream import context_stream
from s2v.speech.speech_blocks import in_blocks
from s2v.speech_time import (
    LATENTS_PER_SECOND,
    count_frames,
    frame_position,
    latents_of_frame,
    samples_of_frames,
)


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
        self._stream = context_stream(representation.cpc)
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
