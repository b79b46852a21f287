"""nu and mu for speech of any length: the students' outputs, window by window."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from s2v.batch import SAMPLE_RATE
from s2v.errors import InputError
from s2v.models.cpc import CPC
from s2v.models.speech_representation import SpeechRepresentation
from s2v.speech_time import SAMPLES_PER_LATENT, count_frames, samples_of_frames

Identity = Literal["mean", "first"]
"""Which windows tell the identity: all of them, or the first alone."""

WINDOWS_AT_ONCE = 8


@dataclass
class Portrait:
    """One identity, and emotion as a function of time.

    Attributes:
        nu: (1, I), the clip's one identity.
        times: K ascending times in seconds.
        mu: (K, E), the emotion at each of them; linear in between, constant outside.
    """

    nu: Tensor
    times: list[float]
    mu: Tensor

    def emotion_at(self, times: list[float]) -> Tensor:
        """T times in seconds -> mu (1, T, E)."""
        knots = torch.tensor(self.times, dtype=torch.float64)
        asked = torch.tensor(times, dtype=torch.float64)
        if len(knots) == 1:
            return self.mu.expand(len(times), -1).unsqueeze(0)
        after = torch.searchsorted(knots, asked).clamp(1, len(knots) - 1)
        before = after - 1
        fraction = ((asked - knots[before]) / (knots[after] - knots[before])).clamp(0, 1)
        weight = fraction.to(self.mu).unsqueeze(-1)
        before, after = before.to(self.mu.device), after.to(self.mu.device)
        return torch.lerp(self.mu[before], self.mu[after], weight).unsqueeze(0)


class Window(NamedTuple):
    """A stretch of a recording that the students hear alone, as in training."""

    start: int
    """The recording's sample that it begins with."""
    speech: Tensor
    """(N,)."""

    @property
    def centre(self) -> float:
        """Seconds from the recording's beginning."""
        return (self.start + len(self.speech) / 2) / SAMPLE_RATE


def cut_windows(speech: Iterable[Tensor], window_samples: int, fps: float) -> Iterator[Window]:
    """Cut speech into the windows that identity and emotion are heard in, one after the other.

    What is left at the end is heard with the speech before it: the last window ends with the last frame and
    is as long as the others. Speech shorter than a window is one shorter window.

    Args:
        speech: blocks (n,).
        window_samples: length of a training window.
        fps: frames a second.

    Yields:
        Windows of `window_samples`, or of fewer for short speech.
    """
    start = samples = 0  # where the samples held begin; how many came in all
    previous = held = torch.zeros(0)
    for block in speech:
        previous, held = previous.to(block), torch.cat([held.to(block), block])
        samples += len(block)
        # The last window ends with the last frame, which may be up to half a frame before the last sample.
        while start + window_samples <= samples - SAMPLE_RATE / fps:
            previous, held = held[:window_samples], held[window_samples:]
            yield Window(start, previous)
            start += window_samples
    if not samples:
        raise InputError("expected speech, got no sample of it")
    end = samples_of_frames(count_frames(samples, fps), fps)
    rest = torch.cat([held, held.new_zeros(max(0, end - samples))])[: max(0, end - start)]
    while len(rest) >= window_samples:
        previous, rest = rest[:window_samples], rest[window_samples:]
        yield Window(start, previous)
        start += window_samples
    if len(rest):
        last = torch.cat([previous, rest])[-window_samples:]
        yield Window(end - len(last), last)


def encode_window(cpc: CPC, window: Tensor) -> Tensor:
    """A window (N,), heard alone as in training -> its latents (1, l, C)."""
    missing = max(0, SAMPLES_PER_LATENT - len(window))
    return cpc.encode(torch.nn.functional.pad(window, (0, missing)).unsqueeze(0))


class Listener:
    """Hears windows as they come and keeps what the students say of them.

    Args:
        representation: in eval mode.
        windows_at_once: how many are summarised together.
    """

    def __init__(self, representation: SpeechRepresentation, windows_at_once: int = WINDOWS_AT_ONCE) -> None:
        self.representation = representation
        self.windows_at_once = windows_at_once
        self.nu_sum: Tensor | None = None  # (I,)
        self.first_nu: Tensor | None = None  # (I,)
        self.times: list[float] = []
        self.mus: list[Tensor] = []
        self._waiting: list[tuple[Tensor, Tensor]] = []

    def push(self, time: float, window: Tensor, latents: Tensor) -> None:
        """Take a window (N,), its latents (1, l, C), see `encode_window`, and the time in seconds of its emotion."""
        self.times.append(time)
        self._waiting.append((window, latents))
        if len(self._waiting) == self.windows_at_once:
            self._hear()

    def portrait(self, identity: Identity = "mean") -> Portrait:
        """The portrait after the windows pushed so far, at least one."""
        self._hear()
        assert self.nu_sum is not None and self.first_nu is not None
        nu = self.nu_sum / len(self.times) if identity == "mean" else self.first_nu
        return Portrait(nu.unsqueeze(0), list(self.times), torch.cat(self.mus))

    def _hear(self) -> None:
        if self._waiting:
            windows, latents = zip(*self._waiting, strict=True)
            contexts, _ = self.representation.cpc.summarise(torch.cat(latents))
            nu, mu = self.representation.students(
                contexts[:, -1], self.representation.voice(torch.stack(windows))
            )
            self.first_nu = nu[0] if self.first_nu is None else self.first_nu
            self.nu_sum = nu.sum(dim=0) if self.nu_sum is None else self.nu_sum + nu.sum(dim=0)
            self.mus.append(mu)
            self._waiting.clear()


def hear_portrait(
    representation: SpeechRepresentation,
    speech: Iterable[Tensor],
    window_samples: int,
    fps: float,
) -> Portrait:
    """Listen to all of the speech: nu is the mean over its windows, mu is known at each window's centre.

    Arguments as for `cut_windows`, with `representation` in eval mode and the speech on its device.
    """
    listener = Listener(representation)
    for window in cut_windows(speech, window_samples, fps):
        # One after the other: the first layer's 12 MB a window are still in the cache when the next layer reads them.
        listener.push(window.centre, window.speech, encode_window(representation.cpc, window.speech))
    return listener.portrait()
