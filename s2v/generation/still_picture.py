"""A picture file as the still that SDFA animates."""

from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from s2v.errors import InputError, one_line


def read_still(path: str | Path, size: tuple[int, int]) -> Tensor:
    """The largest part of the picture's middle that has the wanted proportions, resized: (3, H, W) uint8 RGB.

    Args:
        path: JPEG, PNG or whatever Pillow reads; turned upright where its EXIF data say how.
        size: height and width wanted.

    Raises:
        InputError: there is no such file, it is no picture, or its greys have more than 8 bits.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"--image: there is no file {file}: check the path")
    try:
        with Image.open(file) as opened:
            if opened.mode.startswith(("I", "F")):  # which Pillow would cut at 255, white
                raise ValueError(f"its greys have more than 8 bits, Pillow's mode {opened.mode}")
            picture = ImageOps.exif_transpose(opened).convert("RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise InputError(
            f"--image: {file} can't be read as a picture ({one_line(error, 120)}): convert it to JPEG or PNG of 8 bits"
        ) from error
    height, width = size
    fitted = ImageOps.fit(picture, (width, height), Image.Resampling.BICUBIC)
    return torch.from_numpy(rearrange(np.array(fitted), "h w c -> c h w").copy())
