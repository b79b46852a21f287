"""What a viewer gets of generated frames: through the MP4 (H.264, the mark) that `s2v export` writes, and back."""

import tempfile
from pathlib import Path

from torch import Tensor

from s2v.evaluation.video_pairs import read_video
from s2v.generation.mp4_writer import write_mp4


def exported_frames(frames: Tensor) -> Tensor:
    """Frames (T, 3, H, W) uint8 RGB at 25 fps -> the same, as a player decodes them, on the CPU.

    The video is made as an export's, with the invisible mark, and without its sound, which changes no frame.

    Raises:
        ClipRefused: what was written does not decode, or is too much to hold.
    """
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "exported.mp4"
        write_mp4(video, [frames], threads=1, mark=True)
        decoded, _ = read_video(video)
    return decoded[..., : frames.shape[-2], : frames.shape[-1]]  # odd sizes gained a row or column
