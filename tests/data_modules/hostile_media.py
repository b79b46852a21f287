"""Damaged and odd media files, any number of them, the same ones every time."""

import itertools
import os
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.data_modules.media import shades, tone, write_clip, write_media

REFUSED = 0

NAMES = [
    "two words", "quote'", 'double"quote', "new\nline", "tab\tbed", "späße", "漢字", "👄", "-rf", "--help", "%s%n",
    "$(touch hacked)", "`touch hacked`", "; touch hacked", "a&b|c", "=1+1", "<script>alert(1)</script>", "{0}",
    "[red]red", "*", "~", "#", "a" * 200, "e\u0301", "\u202egnp", "COM1", "dots..",
]  # fmt: skip
"""Stems of ordinary clips."""

PLAYLISTS = {
    "hls.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{secret}\n#EXT-X-ENDLIST\n",
    "hls.m3u8.ts": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{address}/a.ts\n#EXT-X-ENDLIST\n",
    "hls_key.mkv": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{address}/key"\n#EXTINF:10,\n{secret}\n',
    "concat.mp4": "ffconcat version 1.0\nfile '{secret}'\n",
    "concat_url.avi": "ffconcat version 1.0\nfile {address}/a.mp4\n",
    "dash.mp4": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
    "<Period><AdaptationSet><Representation><BaseURL>{address}/a.mp4</BaseURL></Representation></AdaptationSet>"
    "</Period></MPD>",
    "sdp.mov": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n",
    "asx.wmv": '<asx version="3.0"><entry><ref href="{address}/a.wmv"/></entry></asx>',
    "smil.mp4": '<smil><body><video src="{address}/a.mp4"/></body></smil>',
    "svg.mp4": '<svg xmlns="http://www.w3.org/2000/svg"><image href="{address}/a.png"/></svg>',
    "shell.mp4": "#!/bin/sh\ntouch hacked\n",
    "python.avi": "import os; os.system('touch hacked')\n",
    "avs.avi": 'DirectShowSource("{secret}")\n',
    "html.mpg": "<html><script>fetch('{address}')</script></html>",
    "pickle.mp4": "cposix\nsystem\n(S'touch hacked'\ntR.",
}
"""Lists of other files and scripts, under names of media; {secret} is a video outside, {address} a web address."""


def write_hostile(root: Path, count: int, secret: Path, address: str) -> dict[str, int | None]:
    """Writes `count` files below `root`.

    Returns clip id -> frames at 25 per second that it has to give, REFUSED, or None where either is right.
    """
    root.mkdir(parents=True)
    kinds = [_odd(root / "odd"), _named(root / "named"), _playlists(root / "lists", secret, address)]
    damaged = _damaged(root / "damaged")
    expected: dict[str, int | None] = {}
    while len(expected) < count:  # in turn, so that any number has some of each
        for kind in [*kinds, damaged]:
            name, frames = next(kind, None) or next(damaged)
            expected[name] = frames
            if len(expected) == count:
                break
    return expected


def _named(folder: Path) -> Iterator[tuple[str, int | None]]:
    for stem in NAMES:
        write_clip(folder / f"{stem}.mp4", 1.2, sound=tone(1.2))
        yield f"named/{stem}", 30


def _playlists(folder: Path, secret: Path, address: str) -> Iterator[tuple[str, int | None]]:
    folder.mkdir()
    for name, text in PLAYLISTS.items():
        path = folder / name
        path.write_text(text.replace("{secret}", str(secret)).replace("{address}", address))
        yield f"lists/{path.stem}", REFUSED


