"""The sheet shows what it is given, where it says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from s2v.evaluation.contact_sheet import (
    MARGIN,
    TEXT_WIDTH,
    Strip,
    contact_sheet_png,
    draw_contact_sheet,
    strip_of,
)
from s2v.evaluation.protocol import Protocol
from s2v.evaluation.scoring import Scoring
from tests.s2v.evaluation.talking_squares import square_clip


def grey_clip(frames: int, size: int = 20, start: int = 0) -> torch.Tensor:
    """Frame t is all of grey level start + t."""
    return (start + torch.arange(frames)).view(-1, 1, 1, 1).expand(-1, 3, size, size).to(torch.uint8)


def test_instants_are_evenly_spaced_from_first_to_last() -> None:
    strip = strip_of("ann", {"real": grey_clip(51)}, fps=25, size=20, instants=6)
    assert strip.rows["real"][:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40, 50]
    assert strip.seconds == [0, 0.4, 0.8, 1.2, 1.6, 2.0]


def test_short_clips_give_what_they_have_and_sizes_keep_their_shape() -> None:
    clip = torch.full((3, 3, 60, 30), 77, dtype=torch.uint8)
    strip = strip_of("ann", {"real": clip, "generated": clip}, fps=25, size=20)
    assert strip.rows["generated"].shape == (3, 3, 20, 10)
    assert (strip.rows["real"] == 77).all()


def test_thumbnails_do_not_hold_the_clip() -> None:
    strip = strip_of("ann", {"real": grey_clip(50)}, fps=25, size=20, instants=2)
    assert strip.rows["real"].untyped_storage().nbytes() == 2 * 3 * 20 * 20


def test_pictures_lie_in_rows_and_columns(tmp_path: Path) -> None:
    strips = [
        strip_of(name, {"real": grey_clip(4, start=base), "generated": grey_clip(4, start=base + 4)}, 25, 20)
        for name, base in (("ann anger", 100), ("ben fear, a very long name that does not fit", 200))
    ]
    path = tmp_path / "sheet.png"
    path.write_bytes(contact_sheet_png(strips))
    with Image.open(path) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    # the 20 x 20 squares are the only areas of these greys this large
    order = []
    for top in range(0, pixels.shape[0] - 20):
        for left in range(TEXT_WIDTH, pixels.shape[1] - 20):
            window = pixels[top : top + 20, left : left + 20]
            if window.min() == window.max() < 255:
                order.append((top, left, int(window[0, 0, 0])))
    assert [grey for _, _, grey in sorted(order)] == [
        *range(100, 104), *range(104, 108), *range(200, 204), *range(204, 208)]  # fmt: skip
    assert [left for _, left, _ in sorted(order)[:4]] == [TEXT_WIDTH + 22 * column for column in range(4)]
    # titles are written in the margin, and stay there
    assert pixels[:, MARGIN : TEXT_WIDTH - MARGIN].min() < 100
    assert pixels[: MARGIN + 18, TEXT_WIDTH - MARGIN : TEXT_WIDTH].min() == 255


def test_each_clip_without_a_speaker_has_a_strip_of_its_own() -> None:
    scoring = Scoring(Protocol("ours"), bootstrap=0)
    for name, speaker, emotion in (
        ("a/0", "a", ""),
        ("a/1", "a", ""),
        ("k", "", ""),
        ("l", "", "anger"),
        ("m", "", "anger"),
    ):
        clip = square_clip("ann", "anger", seed=0, frames=6)
        scoring.add(replace(clip, clip_id=name, speaker=speaker, emotion=emotion))
    assert [strip.title for strip in scoring.strips.values()] == ["a", "k", "l anger", "m anger"]


def test_no_strips_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        draw_contact_sheet(list[Strip]())


def test_a_long_name_of_a_system_is_written_out() -> None:
    """Left of the pictures, none of which it touches: the sheet is as much wider as the name needs."""
    frames = torch.zeros(2, 3, 20, 20, dtype=torch.uint8)
    short = draw_contact_sheet([strip_of("", {"ours": frames}, 25.0, size=20)])
    name = "speech2video, who speaks by CPC alone"
    sheet = draw_contact_sheet([strip_of("", {name: frames}, 25.0, size=20)])
    wider = sheet.width - short.width
    assert wider > 40
    pixels = np.asarray(sheet.convert("L"))
    left = TEXT_WIDTH + wider
    written = np.flatnonzero((pixels[:, :left] < 200).any(axis=0))
    assert written.min() >= MARGIN and left - 2 * MARGIN < written.max() < left
