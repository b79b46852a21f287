"""A contact sheet: for each speaker and emotion real frames above generated ones, instants as columns."""

import io
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from s2v.evaluation.markdown_text import printable

INSTANTS = 8
MARGIN = 8
TEXT_WIDTH = 150
"""Of the left margin, at least: names of systems are written out."""
_INK, _PAPER, _PALE = (20, 20, 20), (255, 255, 255), (110, 110, 110)


@dataclass
class Strip:
    """A few instants of one clip."""

    title: str
    """What the left margin says: speaker and emotion."""
    seconds: list[float]
    rows: dict[str, Tensor]
    """Row label ("real", "generated") -> (K, 3, S, S) uint8 RGB on the CPU."""


def strip_of(
    title: str, rows: dict[str, Tensor], fps: float, size: int = 96, instants: int = INSTANTS
) -> Strip:
    """Pick evenly spaced instants and shrink them. Names lose their control characters, which can't be drawn.

    Args:
        title: for the left margin.
        rows: label -> (T, 3, H, W) uint8 RGB; instants are of the shortest.
        fps: frames a second.
        size: height of the thumbnails, pixels.
        instants: how many, at most T.
    """
    count = min(len(frames) for frames in rows.values())
    picked = torch.linspace(0, count - 1, min(instants, count)).round().long()
    seconds = [index / fps for index in picked.tolist()]
    return Strip(
        printable(title),
        seconds,
        {
            printable(label): _thumbnails(frames[picked.to(frames.device)], size)
            for label, frames in rows.items()
        },
    )


def _thumbnails(frames: Tensor, size: int) -> Tensor:
    height, width = frames.shape[-2:]
    wanted = (size, max(1, round(width * size / height)))
    if (height, width) == wanted:
        return frames.cpu().clone()
    small = F.interpolate(frames.float(), size=wanted, mode="bilinear", antialias=True, align_corners=False)
    return small.round().clamp(0, 255).to(torch.uint8).cpu()


def draw_contact_sheet(strips: list[Strip]) -> Image.Image:
    """The sheet as a picture: strips below each other, the time above each of their columns."""
    if not strips:
        raise ValueError("a contact sheet needs at least one strip")
    columns = max(len(strip.seconds) for strip in strips)
    sizes = [frames.shape[-2:] for strip in strips for frames in strip.rows.values()]
    cell_height, cell_width = (max(side) for side in zip(*sizes, strict=True))
    font = ImageFont.load_default(size=13)
    line = 18
    heights = [line + len(strip.rows) * (cell_height + 2) + MARGIN for strip in strips]
    labels = [font.getbbox(label)[2] for strip in strips for label in strip.rows]
    text_width = max(TEXT_WIDTH, 2 * MARGIN + math.ceil(max(labels, default=0)))
    sheet = Image.new(
        "RGB", (text_width + columns * (cell_width + 2) + MARGIN, sum(heights) + MARGIN), _PAPER
    )
    pen = ImageDraw.Draw(sheet)
    top = MARGIN
    for strip, height in zip(strips, heights, strict=True):
        pen.text(
            (MARGIN, top), _shortened(strip.title, text_width - 2 * MARGIN, pen, font), fill=_INK, font=font
        )
        for column, second in enumerate(strip.seconds):
            pen.text((text_width + column * (cell_width + 2), top), f"{second:.2f} s", fill=_PALE, font=font)
        for index, (label, frames) in enumerate(strip.rows.items()):
            y = top + line + index * (cell_height + 2)
            pen.text((MARGIN, y + cell_height // 2 - 8), label, fill=_PALE, font=font)
            for column, frame in enumerate(frames):
                picture = Image.fromarray(frame.permute(1, 2, 0).contiguous().numpy())
                sheet.paste(picture, (text_width + column * (cell_width + 2), y))
        top += height
    return sheet


def _shortened(
    text: str, room: int, pen: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont
) -> str:
    if pen.textlength(text, font=font) <= room:
        return text
    while text and pen.textlength(text + "...", font=font) > room:
        text = text[:-1]
    return text + "..."


def contact_sheet_png(strips: list[Strip]) -> bytes:
    """The sheet as the bytes of a PNG file."""
    content = io.BytesIO()
    draw_contact_sheet(strips).save(content, format="PNG", optimize=True)
    return content.getvalue()