def _odd(folder: Path) -> Iterator[tuple[str, int | None]]:
    """Whole files, rarely seen."""
    pcm: dict[str, Any] = {"sound_codec": "pcm_s16le"}

    def clip(name: str, width: int = 64, height: int = 48, frames: int = 30, **more: Any) -> Path:
        return write_clip(folder / name, 1.2, **{"frames": shades(frames, width, height), **more})

    clip("10000_hertz.mkv", sound=tone(1.2, 10_000), rate=10_000, **pcm)
    yield "odd/10000_hertz", 30
    clip("7.1.mkv", sound=tone(1.2, 48_000, 8), rate=48_000, **pcm)
    yield "odd/7.1", 30
    clip("192000_hertz.mkv", sound=tone(1.2, 192_000), rate=192_000, **pcm)
    yield "odd/192000_hertz", 30
    clip("one_pixel.mp4", 1, 1, pixels="yuv444p")
    yield "odd/one_pixel", 30
    clip("8192_wide.mp4", 8192, 16)
    yield "odd/8192_wide", 30
    clip("8192_high.mp4", 16, 8192)
    yield "odd/8192_high", 30
    clip("one_frame.mp4", frames=1)
    yield "odd/one_frame", REFUSED
    write_media(folder / "no_frame.mp4", sound=tone(1.2))
    yield "odd/no_frame", REFUSED
    write_media(folder / "no_sound.mp4", shades(30))
    yield "odd/no_sound", REFUSED
    clip("silent.mp4", sound=np.zeros((1, 19_200), np.float32))
    yield "odd/silent", REFUSED
    clip("loud.mkv", sound=np.tile(np.float32([1, -1]), 9_600)[None], **pcm)
    yield "odd/loud", 30
    (folder / "empty.mp4").touch()
    yield "odd/empty", REFUSED
    (folder / "a_folder.mp4").mkdir()
    (folder / "a_folder.mp4" / "inside.mp4").write_bytes(b"\0" * 5000)
    yield "odd/a_folder.mp4/inside", REFUSED
    os.mkfifo(folder / "pipe.mp4")
    yield "odd/pipe", REFUSED
    (folder / "itself.mp4").symlink_to(folder / "itself.mp4")
    yield "odd/itself", REFUSED
    (folder / "memory.mp4").symlink_to("/dev/zero")
    yield "odd/memory", REFUSED
    whole = clip("whole.mp4").read_bytes()
    yield "odd/whole", 30
    for suffix in ("avi", "mkv", "flv", "ts", "webm", "wmv"):  # the content counts, not the name
        (folder / f"is_mp4_{suffix}.{suffix}").write_bytes(whole)
        yield f"odd/is_mp4_{suffix}", 30
    (folder / "is_avi.mp4").write_bytes(clip("avi.avi", video_codec="mpeg4", **pcm).read_bytes())
    (folder / "avi.avi").unlink()
    yield "odd/is_avi", 30
    (folder / "is_wav.mp4").write_bytes(write_media(folder / "wav.wav", sound=tone(2)).read_bytes())
    yield "odd/is_wav", REFUSED
    for name, ticks in (("endless", 0xFFFFFFFF), ("no_time", 0), ("an_hour", 0x0FFFFFFF)):
        data = bytearray(whole)
        for box, place in ((b"mvhd", 20), (b"mdhd", 20), (b"tkhd", 24)):
            at = data.find(box)
            while at >= 0:  # the duration that the header states; frames and samples say otherwise
                struct.pack_into(">I", data, at + place, ticks)
                at = data.find(box, at + 1)
        (folder / f"lasts_{name}.mp4").write_bytes(bytes(data))
        yield f"odd/lasts_{name}", None


def _damaged(folder: Path) -> Iterator[tuple[str, int | None]]:
    """Endless: whole clips with bits flipped, cut short, overwritten, or followed by something else."""
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (30, 48, 64, 3), np.uint8)
    ways = [("mp4", "libx264"), ("flv", "libx264"), ("avi", "mpeg4"), ("mkv", "libx264"), ("ts", "libx264")]
    wholes = []
    for suffix, codec in ways:
        path = write_media(
            folder / f"a.{suffix}", list(noise), sound=tone(1.2, 22_050), video_codec=codec, rate=22_050
        )
        wholes.append((suffix, path.read_bytes()))
        path.unlink()
    for number in itertools.count():
        draw = random.Random(number)
        suffix, whole = wholes[number % len(wholes)]
        data = bytearray(whole)
        at, kind = (
            draw.randrange(len(data)),
            draw.choice(["flip", "flips", "header", "cut", "zeros", "tail", "head"]),
        )
        if kind in ("flip", "flips", "header"):
            for _ in range({"flip": 1, "flips": 50, "header": 20}[kind]):
                data[draw.randrange(2000 if kind == "header" else len(data))] ^= 1 << draw.randrange(8)
        elif kind == "cut":
            del data[at:]
        elif kind == "zeros":
            data[at : at + 3000] = bytes(len(data[at : at + 3000]))
        elif kind == "tail":
            data[at:] = draw.randbytes(len(data) - at)
        else:
            del data[: draw.randrange(3000)]
        (folder / f"{number}_{kind}.{suffix}").write_bytes(bytes(data))
        yield f"damaged/{number}_{kind}", None
