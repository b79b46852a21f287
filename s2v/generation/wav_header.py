"""What a WAV file's header says of its length: dead recorders leave an earlier moment's, cut files the whole's."""

import os
import struct
from pathlib import Path
from typing import BinaryIO

_LEAST = 4096
"""Bytes; what is less may be another program's tags."""

_EXTENDED = 0xFFFE
_PLAIN = (1, 3, _EXTENDED)
"""Integers, floats, and either in an extended header. Of codecs the bytes a second are a mean."""

_UNKNOWN = 0x7FFF0000
"""Bytes; such lengths, and 0, are left by programs that can't go back to the header, as those that write to a pipe."""


def stated_seconds(path: Path) -> float | None:
    """Seconds of plain samples that a WAV file's header promises; None for any other file, and where it isn't known.

    FFmpeg takes what is left of a file that was cut for the whole of it.
    """
    with path.open("rb") as stream:
        end = _end(stream)
        at, per_second = 12, 0
        while chunk := _chunk(stream, at, end):
            name, size, following = chunk
            if name == b"data":
                return size / per_second if per_second and 0 < size < _UNKNOWN else None
            if name == b"fmt " and size >= 16:
                kind, _, _, rate = struct.unpack("<HHII", stream.read(12))
                per_second = rate if kind in _PLAIN else 0
            at = following + size % 2
        return None


def states_speakers(path: Path) -> bool:
    """Whether a WAV file's header says which loudspeaker each of its channels is for; True for any other file."""
    with path.open("rb") as stream:
        end = _end(stream)
        at = 12
        while chunk := _chunk(stream, at, end):
            name, size, following = chunk
            if name == b"fmt " and size >= 16:
                described = stream.read(min(size, 24))
                kind, channels = struct.unpack("<HH", described[:4])
                return channels <= 2 or (kind == _EXTENDED and any(described[20:24]))
            at = following + size % 2
        return True


def bytes_after_sound(path: Path) -> int:
    """Bytes behind the sound that are no part of a WAV file, so that nobody reads them; 0 for any other file.

    Zeros, which a recorder may have reserved, don't count. Lengths of 0 or of more than there is are read to the
    file's end by FFmpeg.
    """
    with path.open("rb") as stream:
        end = _end(stream)
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


def _end(stream: BinaryIO) -> int:
    """Where a WAV file's chunks, which begin at its byte 12, end; 0 of any other file."""
    start = stream.read(12)
    return os.fstat(stream.fileno()).st_size if (start[:4], start[8:]) == (b"RIFF", b"WAVE") else 0


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
