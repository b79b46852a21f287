"""nu and mu for speech of any length: the students' outputs, window by window."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from s2v.batch import SAMPLE_RATE
from s2v.errors import InputError
from s2v.models.speech_encoder import SpeechEncoder
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


class WindowCutter:
    """Cuts speech that comes in blocks into the windows that identity and emotion are heard in, one after the other.

    What is left at the end is heard with the speech before it: the last window ends with the last frame and
    is as long as the others. Speech shorter than a window is one shorter window.

    Args:
        window_samples: length of a training window.
        fps: frames a second.
    """

    def __init__(self, window_samples: int, fps: float) -> None:
        self.window_samples = window_samples
        self.fps = fps
        self._samples = 0  # came in all
        self._start = 0  # the sample that `_held` begins with
        self._held = torch.zeros(0)
        self._previous = torch.zeros(0)  # the window before

    def push(self, block: Tensor) -> list[Window]:
        """Speech (n,) -> the windows that are complete with it."""
        self._samples += len(block)
        self._held = torch.cat([self._held.to(block), block])
        # The last window ends with the last frame, which may be up to half a frame before the last sample.
        return self._whole_windows(math.floor(self._samples - SAMPLE_RATE / self.fps))

    def finish(self) -> list[Window]:
        """The windows of what is left.

        Raises:
            InputError: there was no speech.
        """
        if not self._samples:
            raise InputError("expected speech, got no sample of it")
        end = samples_of_frames(count_frames(self._samples, self.fps), self.fps)
        silence = self._held.new_zeros(max(0, end - self._samples))
        self._held = torch.cat([self._held, silence])[: max(0, end - self._start)]
        windows = self._whole_windows(end)
        if len(self._held):
            last = torch.cat([self._previous.to(self._held), self._held])[-self.window_samples :]
            windows.append(Window(end - len(last), last))
        return windows

    def _whole_windows(self, end: int) -> list[Window]:
        """Those that are over at sample `end`."""
        windows = []
        while self._start + self.window_samples <= end:
            self._previous, self._held = self._held.split(
                [self.window_samples, len(self._held) - self.window_samples]
            )
            windows.append(Window(self._start, self._previous))
            self._start += self.window_samples
        return windows


def cut_windows(speech: Iterable[Tensor], window_samples: int, fps: float) -> Iterator[Window]:
    """Yield the windows of `WindowCutter` from blocks (n,)."""
    cutter = WindowCutter(window_samples, fps)
    for block in speech:
        yield from cutter.push(block)
    yield from cutter.finish()


def encode_window(encoder: SpeechEncoder, window: Tensor) -> Tensor:
    """A window (N,), heard alone as in training -> its latents (1, l, C)."""
    missing = max(0, SAMPLES_PER_LATENT - len(window))
    return encoder.encode(torch.nn.functional.pad(window, (0, missing)).unsqueeze(0))


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
            contexts = self.representation.cpc.contexts_of(torch.cat(latents))
            nu, mu = self.representation.students(
                self.representation.cpc.omega(contexts), self.representation.voice(torch.stack(windows))
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
