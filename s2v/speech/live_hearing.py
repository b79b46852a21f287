"""One pass over live speech: nu from its first window, mu one window late, contexts as they come."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from s2v.batch import SAMPLE_RATE
from s2v.models.speech_representation import SpeechRepresentation
from s2v.speech.frame_contexts import FrameContextStream
from s2v.speech.portrait import Listener, Portrait, cut_windows, encode_window
from s2v.speech.speech_blocks import in_blocks


class LiveHearing:
    """Frames' contexts, each with what the students have said by then.

    A window's frames can't wait for what the students will have heard in it: emotion moves from window k - 1's to
    window k's while window k + 1 is spoken. Only the first window's frames wait, for the identity.

    Args:
        representation: stage 1's networks, in eval mode.
        window_samples: length of a training window.
        fps: frames a second.
        block_samples: samples that the encoder takes at once, at least.
    """

    def __init__(
        self, representation: SpeechRepresentation, window_samples: int, fps: float, block_samples: int
    ) -> None:
        self.representation = representation
        self.window_samples = window_samples
        self.fps = fps
        self.block_samples = block_samples
        self._listener = Listener(representation, windows_at_once=1)
        self._unheard = torch.zeros(0)
        """Speech since the last whole window."""

    def hear(self, speech: Iterable[Tensor]) -> Iterator[tuple[Tensor, Portrait]]:
        """Blocks (n,) on the networks' device -> contexts (1, t, D) of the next frames, and the portrait to show.

        Speech shorter than a window is heard as one shorter window.
        """
        waiting: list[Tensor] = []
        stream = FrameContextStream(self.representation, self.fps)
        for block in in_blocks(speech, self.block_samples):
            self._hear_windows(block)
            waiting.append(stream.push(block))
            if self._listener.times:
                yield from self._shown(waiting)
        waiting.append(stream.finish())
        if not self._listener.times:
            for only in cut_windows([self._unheard], self.window_samples, self.fps):
                self._push(only.centre, only.speech)
        yield from self._shown(waiting)

    def _hear_windows(self, block: Tensor) -> None:
        """Those that are complete with this block."""
        self._unheard = torch.cat([self._unheard.to(block), block])
        while len(self._unheard) >= self.window_samples:
            window = self._unheard[: self.window_samples]
            self._unheard = self._unheard[self.window_samples :]
            next_ends = (len(self._listener.times) + 2) * self.window_samples
            self._push(next_ends / SAMPLE_RATE, window)

    def _push(self, time: float, window: Tensor) -> None:
        self._listener.push(time, window, encode_window(self.representation.cpc, window))

    def _shown(self, waiting: list[Tensor]) -> Iterator[tuple[Tensor, Portrait]]:
        """Each of them, and none waits any more."""
        portrait = self._listener.portrait("first")
        while waiting:
            yield waiting.pop(0), portrait
