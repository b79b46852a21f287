"""The face cut out of videos that are scored, as `s2v prepare --crop face` cuts it out of a corpus."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data_modules.face_crop import LOOKED_AT, CropBox, face_box, load_detector, resized


@dataclass(frozen=True)
class VideoCrop:
    """One steady box a video, cut out and made a square picture.

    Attributes:
        size: side of the pictures in pixels.
        detector: YuNet's .onnx file; empty: OpenCV's Haar cascade.
    """

    size: int = 128
    detector: str = ""

    def box(self, frames: Tensor, pixel_aspect: float = 1.0) -> CropBox:
        """Where the face is in (T, 3, H, W) uint8 RGB; `pixel_aspect` = width of a pixel / its height.

        Raises:
            ClipRefused: no face in half of the frames looked at.
            InputError: no such detector.
        """
        looked_at = np.unique(np.linspace(0, len(frames) - 1, LOOKED_AT).round().astype(int))
        pictures = [_channels_last(frames[number]) for number in looked_at.tolist()]
        # made anew for each video: threads of a Dask worker can't share one of OpenCV's
        return face_box(pictures, load_detector(self.detector), pixel_aspect=pixel_aspect)

    def cut(self, frames: Tensor, box: CropBox) -> Tensor:
        """(T, 3, H, W) uint8 RGB -> (T, 3, size, size): the box, which lies inside."""
        cropped = torch.empty((len(frames), 3, self.size, self.size), dtype=torch.uint8)
        for number, frame in enumerate(frames):
            part = resized(_channels_last(frame), box, self.size)
            cropped[number] = torch.from_numpy(np.ascontiguousarray(part.transpose(2, 0, 1)))
        return cropped


def _channels_last(frame: Tensor) -> np.ndarray:
    """(3, H, W) -> (H, W, 3), as OpenCV has it."""
    return np.ascontiguousarray(frame.numpy().transpose(1, 2, 0))
