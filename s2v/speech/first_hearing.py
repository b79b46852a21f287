"""The first of two passes over speech: nu and mu, and as a by-product the frames' CPC contexts: the second is spared.

The students hear windows alone, the contexts come from one stream, and both begin with CPC's latents. A window's are
the stream's but for its first and last (`s2v.speech_time`), so the convolutions run once, and again for these two.
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from s2v.models.speech_encoder import SpeechEncoder
from s2v.models.speech_representation import SpeechRepresentation
from s2v.speech.frame_contexts import FrameContextStream
from s2v.speech.portrait import Listener, Portrait, Window, WindowCutter, encode_window
from s2v.speech.speech_blocks import in_blocks
from s2v.speech_time import EDGE_SAMPLES, shared_latents, whole_latents

KEPT_BYTES = 64 * 2**20
"""Contexts that are kept from the first reading: 43 minutes of the paper's 256 floats at 25 frames a second."""

FRAMES_AT_ONCE = 256


class FirstHearing:
    """Listens to all of the speech, and keeps the contexts of its frames while there is room.

    Args:
        representation: stage 1's networks, in eval mode.
        window_samples: length of a training window.
        fps: frames a second.
        block_samples: samples that the encoder takes at once, at least.
        kept_bytes: room for contexts; what is beyond is read and encoded a second time.
    """

    def __init__(
        self,
        representation: SpeechRepresentation,
        window_samples: int,
        fps: float,
        block_samples: int,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        self.representation = representation
        self.window_samples = window_samples
        self.fps = fps
        self.block_samples = block_samples
        self._stream = FrameContextStream(representation, fps)
        self._kept = KeptContexts(kept_bytes)
        self._finished = False
        # Two windows: the one being cut, and a block read past its end. Where blocks are longer, as on a GPU, a window
        # that begins in the block before is encoded anew.
        self._recent = RecentLatents(representation.cpc, 2 * window_samples)

    def hear(self, speech: Iterable[Tensor]) -> Portrait:
        """Blocks (n,) on the networks' device -> the portrait of `hear_portrait`, to rounding."""
        listener, cutter = Listener(self.representation), WindowCutter(self.window_samples, self.fps)

        def listen(windows: list[Window]) -> None:
            for window in windows:
                listener.push(window.centre, window.speech, self._recent.of_window(window))

        for block in in_blocks(speech, self.block_samples):
            if not self._kept.full:
                self._kept.add(self._stream.push(block))
                self._recent.push(self._stream.latents)
            listen(cutter.push(block))
        if not self._kept.full and self._stream.samples:
            self._kept.add(self._stream.finish())
            self._finished = True
        listen(cutter.finish())
        return listener.portrait()

    def contexts(self, speech: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield C (1, t, D) of all frames, once, after `hear`: the same speech is read again where it has to be."""
        yield from self._kept
        if not self._finished:
            yield from self._stream.rest(from_sample(speech, self._stream.samples), self.block_samples)


class KeptContexts:
    """Contexts of consecutive frames in one piece of memory, whose pages are taken as they are filled.

    Many small tensors among large ones that come and go took three times their size.

    Args:
        bytes_: room; with the piece that does not fit any more, it is full.
    """

    def __init__(self, bytes_: int) -> None:
        self.full = bytes_ <= 0
        self._bytes = bytes_
        self._room: Tensor | None = None  # (frames, D)
        self._count = 0
        self._last: list[Tensor] = []

    def add(self, contexts: Tensor) -> None:
        """Keep the next frames' C (1, t, D)."""
        if self._room is None:
            size = contexts.shape[2]
            self._room = contexts.new_empty(self._bytes // (size * contexts.element_size()), size)
        following = self._count + contexts.shape[1]
        if following > len(self._room):
            self._last, self.full = [contexts], True
        else:
            self._room[self._count : following] = contexts[0]
            self._count = following

    def __iter__(self) -> Iterator[Tensor]:
        """Yield C (1, t, D), some frames at a time."""
        if self._room is not None:
            yield from self._room[: self._count].unsqueeze(0).split(FRAMES_AT_ONCE, dim=1)
        yield from self._last


class RecentLatents:
    """The last latents of a stream, to be lent to windows.

    Args:
        encoder: in eval mode.
        samples: speech that they last, at least.
    """

    def __init__(self, encoder: SpeechEncoder, samples: int) -> None:
        self.encoder = encoder
        self._most = whole_latents(samples)
        self._latents: Tensor | None = None  # (1, l, C)
        self._first = 0  # number of the latent that _latents begins with

    def push(self, latents: Tensor) -> None:
        """Take the stream's next latents (1, l, C)."""
        joined = latents if self._latents is None else torch.cat([self._latents, latents], dim=1)
        superfluous = max(0, joined.shape[1] - max(self._most, latents.shape[1]))
        self._latents = joined[:, superfluous:]
        self._first += superfluous

    def of_window(self, window: Window) -> Tensor:
        """The latents (1, l, C) of `encode_window`, to rounding; as far as the stream has them, they are its own."""
        speech = window.speech
        shared = self._numbered(shared_latents(window.start, len(speech)))
        if shared is None or len(speech) < 2 * EDGE_SAMPLES:  # two edges would be more speech than the window
            return encode_window(self.encoder, speech)
        edges = self.encoder.encode(torch.stack([speech[:EDGE_SAMPLES], speech[-EDGE_SAMPLES:]]))
        return torch.cat([edges[:1, :1], shared, edges[1:, -1:]], dim=1)

    def _numbered(self, numbers: range) -> Tensor | None:
        """Latents (1, l, C) by their numbers in the stream; None if there are none, or they are not (all) held."""
        if self._latents is None or not numbers:
            return None
        first, end = numbers.start - self._first, numbers.stop - self._first
        return self._latents[:, first:end] if first >= 0 and end <= self._latents.shape[1] else None


def from_sample(speech: Iterable[Tensor], first: int) -> Iterator[Tensor]:
    """Speech without its first samples, in blocks of at least one."""
    for block in speech:
        if first < len(block):
            yield block[first:]
        first = max(0, first - len(block))
