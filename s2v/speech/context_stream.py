"""Contexts of speech that arrives in blocks: the numbers of one pass over it, in constant memory."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from s2v.errors import InputError
from s2v.models.cpc import CPC, RecurrentState
from s2v.models.speech_encoder import SpeechEncoder
from s2v.models.windowed_speech_encoder import HeardWindow, WindowedSpeechEncoder, pieces
from s2v.speech_time import LATENTS_BEFORE, complete_latents, first_sample


class ContextStream(ABC):
    """Contexts block by block; joined, they equal the encoder's `forward` of the joined speech.

    Attributes:
        latents: (1, l, C), those of the last push, for whoever wants to hear the same speech otherwise; an encoder
            whose latents cost nothing need not keep them.
    """

    latents: Tensor

    @abstractmethod
    def push(self, speech: Tensor) -> Tensor:
        """Speech (n,), n > 0 -> contexts (1, l, D) of what is complete, possibly none."""

    @abstractmethod
    def finish(self) -> Tensor:
        """The contexts (1, l, D) of the rest, at the end of the speech.

        Raises:
            InputError: all of the speech was shorter than a latent.
        """


def context_stream(encoder: SpeechEncoder) -> ContextStream:
    """The stream for an encoder in eval mode.

    Raises:
        InputError: it is neither a CPC nor heard in windows, and nothing else says how blocks are heard.
    """
    if isinstance(encoder, WindowedSpeechEncoder):
        return WindowedStream(encoder)
    if isinstance(encoder, CPC):
        return CPCStream(encoder)
    raise InputError(
        f"{type(encoder).__name__} can't be heard in blocks, as clips are made: make it a subclass of "
        "s2v.models.cpc.CPC or s2v.models.windowed_speech_encoder.WindowedSpeechEncoder"
    )


class CPCStream(ContextStream):
    """CPC's contexts.

    The convolutions see each block with the neighbouring samples they reach to; the recurrent network's
    state goes from block to block.

    Args:
        cpc: in eval mode.
    """

    def __init__(self, cpc: CPC) -> None:
        self.cpc = cpc
        self.latents = torch.zeros(1, 0, cpc.channels)
        self._held: Tensor | None = None  # (n,) speech from the last latent given on, or from the beginning
        self._given = 0  # latents
        self._state: RecurrentState | None = None

    def push(self, speech: Tensor) -> Tensor:
        self._held = speech if self._held is None else torch.cat([self._held, speech])
        complete = complete_latents(len(self._held))
        if complete <= self._known:
            self.latents = self._held.new_zeros(1, 0, self.cpc.channels)
            return self._held.new_zeros(1, 0, self.cpc.hidden)
        self.latents = self.cpc.encode(self._held.unsqueeze(0))[:, self._known : complete]
        self._held = self._held[first_sample(complete - LATENTS_BEFORE) :]
        return self._summarise(self.latents)

    def finish(self) -> Tensor:
        """The contexts (1, l, D) of the last latents, which hear the padding after the speech."""
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


class WindowedStream(ContextStream):
    """The contexts of an encoder that looks ahead, window by window, each as soon as it is there.

    Args:
        encoder: in eval mode.
    """

    def __init__(self, encoder: WindowedSpeechEncoder) -> None:
        self.encoder = encoder
        self.latents = torch.zeros(1, 0, encoder.channels)
        self._held: Tensor | None = None  # (n,) speech from the last window on, or from the beginning
        self._first = 0  # latent that _held begins with
        self._heard = 0  # whole windows

    def push(self, speech: Tensor) -> Tensor:
        self._held = speech if self._held is None else torch.cat([self._held, speech])
        self.latents = self._held.new_zeros(1, 0, self.encoder.channels)
        return self._hear_whole_windows(self._held)

    def finish(self) -> Tensor:
        if self._held is None:
            raise InputError("expected speech, got no sample of it")
        held = pieces(self._held[None])  # of which the last may be a zero longer, and so the end of a window
        if not held.shape[1]:
            raise InputError(f"expected 10 ms of speech at least, got {len(self._held)} samples")
        latents = self._first + held.shape[1]
        contexts = self._hear_whole_windows(held.flatten())
        return torch.cat([contexts, self._hear(self.encoder.layout.last(latents))], dim=1)

    def _hear_whole_windows(self, held: Tensor) -> Tensor:
        """The contexts (1, l, D) of all windows that have come to their end in the speech (n,) that is held."""
        self._held = held
        contexts = [held.new_zeros(1, 0, self.encoder.hidden)]
        while len(self._held) >= first_sample(
            (window := self.encoder.layout.whole(self._heard)).end - self._first
        ):
            contexts.append(self._hear(window))
            self._heard += 1
            # The last window of all may begin where this one does.
            self._held, self._first = self._held[first_sample(window.start - self._first) :], window.start
        return torch.cat(contexts, dim=1)

    def _hear(self, window: HeardWindow) -> Tensor:
        assert self._held is not None
        begin, end = (first_sample(at - self._first) for at in (window.start, window.end))
        return self.encoder.hear(self._held[None, begin:end])[:, window.taken]
