"""What a WAV file's header passes over: recorders that die leave the length of an earlier moment in it."""

import os
import struct
from pathlib import Path
from typing import BinaryIO

_LEAST = 4096
"""Bytes; what is less may be another program's tags."""


def bytes_after_sound(path: Path) -> int:
    """Bytes behind the sound that are no part of a WAV file, so that nobody reads them; 0 for any other file.

    Zeros, which a recorder may have reserved, don't count. Lengths of 0 or of more than there is are read to the
    file's end by FFmpeg.
    """
    with path.open("rb") as stream:
        start = stream.read(12)
        if start[:4] != b"RIFF" or start[8:] != b"WAVE":
            return 0
        end = os.fstat(stream.fileno()).st_size
        at, padded, behind = 12, False, False
        while end - at > 0:
            chunk = _chunk(stream, at, end) or (_chunk(stream, at - 1, end) if padded else None)
            if chunk is None:
                unread = end - at
                return unread if behind and unread >= _LEAST and _any_but_zeros(stream, at) else 0
            name, size, following = chunk
            if name == b"data" and not 0 < size < end - (following - size):
                return 0
            behind = behind or name == b"data"
            padded = bool(size % 2)
            at = following + size % 2
        return 0


def _chunk(stream: BinaryIO, at: int, end: int) -> tuple[bytes, int, int] | None:
    """Name, length and end of the chunk at `at`; None where there is none."""
    stream.seek(at)
    header = stream.read(8)
    if len(header) < 8:
        return None
    name, size = struct.unpack("<4sI", header)
    following = at + 8 + size
    if not all(32 <= letter < 127 for letter in name) or (following > end and name != b"data"):
        return None
    return name, size, following


def _any_but_zeros(stream: BinaryIO, at: int) -> bool:
    stream.seek(at)
    while block := stream.read(1 << 20):
        if any(block):
            return True
    return False
