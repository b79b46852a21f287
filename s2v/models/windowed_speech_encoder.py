"""Speech encoders that look ahead, heard in windows: a stream of speech gets the contexts of one pass over it."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from s2v.models.speech_encoder import SpeechEncoder
from s2v.speech_time import LATENTS_PER_SECOND, SAMPLES_PER_LATENT


class HeardWindow(NamedTuple):
    """A window of the speech, in latents from its beginning, and which contexts are taken from it."""

    start: int
    end: int
    first_taken: int
    end_taken: int

    @property
    def taken(self) -> slice:
        """The contexts that are taken, counted from its own first one."""
        return slice(self.first_taken - self.start, self.end_taken - self.start)


class WindowLayout:
    """Where windows lie: half a window apart, each gives its middle half, the outermost also the speech's ends.

    All numbers count latents. A window that is followed by another gives nothing of its last quarter, and none but the
    first gives anything of its first quarter, so that every context has heard what lies a quarter of a window before
    and after it, as far as there is speech.

    Args:
        length: of a window, a multiple of 4.
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self.step = length // 2
        self.margin = length // 4

    def whole(self, number: int) -> HeardWindow:
        """The window of that number, which is there once the speech has its `end`, whatever follows."""
        start = number * self.step
        first = start + self.margin if number else 0
        return HeardWindow(start, start + self.length, first, start + self.length - self.margin)

    def whole_windows(self, latents: int) -> int:
        """How many of them there are in so many latents."""
        return max(0, (latents - self.length) // self.step + 1)

    def last(self, latents: int) -> HeardWindow:
        """The window at the end of so many latents, which gives what the others have not."""
        before = self.whole_windows(latents)
        start = max(0, latents - self.length)
        start -= start % 2  # networks of 50 steps a second see the others' steps
        return HeardWindow(start, latents, self.whole(before - 1).end_taken if before else 0, latents)

    def windows(self, latents: int) -> Iterator[HeardWindow]:
        """Yield all windows of speech of so many latents; one that ends with the speech is the last one too."""
        for number in range(self.whole_windows(latents)):
            window = self.whole(number)
            if window.end == latents:
                yield window._replace(end_taken=latents)
                return
            yield window
        yield self.last(latents)


class WindowedSpeechEncoder(SpeechEncoder):
    """An encoder that looks ahead, such as a transformer over all of what it is given.

    A subclass has `hear`, and takes an argument `hidden`. Speech of up to `span` seconds is heard in one piece, longer
    speech in windows of that length (`WindowLayout`), in training as in generation. A latent is the speech itself, the
    160 samples that begin there, so that a stream's and a window's are the same.

    Args:
        hidden: size of a context.
        span: seconds, at least those of a training window; live generation is at most so much late.

    Raises:
        ValueError: span is shorter than 0.04 s, or hidden no size.
    """

    def __init__(self, hidden: int, span: float = 2.0) -> None:
        super().__init__()
        quarter = round(span * LATENTS_PER_SECOND / 4)
        if quarter < 1 or hidden < 1:
            raise ValueError(
                f"span is a time in seconds, at least 0.04, and hidden a size, not span={span}, hidden={hidden}"
            )
        self.span = span  # a plain attribute, so that caches of contexts know it
        self.channels, self.hidden = SAMPLES_PER_LATENT, hidden
        self.layout = WindowLayout(4 * quarter)

    @abstractmethod
    def hear(self, speech: Tensor) -> Tensor:
        """Speech (B, 160 L) of a window, L >= 1, to contexts (B, L, hidden), the i-th at (i + 1/2) / 100 s."""

    def encode(self, speech: Tensor) -> Tensor:
        """Speech (B, N) to latents (B, L, 160), its pieces; L = (N + 1) // 160.

        Raises:
            InputError: the shape is another, or N is below 160.
        """
        self.check_speech(speech)
        return pieces(speech)

    def contexts_of(self, latents: Tensor) -> Tensor:
        """Latents (B, L, 160) of speech that begins and ends there to contexts (B, L, hidden)."""
        heard = [
            self.hear(latents[:, window.start : window.end].flatten(1))[:, window.taken]
            for window in self.layout.windows(latents.shape[1])
        ]
        return torch.cat(heard, dim=1)

    def omega(self, contexts: Tensor) -> Tensor:
        """The mean of the contexts, (B, L, hidden) -> (B, hidden): each tells of its own sound, the last no more."""
        return contexts.mean(dim=1)


def pieces(speech: Tensor) -> Tensor:
    """Speech (B, N) to (B, (N + 1) // 160, 160); one sample short of a piece, it is followed by a zero."""
    count = (speech.shape[1] + 1) // SAMPLES_PER_LATENT
    missing = max(0, count * SAMPLES_PER_LATENT - speech.shape[1])
    whole = functional.pad(speech, (0, missing))[:, : count * SAMPLES_PER_LATENT]
    return rearrange(whole, "b (l samples) -> b l samples", samples=SAMPLES_PER_LATENT)
