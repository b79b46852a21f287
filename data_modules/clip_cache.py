"""The clip cache: one safetensors file per clip, from which any frames are read without the rest.

`frames` uint8 (T, 3, H, W) RGB, `speech` int16 (T * samples per frame,), and in the header, all strings:
format, fps, sample_rate, source_fps, source_sha256, settings (JSON), clip_id, frame_crc32 (JSON list),
speech_crc32. In a JPEG cache, `jpeg` uint8 (N,) and `jpeg_ends` int64 (T + 1,) of `jpeg_frames` stand for `frames`,
`height` and `width` are in the header, and frame_crc32 is of the JPEG bytes.
"""

import contextlib
import hashlib
import json
import os
import re
import time
import uuid
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from data_modules.jpeg_frames import decode_frame, encode_frames
from s2v.errors import InputError

CACHE_FORMAT = "s2v-clip-1"
JPEG_FORMAT = "s2v-clip-jpeg-1"
_PARTIAL = ".partial"
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
    if jpeg_quality:
        jpeg, ends = encode_frames(frames, jpeg_quality)
        stored, pictures = {"jpeg": jpeg, "jpeg_ends": ends}, np.split(jpeg, ends[1:-1])
        header = {**header, "height": str(frames.shape[2]), "width": str(frames.shape[3])}
    else:
        stored, pictures = {"frames": np.ascontiguousarray(frames)}, list(frames)
    checks = {
        "format": JPEG_FORMAT if jpeg_quality else CACHE_FORMAT,
        "frame_crc32": json.dumps([zlib.crc32(picture.tobytes()) for picture in pictures]),
        "speech_crc32": str(zlib.crc32(speech.tobytes())),
    }
    data = save({**stored, "speech": np.ascontiguousarray(speech)}, metadata={**header, **checks})
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}{_PARTIAL}")
    try:
        with open(temporary, "wb") as stream:
            stream.write(data)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_partial_files(folder: Path, older_than: float = 900.0) -> None:
    """Removes what killed writers left in a folder; files younger than `older_than` seconds may be in use."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") and entry.name.endswith(_PARTIAL):
            with contextlib.suppress(OSError):
                if time.time() - entry.stat().st_mtime > older_than:
                    os.unlink(entry.path)


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
    with _opened(path) as file:
        metadata = file.metadata() or {}
        if metadata.get("format") not in (CACHE_FORMAT, JPEG_FORMAT):
            raise _unreadable(
                path, f"its format is {metadata.get('format')!r}, not {CACHE_FORMAT!r} or {JPEG_FORMAT!r}"
            )
        try:
            frames = _stored_frames(file, path)
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
        except (KeyError, ValueError, SafetensorError) as error:
            raise _unreadable(path, f"{type(error).__name__}: {error}") from error


def read_clip(
    path: Path, start: int = 0, stop: int | None = None, *, verify: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """All of a clip, or frames [start, stop) with the speech of the same time.

    Returns (T, 3, H, W) uint8 and (T * samples per frame,) int16. `verify` compares every frame read with
    its checksum, and the speech where all of it is read.
    """
    with _opened(path) as file:
        frames, speech = _stored_frames(file, path), file.get_slice("speech")
        count = frames.count
        per_frame = speech.get_shape()[0] // max(count, 1)
        stop = count if stop is None else stop
        sound = speech[start * per_frame : stop * per_frame]
        if verify:
            metadata = file.metadata() or {}
            wanted = json.loads(metadata.get("frame_crc32", "[]"))[start:stop]
            damaged = frames.checksums(start, stop) != wanted
            if (start, stop) == (0, count):
                damaged |= str(zlib.crc32(sound.tobytes())) != metadata.get("speech_crc32")
            if damaged:
                raise _unreadable(path, "its bytes do not match its checksums")
        return frames.read(start, stop), sound


def read_window(
    path: Path, start: int, window_frames: int, first: int, num_frames: int, frame_step: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`num_frames` frames from start + first on, `frame_step` apart, the speech of frames
    [start, start + window_frames) and the clip's first frame; what lies elsewhere in the file is not read.

    Returns (num_frames, 3, H, W) uint8, (window_frames * samples per frame,) int16, (3, H, W) uint8.
    """
    with _opened(path) as file:
        frames, speech = _stored_frames(file, path), file.get_slice("speech")
        count = frames.count
        if start + window_frames > count:
            raise _unreadable(
                path, f"it has {count} frames, the manifest promised {start + window_frames} or more"
            )
        per_frame = speech.get_shape()[0] // count
        sound = speech[start * per_frame : (start + window_frames) * per_frame]
        begin = start + first
        served = frames.read(begin, begin + (num_frames - 1) * frame_step + 1, frame_step)
        return served, sound, frames.read(0, 1)[0]


class _RawFrames:
    """The frames of an opened clip, stored as pixels."""

    def __init__(self, file: "safe_open") -> None:
        self._pixels = file.get_slice("frames")
        self.count, _, self.height, self.width = self._pixels.get_shape()

    def read(self, start: int, stop: int, step: int = 1) -> np.ndarray:
        """(T, 3, H, W) uint8."""
        pixels: np.ndarray = self._pixels[start:stop]
        return pixels[::step]

    def checksums(self, start: int, stop: int) -> list[int]:
        return [zlib.crc32(frame.tobytes()) for frame in self._pixels[start:stop]]


class _JpegFrames:
    """The frames of an opened clip, stored as JPEG pictures; `path` is for errors."""

    def __init__(self, file: "safe_open", path: Path) -> None:
        metadata = file.metadata()
        self._path = path
        self._bytes = file.get_slice("jpeg")
        self._ends = file.get_tensor("jpeg_ends").tolist()
        self.count = len(self._ends) - 1
        self.height, self.width = int(metadata["height"]), int(metadata["width"])

    def read(self, start: int, stop: int, step: int = 1) -> np.ndarray:
        """(T, 3, H, W) uint8."""
        wanted = range(start, stop, step)
        frames = np.empty((len(wanted), 3, self.height, self.width), np.uint8)
        for place, number in enumerate(wanted):
            picture = decode_frame(self._picture(number))
            if picture is None or picture.shape != frames.shape[1:]:
                raise _unreadable(self._path, f"frame {number} is no picture of its size")
            frames[place] = picture
        return frames

    def checksums(self, start: int, stop: int) -> list[int]:
        return [zlib.crc32(self._picture(number).tobytes()) for number in range(start, stop)]

    def _picture(self, number: int) -> np.ndarray:
        try:
            picture: np.ndarray = self._bytes[self._ends[number] : self._ends[number + 1]]
        except SafetensorError as error:
            raise _unreadable(self._path, str(error)) from error
        return picture


def _stored_frames(file: "safe_open", path: Path) -> _RawFrames | _JpegFrames:
    return _JpegFrames(file, path) if "jpeg" in file.keys() else _RawFrames(file)  # noqa: SIM118 (it is no dict)


def _opened(path: Path) -> "safe_open":
    try:
        return safe_open(str(path), framework="numpy")
    except FileNotFoundError as error:
        raise InputError(f"no cached clip at {path}; run `s2v prepare` again to make it") from error
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, why: str) -> InputError:
    return InputError(
        f"the cached clip {path} cannot be used ({' '.join(why.split())}); delete it and run "
        "`s2v prepare` again"
    )
