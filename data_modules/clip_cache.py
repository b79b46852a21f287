"""The clip cache: one safetensors file per clip, from which any frames are read without the rest.

`frames` uint8 (T, 3, H, W) RGB, `speech` int16 (T * samples per frame,), and in the header, all strings:
format, fps, sample_rate, source_fps, source_sha256, settings (JSON), clip_id, and checksums: frame_crc32 and
speech_crc32 (JSON lists, a number a frame), header_crc32 (of all the rest). Whatever is read is compared with
them, so that a damaged file is an error and never a wrong frame. In a JPEG cache, `jpeg` uint8 (N,) and
`jpeg_ends` int64 (T + 1,) of `jpeg_frames` stand for `frames`, `height` and `width` are in the header, and
frame_crc32 is of the JPEG bytes.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from isal.isal_zlib import crc32  # zlib's values in a tenth of its time, which was most of a read's
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from data_modules.jpeg_frames import decode_frame, encode_frames
from s2v.errors import InputError
from s2v.files.whole_file import write_whole_file

CACHE_FORMAT = "s2v-clip-2"
JPEG_FORMAT = "s2v-clip-jpeg-1"
_FIRST_FORMAT = "s2v-clip-1"
"""Still read: one checksum for all of the speech, none for the header."""
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")


def cache_file_of(clip_id: str) -> str:
    """Path of a clip's file relative to the cache folder: its id, or a hash where the id is no safe path."""
    parts = clip_id.split("/")
    if all(_PLAIN_NAME.fullmatch(part) for part in parts) and len(clip_id) < 400:
        return f"clips/{clip_id}.safetensors"
    digest = hashlib.sha256(clip_id.encode("utf-8", "surrogateescape")).hexdigest()
    return f"clips/by_hash/{digest[:40]}.safetensors"


def write_clip(
    path: Path, frames: np.ndarray, speech: np.ndarray, header: dict[str, str], jpeg_quality: int = 0
) -> None:
    """Writes a clip atomically. frames (T, 3, H, W) uint8, speech (T * samples per frame,) int16.

    `jpeg_quality` is 1 to 100, or 0 for the pixels as they are.
    """
    stored, speech = {"frames": np.ascontiguousarray(frames)}, np.ascontiguousarray(speech)
    pictures = list(stored["frames"])
    metadata = {**header, "format": CACHE_FORMAT}
    if jpeg_quality:
        jpeg, ends = encode_frames(frames, jpeg_quality)
        stored, pictures = {"jpeg": jpeg, "jpeg_ends": ends}, np.split(jpeg, ends[1:-1])
        metadata |= {"format": JPEG_FORMAT, "height": str(frames.shape[2]), "width": str(frames.shape[3])}
    metadata["frame_crc32"] = json.dumps(_checksums(pictures))
    metadata["speech_crc32"] = json.dumps(_checksums(speech.reshape(len(frames), -1)))
    metadata["header_crc32"] = _header_checksum(metadata)
    data = save({**stored, "speech": speech}, metadata=metadata)
    write_whole_file(path, data)


@dataclass(frozen=True)
class CachedClip:
    """What a clip's header says."""

    path: Path
    num_frames: int
    height: int
    width: int
    fps: int
    clip_id: str
    source_fps: float
    source_sha256: str
    settings: dict[str, Any]


def read_header(path: Path) -> CachedClip:
    """Shapes and metadata, without reading pixels.

    Raises:
        InputError: missing, cut short, or not a clip of this format.
    """
    with _opened(path) as file, _damage_told(path):
        metadata = _checked_metadata(file, path)
        frames = _stored_frames(file, metadata, path)
        return CachedClip(
            path,
            frames.count,
            frames.height,
            frames.width,
            int(metadata["fps"]),
            metadata["clip_id"],
            float(metadata.get("source_fps", 0)),
            metadata["source_sha256"],
            json.loads(metadata["settings"]),
        )


