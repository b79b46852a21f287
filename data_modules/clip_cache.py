"""The clip cache: one safetensors file per clip, from which any frames are read without the rest.

`frames` uint8 (T, 3, H, W) RGB, `speech` int16 (T * samples per frame,), and in the header, all strings:
format, fps, sample_rate, source_fps, source_sha256, settings (JSON), clip_id, frame_crc32 (JSON list),
speech_crc32.
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

from s2v.errors import InputError

CACHE_FORMAT = "s2v-clip-1"
_PARTIAL = ".partial"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")


def cache_file_of(clip_id: str) -> str:
    """Path of a clip's file relative to the cache folder: its id, or a hash where the id is no safe path."""
    parts = clip_id.split("/")
    if all(_PLAIN_NAME.fullmatch(part) for part in parts) and len(clip_id) < 400:
        return f"clips/{clip_id}.safetensors"
    digest = hashlib.sha256(clip_id.encode("utf-8", "surrogateescape")).hexdigest()
    return f"clips/by_hash/{digest[:40]}.safetensors"


def write_clip(path: Path, frames: np.ndarray, speech: np.ndarray, header: dict[str, str]) -> None:
    """Writes a clip atomically. frames (T, 3, H, W) uint8, speech (T * samples per frame,) int16."""
    checks = {
        "format": CACHE_FORMAT,
        "frame_crc32": json.dumps([zlib.crc32(frame.tobytes()) for frame in frames]),
        "speech_crc32": str(zlib.crc32(speech.tobytes())),
    }
    data = save(
        {"frames": np.ascontiguousarray(frames), "speech": np.ascontiguousarray(speech)},
        metadata={**header, **checks},
    )
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
        if metadata.get("format") != CACHE_FORMAT:
            raise _unreadable(path, f"its format is {metadata.get('format')!r}, not {CACHE_FORMAT!r}")
        try:
            count, _, height, width = file.get_slice("frames").get_shape()
            return CachedClip(
                path,
                count,
                height,
                width,
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
        frames, speech = file.get_slice("frames"), file.get_slice("speech")
        count = frames.get_shape()[0]
        per_frame = speech.get_shape()[0] // max(count, 1)
        stop = count if stop is None else stop
        served, sound = frames[start:stop], speech[start * per_frame : stop * per_frame]
        if verify:
            metadata = file.metadata() or {}
            wanted = json.loads(metadata.get("frame_crc32", "[]"))[start:stop]
            damaged = [zlib.crc32(frame.tobytes()) for frame in served] != wanted
            if (start, stop) == (0, count):
                damaged |= str(zlib.crc32(sound.tobytes())) != metadata.get("speech_crc32")
            if damaged:
                raise _unreadable(path, "its bytes do not match its checksums")
    return served, sound


def read_window(
    path: Path, start: int, window_frames: int, first: int, num_frames: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames [start + first, start + first + num_frames), the speech of frames [start, start + window_frames)
    and the clip's first frame; nothing else is read from the disk.

    Returns (num_frames, 3, H, W) uint8, (window_frames * samples per frame,) int16, (3, H, W) uint8.
    """
    with _opened(path) as file:
        frames, speech = file.get_slice("frames"), file.get_slice("speech")
        count = frames.get_shape()[0]
        if start + window_frames > count:
            raise _unreadable(
                path, f"it has {count} frames, the manifest promised {start + window_frames} or more"
            )
        per_frame = speech.get_shape()[0] // count
        sound = speech[start * per_frame : (start + window_frames) * per_frame]
        return frames[start + first : start + first + num_frames], sound, frames[0:1][0]


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
