"""Frames as JPEG pictures one after the other: a tenth of the disk, for a few levels of difference a pixel."""

import itertools

import cv2
import numpy as np


def encode_frames(frames: np.ndarray, quality: int) -> tuple[np.ndarray, np.ndarray]:
    """RGB frames (T, 3, H, W) uint8 -> the pictures' bytes (N,) uint8, joined, and where each begins and the last ends,
    (T + 1,) int64. `quality` is 1 to 100."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
    pictures = []
    for frame in frames:
        encoded, picture = cv2.imencode(
            ".jpg", np.ascontiguousarray(frame[::-1].transpose(1, 2, 0)), settings
        )
        assert encoded  # of an array in memory it always is
        pictures.append(picture)
    ends = itertools.accumulate(map(len, pictures), initial=0)
    return np.concatenate(pictures), np.fromiter(ends, np.int64, len(frames) + 1)


def decode_frame(picture: np.ndarray) -> np.ndarray | None:
    """One picture's bytes (N,) uint8 -> RGB (3, H, W) uint8; None where they are damaged."""
    decoded = cv2.imdecode(picture, cv2.IMREAD_COLOR_RGB)
    return None if decoded is None else decoded.transpose(2, 0, 1)