def read_clip(path: Path, start: int = 0, stop: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """All of a clip, or frames [start, stop) with the speech of the same time.

    Returns (T, 3, H, W) uint8 and (T * samples per frame,) int16.

    Raises:
        InputError: missing, or damaged.
    """
    with _opened(path) as file, _damage_told(path):
        metadata = _checked_metadata(file, path)
        frames = _stored_frames(file, metadata, path)
        stop = frames.count if stop is None else min(stop, frames.count)
        sound = _checked_speech(file, metadata, path, start, stop, frames.count)
        return _checked_frames(frames, metadata, path, range(start, stop)), sound


def read_window(
    path: Path, start: int, window_frames: int, first: int, num_frames: int, frame_step: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`num_frames` frames from start + first on, `frame_step` apart, the speech of frames
    [start, start + window_frames) and the clip's first frame; what lies elsewhere in the file is not read.

    Returns (num_frames, 3, H, W) uint8, (window_frames * samples per frame,) int16, (3, H, W) uint8.

    Raises:
        InputError: missing, damaged, or too short.
    """
    with _opened(path) as file, _damage_told(path):
        metadata = _checked_metadata(file, path)
        frames = _stored_frames(file, metadata, path)
        count = frames.count
        if start + window_frames > count:
            raise _unreadable(
                path, f"it has {count} frames, the manifest promised {start + window_frames} or more"
            )
        begin = start + first
        numbers = range(begin, begin + (num_frames - 1) * frame_step + 1, frame_step)
        served = _checked_frames(frames, metadata, path, numbers)
        sound = _checked_speech(file, metadata, path, start, start + window_frames, count)
        return served, sound, _checked_frames(frames, metadata, path, range(1))[0]


def _checked_metadata(file: "safe_open", path: Path) -> dict[str, str]:
    metadata = file.metadata() or {}
    found = metadata.get("format")
    if found not in (CACHE_FORMAT, JPEG_FORMAT, _FIRST_FORMAT):
        raise _unreadable(path, f"its format is {found!r}, not {CACHE_FORMAT!r} or {JPEG_FORMAT!r}")
    if found != _FIRST_FORMAT and metadata.get("header_crc32") != _header_checksum(metadata):
        raise _unreadable(path, "its header does not match its checksum")
    kinds = [file.get_slice(name).get_dtype() for name in (_pictures_in(metadata), "speech")]
    if kinds != ["U8", "I16"]:
        raise _unreadable(path, f"it holds {' and '.join(kinds)}, not U8 and I16")
    return metadata


def _pictures_in(metadata: dict[str, str]) -> str:
    return "jpeg" if metadata["format"] == JPEG_FORMAT else "frames"


class _RawFrames:
    """The frames of an opened clip, stored as pixels."""

    def __init__(self, file: "safe_open") -> None:
        self._pixels = file.get_slice("frames")
        self.count, _, self.height, self.width = self._pixels.get_shape()

    def stored(self, numbers: range) -> np.ndarray:
        """What the file holds of each of these frames."""
        pixels: np.ndarray = self._pixels[numbers.start : numbers.stop]
        return pixels[:: numbers.step]

    def decoded(self, stored: np.ndarray) -> np.ndarray:
        """(T, 3, H, W) uint8."""
        return stored


class _JpegFrames:
    """The frames of an opened clip, stored as JPEG pictures; `path` is for errors."""

    def __init__(self, file: "safe_open", metadata: dict[str, str], path: Path) -> None:
        self._path = path
        self._bytes = file.get_slice("jpeg")
        self._ends = file.get_tensor("jpeg_ends").tolist()
        self.count = len(self._ends) - 1
        self.height, self.width = int(metadata["height"]), int(metadata["width"])

    def stored(self, numbers: range) -> list[np.ndarray]:
        """What the file holds of each of these frames."""
        return [self._bytes[self._ends[number] : self._ends[number + 1]] for number in numbers]

    def decoded(self, stored: list[np.ndarray]) -> np.ndarray:
        """(T, 3, H, W) uint8."""
        frames = np.empty((len(stored), 3, self.height, self.width), np.uint8)
        for place, jpeg in enumerate(stored):
            picture = decode_frame(jpeg)
            if picture is None or picture.shape != frames.shape[1:]:
                raise _unreadable(self._path, "a frame is no picture of its size")
            frames[place] = picture
        return frames


def _stored_frames(file: "safe_open", metadata: dict[str, str], path: Path) -> _RawFrames | _JpegFrames:
    return _JpegFrames(file, metadata, path) if _pictures_in(metadata) == "jpeg" else _RawFrames(file)


def _checked_frames(
    frames: _RawFrames | _JpegFrames, metadata: dict[str, str], path: Path, numbers: range
) -> np.ndarray:
    stored: Any = frames.stored(numbers)
    wanted = json.loads(metadata["frame_crc32"])
    if _checksums(stored) != wanted[numbers.start : numbers.stop : numbers.step]:
        raise _unreadable(path, "its pixels do not match their checksums")
    return frames.decoded(stored)


def _checked_speech(
    file: "safe_open", metadata: dict[str, str], path: Path, start: int, stop: int, count: int
) -> np.ndarray:
    """The speech of frames [start, stop) of `count`."""
    sound = file.get_slice("speech")
    per_frame = sound.get_shape()[0] // max(count, 1)
    speech: np.ndarray = sound[start * per_frame : stop * per_frame]
    wanted = json.loads(metadata["speech_crc32"])
    if isinstance(wanted, list):
        sane = _checksums(speech.reshape(stop - start, per_frame)) == wanted[start:stop]
    else:
        whole = (start, stop) == (0, count)
        sane = not whole or crc32(speech) == wanted
    if not sane:
        raise _unreadable(path, "its speech does not match its checksums")
    return speech


def _checksums(pieces: Iterable[np.ndarray]) -> list[int]:
    return [crc32(piece) for piece in pieces]


def _header_checksum(metadata: dict[str, str]) -> str:
    rest = {name: value for name, value in metadata.items() if name != "header_crc32"}
    return str(crc32(json.dumps(rest, sort_keys=True).encode()))


@contextlib.contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """A part that is missing or can't be parsed, as the InputError that names the file."""
    try:
        yield
    except InputError:
        raise
    except (KeyError, ValueError, IndexError, SafetensorError) as error:
        raise _unreadable(path, f"{type(error).__name__}: {error}") from error


def _opened(path: Path) -> "safe_open":
    try:
        return safe_open(str(path), framework="numpy")
    except FileNotFoundError as error:
        raise InputError(f"no cached clip at {path}; run `s2v prepare` again to make it") from error
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, why: str) -> InputError:
    return InputError(
        f"the cached clip {path} cannot be used ({' '.join(why.split())}); run `s2v prepare --verify` to make it anew"
    )
