"""Frames from speech of any length, in constant memory, equal to what one pass over all of it gives."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn

from s2v.batch import FPS, SAMPLE_RATE
from s2v.errors import InputError
from s2v.generation.clip_decoder import OWN_FRAMES, Likeness, decoder_of
from s2v.generation.pixels import to_pixels
from s2v.models.evaluation_mode import evaluated
from s2v.models.frame_decoder import Speech2VideoGenerator
from s2v.models.speech_representation import SpeechRepresentation
from s2v.speech.first_hearing import KEPT_BYTES, FirstHearing
from s2v.speech.live_hearing import LiveHearing
from s2v.speech.portrait import Identity, Portrait
from s2v.speech.speech_blocks import checked, fitted
from s2v.speech_time import frame_centre, samples_of_frames

Network = TypeVar("Network", bound=nn.Module)

CPU_VALUES = 4 * 2**20
"""Of the largest tensor while frames are decoded on a CPU: 8 frames of the paper's size."""


FIRST_FRAMES = 4
"""Of a video, decoded before all others: who waits for the first frame need not wait for a whole chunk."""


class StreamingGenerator:
    """Talking-face frames from blocks of speech.

    With `identity="mean"` all of the speech is heard before the first frame is made, for the portrait (identity from
    all of it, emotion from window to window). What contexts do not fit into `kept_bytes` are computed anew for the
    frames, so speech has to be iterable twice. With `identity="first"` it is read once, as it comes: identity is the
    first window's, and emotion follows a window late.

    Both networks are put in eval mode. Frames are decoded with the weights that the generator has now, when this is
    made: after more training, make another.

    Args:
        representation: stage 1's networks.
        generator: stage 2's.
        window_frames: length of the training windows; omega is read at the end of stretches of that length.
        fps: frames a second, as in training.
        device: where to compute; by default, where the generator is.
        chunk_frames: frames decoded, and the speech of as many encoded, at once; by default 256 on a GPU, and on a
            CPU, for its caches, 32 frames' speech, and as many frames as make no tensor of more than 16 MiB.
        identity: see above.
        kept_bytes: see above; by default 43 minutes' contexts of the paper's size.
    """

    def __init__(
        self,
        representation: SpeechRepresentation,
        generator: Speech2VideoGenerator,
        window_frames: int,
        fps: float = FPS,
        device: torch.device | str | None = None,
        chunk_frames: int | None = None,
        identity: Identity = "mean",
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        self.device = torch.device(device) if device is not None else next(generator.parameters()).device
        self.representation = on_device(representation, self.device).eval()
        self.generator = on_device(generator, self.device).eval()
        self.fps = fps
        self.window_samples = round(window_frames * SAMPLE_RATE / fps)
        self._decoder = decoder_of(self.generator)
        at_once = speech_at_once = 256
        if self.device.type == "cpu":
            values = self._decoder.frame_values
            at_once = max(1, min(32, CPU_VALUES // values)) if values else OWN_FRAMES
            speech_at_once = 32
        self.chunk_frames = chunk_frames or at_once
        self.block_samples = samples_of_frames(chunk_frames or speech_at_once, fps)
        self.identity = identity
        self.kept_bytes = kept_bytes

    def frames(self, speech: Iterable[Tensor], num_frames: int | None = None) -> Iterator[Tensor]:
        """Yield round(seconds * fps) frames in portions (t, 3, H, W), t <= chunk_frames, uint8 on the CPU.

        Args:
            speech: blocks (n,) float in [-1, 1], 16 kHz mono; see above for how often it is read.
            num_frames: make so many instead: longer speech is cut, shorter is followed by silence.
        """
        for portion in self.decoded(speech, num_frames):
            yield to_pixels(portion).cpu()

    @torch.no_grad()
    def decoded(self, speech: Iterable[Tensor], num_frames: int | None = None) -> Iterator[Tensor]:
        """Like `frames`, but (t, 3, H, W) float in [-1, 1] on the networks' device.

        Raises:
            InputError: there is no sample of speech, or no blocks of floats, or it is an iterator, read once, where it
                has to be read twice.
        """
        if self.identity == "mean" and iter(speech) is speech:
            raise InputError(
                "speech is read twice for identity='mean', but an iterator can be read once: "
                "give a list or SpeechFile, or identity='first'"
            )

        def source() -> Iterator[Tensor]:
            return self._on_device(
                checked(speech) if num_frames is None else fitted(speech, num_frames, self.fps)
            )

        heard: Iterable[tuple[Tensor, Portrait]]
        sizes = (self.window_samples, self.fps, self.block_samples)
        if self.identity == "mean":
            hearing = FirstHearing(self.representation, *sizes, self.kept_bytes)
            whole = hearing.hear(source())
            heard = ((contexts, whole) for contexts in hearing.contexts(source()))
        else:
            heard = LiveHearing(self.representation, *sizes).hear(source())
        likeness: Likeness | None = None
        shown = 0
        for contexts, portrait in heard:
            likeness = likeness or self._decoder.likeness(portrait.nu)
            yield from self._decode(contexts, likeness, portrait, shown)
            shown += contexts.shape[1]

    def _decode(
        self, contexts: Tensor, likeness: Likeness, portrait: Portrait, first: int
    ) -> Iterator[Tensor]:
        """Yield frames `first` and following from their contexts (1, t, D), a chunk at a time."""
        start = 0
        while start < contexts.shape[1]:
            at_once = self.chunk_frames if first + start else min(FIRST_FRAMES, self.chunk_frames)
            chunk = contexts[:, start : start + at_once]
            numbers = range(first + start, first + start + chunk.shape[1])
            mu = portrait.emotion_at([frame_centre(number, self.fps) for number in numbers])
            yield self._decoder.decode(chunk, mu, likeness)[0]
            start += at_once

    def _on_device(self, speech: Iterable[Tensor]) -> Iterator[Tensor]:
        for block in speech:
            yield block.to(self.device, torch.float32)


def generate_clip(
    representation: SpeechRepresentation,
    generator: Speech2VideoGenerator,
    speech: Tensor,
    num_frames: int | None,
    window_frames: int,
    fps: float = FPS,
) -> Tensor:
    """Speech (N,) in memory -> (num_frames, 3, H, W) uint8 on the CPU, by the code that `s2v export` runs.

    Without `num_frames` there are as many frames as export makes of the speech.

    The networks are used where they are, and their modes are as before afterwards. Mixed precision, which a
    trainer may have switched on around this, is off: export has none, and what is tested is what it makes.

    Raises:
        InputError: no frame is asked for, or the speech is none, not float or a batch.
    """
    device = next(generator.parameters()).device
    with evaluated(representation, generator), torch.autocast(device.type, enabled=False):
        stream = StreamingGenerator(representation, generator, window_frames, fps)
        return torch.cat(list(stream.frames([speech], num_frames)))


def on_device(network: Network, device: torch.device) -> Network:
    """The network moved, unless it is there: on a GPU that would lay out recurrent weights anew, amid a fit too."""
    return network if next(network.parameters()).device == device else network.to(device)
