"""SDFA's frames from speech and a picture, or from speech alone: the baselines' counterpart of `streaming`."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from s2v.batch import FPS, SAMPLES_PER_FRAME
from s2v.errors import InputError
from s2v.generation.pixels import to_pixels
from s2v.generation.streaming import on_device
from s2v.models.evaluation_mode import evaluated
from s2v.models.sdfa import SDFA
from s2v.models.sdfa_speech import frame_windows
from s2v.models.voice_encoder import VoiceEncoder
from s2v.speech.speech_blocks import fitted
from s2v.speech_time import count_frames

NOISE_SEED = 0
"""The same speech and picture give the same video each time."""


class SDFAStream:
    """Talking-face frames from a whole recording, a few at a time.

    SDFA's resampling is of the whole recording at once, which is therefore held in memory (0.2 MB a second); frames
    are not. It makes 25 frames a second, as it was published. The networks are put in eval mode.

    Args:
        network: SDFA or S2F+SDFA.
        still: (3, H, W) uint8, of the network's size; for SDFA.
        voice: the voice encoder; for S2F+SDFA.
        device: where to compute; by default, where the network is.
        chunk_frames: frames decoded at once; by default 32 on a CPU, 256 on a GPU.

    Raises:
        InputError: the still is missing or of another size.
    """

    fps: float = FPS

    def __init__(
        self,
        network: SDFA,
        still: Tensor | None = None,
        voice: VoiceEncoder | None = None,
        device: torch.device | str | None = None,
        chunk_frames: int | None = None,
    ) -> None:
        self.device = torch.device(device) if device is not None else next(network.parameters()).device
        self.network = on_device(network, self.device).eval()
        self.voice = None if voice is None else on_device(voice, self.device).eval()
        self.chunk_frames = chunk_frames or (32 if self.device.type == "cpu" else 256)
        if voice is None:
            height, width = network.frame_size
            if still is None:
                raise InputError("SDFA animates a picture, and none is given")
            if still.shape[-2:] != (height, width):
                came = " x ".join(str(side) for side in still.shape[-2:])
                raise InputError(f"SDFA needs a picture of {height} x {width} pixels, {came} came")
        self.still = still

    @torch.no_grad()
    def frames(self, speech: Iterable[Tensor], num_frames: int | None = None) -> Iterator[Tensor]:
        """Yield round(seconds * 25) frames in portions (t, 3, H, W), t <= chunk_frames, uint8 on the CPU.

        Args:
            speech: blocks (n,) float in [-1, 1], 16 kHz mono.
            num_frames: make so many instead: longer speech is cut, shorter is followed by silence.

        Raises:
            InputError: no frame is asked for, or the speech is none, not float or a batch.
        """
        blocks = [block.to("cpu") for block in speech]
        samples = sum(map(len, blocks))
        if not samples:
            raise InputError("expected speech, got no sample of it")
        total = count_frames(samples, self.fps) if num_frames is None else num_frames
        heard = torch.cat(list(fitted(blocks, total, self.fps))).float().unsqueeze(0)
        windows = frame_windows(heard[:, : total * SAMPLES_PER_FRAME])
        noise = self.network.draw_noise(1, total, torch.Generator().manual_seed(NOISE_SEED))
        parts = self.network.identity_parts(self._who(heard))
        sound_state = noise_state = None
        for start in range(0, total, self.chunk_frames):
            chunk = slice(start, start + self.chunk_frames)
            codes, sound_state = self.network.encoder(windows[:, chunk].to(self.device), sound_state)
            shaped, noise_state = self.network.generator.shape_noise(noise[:, chunk], noise_state)
            yield to_pixels(self.network.generator(codes, shaped, parts)[0]).cpu()

    def _who(self, heard: Tensor) -> Tensor:
        if self.voice is not None:
            return self.voice(heard.to(self.device))
        assert self.still is not None
        return (self.still.to(self.device).float() / 127.5 - 1).unsqueeze(0)


def generate_sdfa_clip(
    network: SDFA,
    speech: Tensor,
    num_frames: int | None,
    still: Tensor | None = None,
    voice: VoiceEncoder | None = None,
) -> Tensor:
    """Speech (N,) in memory -> (num_frames, 3, H, W) uint8 on the CPU, by the code that `s2v export` runs.

    Without `num_frames` there are as many frames as export makes of the speech.

    The networks are used where they are, and their modes are as before afterwards; mixed precision is off.
    """
    device = next(network.parameters()).device
    with evaluated(network, *([] if voice is None else [voice])), torch.autocast(device.type, enabled=False):
        stream = SDFAStream(network, still, voice)
        return torch.cat(list(stream.frames([speech], num_frames)))
