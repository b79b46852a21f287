"""What every network that matches lips with speech has in common: its windows, and which part of a face it sees."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from s2v.errors import InputError
from s2v.face_regions import LIP_REGIONS, LipRegion, cut_box

WINDOW_FRAMES = 5
"""Video frames (25 fps) one lip embedding sees."""

WINDOW_STEPS = 20
"""Steps of speech features (100 a second) one speech embedding sees: the time of `WINDOW_FRAMES`."""

STEPS_PER_FRAME = 4


class LipSpeechNetwork(nn.Module, ABC):
    """Two towers, lips and speech, that meet in one embedding space.

    Window v of a clip is its frames v .. v + 4, and the steps 4 v .. 4 v + 19 of its speech features.

    Attributes:
        embedding_dim: dimensions of the space.
        initial_scale: what training multiplies squared distances by at its start: the first losses are near chance.
        unit_length: embeddings have length 1. SyncNet's score then compares no window with zeros, as
            `s2v.metrics.sync_confidence.sync_mode` says; a class whose embeddings are normalised must say so.

    Args:
        image_size: S, side of the lips' input in pixels.
        region: which part of a face `prepare_lips` cuts out; see `s2v.face_regions.LIP_REGIONS`.
    """

    embedding_dim: int
    initial_scale: float
    unit_length: ClassVar[bool] = False

    def __init__(self, image_size: int, region: LipRegion) -> None:
        super().__init__()
        if region not in LIP_REGIONS:
            raise InputError(f"the region of a face is one of {', '.join(LIP_REGIONS)}, but got {region!r}")
        self.image_size = image_size
        self.region: LipRegion = region

    def cut_lips(self, frames: Tensor) -> Tensor:
        """Frames (T, 3, H, W), RGB, to `region` of them as it is, (T, 3, h, w), BGR."""
        return cut_box(frames, LIP_REGIONS[self.region]).flip(1)

    def prepare_lips(self, frames: Tensor) -> Tensor:
        """Frames (T, 3, H, W), RGB 0..255 (uint8 or float), to lip frames (T, 3, S, S), float, BGR 0..255.

        Cuts out `region` and resizes with anti-aliasing. Differentiable for float frames.
        """
        lips = self.cut_lips(frames)
        lips = lips if lips.is_floating_point() else lips.float()
        if lips.shape[-2:] != (self.image_size, self.image_size):
            size = (self.image_size, self.image_size)
            lips = functional.interpolate(lips, size=size, mode="bilinear", antialias=True)
        return lips

    @abstractmethod
    def speech_features(self, speech: Tensor) -> Tensor:
        """Speech (B, N) or (N,), 16 kHz, int16-VALUED, to features (B, L, F) or (L, F), 100 steps a second."""

    @abstractmethod
    def embed_lip_tracks(self, lips: Tensor) -> Tensor:
        """All windows of clips of lip frames (B, T, 3, S, S), BGR 0..255: (B, T - 4, embedding_dim)."""

    @abstractmethod
    def embed_speech_tracks(self, features: Tensor) -> Tensor:
        """Every window that starts on a frame, of features (B, L, F): (B, (L - 20) // 4 + 1, embedding_dim)."""

    def embed_lip_track(self, lips: Tensor) -> Tensor:
        """All windows of one clip (T, 3, S, S): (T - 4, embedding_dim)."""
        return self.embed_lip_tracks(lips.unsqueeze(0))[0]

    def embed_frames(self, frames: Tensor) -> Tensor:
        """All windows of one clip as it is shown, (T, 3, H, W) RGB 0..255 (uint8 or float): (T - 4, embedding_dim)."""
        return self.embed_lip_track(self.prepare_lips(frames).to(next(self.parameters())))

    def embed_speech_track(self, features: Tensor) -> Tensor:
        """Every window of one clip's features (L, F) that starts on a frame: ((L - 20) // 4 + 1, embedding_dim)."""
        return self.embed_speech_tracks(features.unsqueeze(0))[0]
