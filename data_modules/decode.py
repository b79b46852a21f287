"""Video of a clip: when each frame is shown, and its pixels.

Pixels come from decord, several times faster than PyAV for a whole clip. Times come from PyAV: decord counts
them from its own first frame, and where a video starts later than its sound (edit lists, start offsets) that
difference is what keeps lips in step. PyAV also gives the pixels where decord can not be trusted: a video
that decord does not open, whose frames it counts differently, that is rotated (decord 0.6 returns scrambled
rows for a display matrix of 90 degrees), that is narrow (it hands out rows with FFmpeg's padding, 96 bytes
for 16 pixels, and only the size of the whole tells that they are not the picture), or in which it does not
find its way to a frame: MPEG transport streams, open groups of pictures, and videos whose first pictures do
not decode, as a cut without encoding anew leaves them.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# Bounds how long decord retries at a damaged end; its default of 10,240 takes minutes. Read on import.
os.environ.setdefault("DECORD_EOF_RETRY_MAX", "128")

import av
import decord
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.sidedata.sidedata import SideData

from data_modules.clip_refused import ClipRefused
from data_modules.container import open_container, plain
from data_modules.decoder_complaints import complaints

_MOST_BYTES_OF_DECORD = 512 * 2**20
"""Of all of a track's frames: decord keeps up to all of those it has decoded, gigabytes of a phone's minute."""
_MOST_BYTES_AT_ONCE = 64 * 2**20
_MOST_PIXELS = 64 * 2**20
_MOST_FRAMES = 250_000
_SAME_TIME = 1e-4
_CUT_SHORT = 0.2
_NARROW = 80
"""Pixels; the widest frames seen with padded rows have 72."""
_WIDEST_PIXEL = 4
"""Times its height (or as many times higher); a header that says more is wrong."""
_DECORD_ERRORS = (decord.DECORDError, decord.DECORDLimitReachedError)


@dataclass(frozen=True)
class VideoTrack:
    """When the frames of a video are shown, and how they are to be turned."""

    path: Path
    times: np.ndarray
    """(F,) float64, seconds on the container's clock: when each frame appears; increasing."""
    end: float
    """Seconds on the container's clock: when the last frame goes."""
    width: int
    height: int
    """Of the pixels as stored, before any rotation."""
    pixel_aspect: float
    """Width of a pixel / its height, as stored."""
    orientation: "tuple[bool, bool, bool]" = (False, False, False)
    """(transpose, flip horizontally, flip vertically), in this order, to stand upright."""
    winding: bool = False
    """Whether decord would hand out other frames than asked for."""
    counted: bool = False
    """Whether a decoded frame is known by its number: AVI says when frames are decoded, not when they are shown."""

    @property
    def upright_aspect(self) -> float:
        """Width of a pixel / its height in the frames that `decode_frames` gives."""
        return 1 / self.pixel_aspect if self.orientation[0] else self.pixel_aspect

    @property
    def rate(self) -> float:
        """Average frames per second."""
        return len(self.times) / max(self.end - float(self.times[0]), 1e-6)


def probe_video(path: Path) -> VideoTrack:
    """Reads packet times without decoding, then one frame for its size and orientation.

    Raises:
        ClipRefused: cannot be opened, has no video stream, no frame that decodes, or a part is missing.
    """
    with open_container(path) as container:
        stream = _video_stream(container, path)
        packets = _packet_times(container, stream, path)
        aspect = stream.sample_aspect_ratio
    width, height, orientation, first = _first_frame(path)
    times, durations = np.asarray(packets.shown, np.float64).T
    order = np.argsort(times, kind="stable")
    if not packets.counted:
        order = order[times[order] >= first - _SAME_TIME]
    if not len(order):
        raise ClipRefused(f"damaged: no frame of {path.name} decodes that has a timestamp")
    stamps = times[order]
    steps = np.diff(stamps)
    if np.count_nonzero(steps <= 0) > 0.02 * len(stamps):
        raise ClipRefused(f"damaged: frames of {path.name} share their timestamps")
    last = float(durations[order[-1]])
    if last <= 0:
        last = float(np.median(steps)) if len(steps) else 0.04
    return VideoTrack(
        path,
        stamps,
        float(stamps[-1] + last),
        width,
        height,
        float(aspect) if aspect and 1 / _WIDEST_PIXEL <= aspect <= _WIDEST_PIXEL else 1.0,
        orientation,
        packets.winding or len(stamps) < len(times),
        packets.counted,
    )


@dataclass
class _PacketTimes:
    """What the packets of a container say of its video's frames.

    Attributes:
        shown: time and duration, in seconds, of the frames that are meant to be shown, in the order stored.
        frames: all that were read, with those that an edit list cuts off.
        reached: seconds at which the last packet of any stream ends.
        winding: whether decord would lose its way among them.
        damage: why reading stopped; empty where it came to the end.
        counted: see `VideoTrack`.
    """

    shown: list[tuple[float, float]] = field(default_factory=list)
    frames: int = 0
    reached: float = 0.0
    winding: bool = False
    damage: str = ""
    counted: bool = False


def _packet_times(container: InputContainer, stream: av.VideoStream, path: Path) -> _PacketTimes:
    """All of a video's; raises ClipRefused where a part of them is missing, or they have no timestamps."""
    found = _PacketTimes(winding="mpegts" in container.format.name, counted=container.format.name == "avi")
    try:
        _read_packets(container, stream, path, found)
    except (FFmpegError, IndexError) as error:  # PyAV's IndexError: a stream that the header knows not
        found.damage = plain(error)
    # Matroska flags no cut block, but its header says how long the file was to be
    if "matroska" in container.format.name and container.duration:
        promised = container.duration / av.time_base
        if found.reached < promised - _CUT_SHORT:
            short = f"they end at {found.reached:.2f} s, the header promises {promised:.2f} s"
            found.damage = found.damage or short
    # MP4's index lists every frame, without what an edit list cuts off; other containers promise nothing
    expected = len(stream.index_entries) if "mp4" in container.format.name else 0
    if found.damage or found.frames < expected - 1:
        of = f" of {expected}" if expected else ""
        because = f" ({found.damage})" if found.damage else ""
        raise ClipRefused(f"truncated: {found.frames}{of} frames can be read from {path.name}{because}")
    if not found.shown:
        raise ClipRefused(f"no frames in the video stream of {path.name}")
    return found


def _read_packets(container: InputContainer, stream: av.VideoStream, path: Path, found: _PacketTimes) -> None:
    base, key = float(stream.time_base or 0), -math.inf
    for packet in container.demux():
        if packet.is_corrupt:
            found.damage = "the next is cut off"
            return
        if packet.pts is not None and packet.time_base is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            found.reached = max(found.reached, end)
        if packet.size == 0 or packet.stream_index != stream.index:
            continue
        found.frames += 1
        # of an AVI, FFmpeg guesses when frames are shown, with B-frames wrongly; in the order of their times, decoding
        # times are those of the frames shown
        stamp = packet.pts if packet.pts is not None and not found.counted else packet.dts
        if stamp is None:
            raise ClipRefused(f"the frames of {path.name} carry no timestamps")
        # an open group of pictures: some of those stored after a key frame are shown before it
        found.winding |= stamp < key
        key = stamp if packet.is_keyframe else key
        if not packet.is_discard:
            found.shown.append((stamp * base, (packet.duration or 0) * base))
        if found.frames > _MOST_FRAMES:
            raise ClipRefused(f"too long: more than {_MOST_FRAMES} frames in {path.name}")


def _video_stream(container: InputContainer, path: Path) -> av.VideoStream:
    """The first stream that moves (a song's cover picture is a video stream too), on one thread."""
    for stream in container.streams.video:
        if "attached_pic" not in str(stream.disposition):
            stream.thread_type = "NONE"
            return stream
    raise ClipRefused(f"no video stream in {path.name}")


def _first_frame(path: Path) -> "tuple[int, int, tuple[bool, bool, bool], float]":
    """Width, height, orientation and time in seconds, of the first frame that decodes."""
    try:
        with open_container(path) as container:
            frame = next(container.decode(_video_stream(container, path)), None)
            if frame is None:
                raise ClipRefused(f"no frame of {path.name} decodes")
            if frame.width * frame.height > _MOST_PIXELS:
                raise ClipRefused(f"frames of {frame.width} x {frame.height} in {path.name}: too large")
            side_data = frame.side_data.get("DISPLAYMATRIX")
            matrix = bytes(side_data) if isinstance(side_data, SideData) else b""
            begins = -math.inf if frame.time is None else frame.time
            return frame.width, frame.height, orientation_of(matrix), begins
    except (FFmpegError, IndexError) as error:
        raise ClipRefused(f"no frame of {path.name} decodes: {plain(error)}") from error


def orientation_of(display_matrix: bytes) -> "tuple[bool, bool, bool]":
    """(transpose, flip horizontally, flip vertically) that a container's 3 x 3 display matrix asks for.

    x' = a x + c y, y' = b x + d y, y downwards; only right angles and mirrors are told apart.
    """
    if len(display_matrix) < 36:
        return (False, False, False)
    a, b, _, c, d, *_ = np.frombuffer(display_matrix[:36], "<i4").tolist()
    if abs(a) >= abs(b):
        return (False, a < 0, d < 0)
    return (True, c < 0, b < 0)


def upright(frame: np.ndarray, orientation: "tuple[bool, bool, bool]") -> np.ndarray:
    """(H, W, 3) as stored -> as meant to be seen."""
    transpose, mirror, flip = orientation
    frame = frame.transpose(1, 0, 2) if transpose else frame
    frame = frame[:, ::-1] if mirror else frame
    return np.ascontiguousarray(frame[::-1] if flip else frame)


def frames_on_screen(times: np.ndarray, start: float, fps: int, count: int) -> np.ndarray:
    """Index of the source frame shown at the centre of each of `count` output frames.

    Output frame k stands for [start + k / fps, start + (k + 1) / fps). Centres make the choice safe against
    timestamps that containers round to milliseconds. times: (F,) increasing; returns (count,) int64.
    """
    centres = start + (np.arange(count) + 0.5) / fps
    return np.clip(np.searchsorted(times, centres + 1e-9, side="right") - 1, 0, len(times) - 1)


def decode_frames(track: VideoTrack, indices: np.ndarray) -> Iterator[np.ndarray]:
    """Pixels of the frames `indices` (non-decreasing, repeats allowed), (H, W, 3) uint8 RGB, upright.

    Streams: a few frames are in memory at a time, whatever the length.

    Raises:
        ClipRefused: frames are missing or damaged.
    """
    pixels = 3 * track.width * track.height * len(track.times)
    by_pyav = (
        track.winding or any(track.orientation) or track.width < _NARROW or pixels > _MOST_BYTES_OF_DECORD
    )
    source = _with_pyav if by_pyav else _with_decord
    wanted, repeats = np.unique(indices, return_counts=True)
    for frame, repeat in zip(source(track, wanted), repeats.tolist(), strict=True):
        for _ in range(repeat):
            yield frame


def _with_decord(track: VideoTrack, wanted: np.ndarray) -> Iterator[np.ndarray]:
    with complaints():  # opening decodes too: another thread would hear this file's damage as its own file's
        reader = _open_decord(track)
    if reader is None:
        yield from _with_pyav(track, wanted)
        return
    at_once = max(1, min(64, _MOST_BYTES_AT_ONCE // (3 * track.width * track.height)))
    for first in range(0, len(wanted), at_once):
        chosen = wanted[first : first + at_once]
        try:
            with complaints() as heard:
                pixels = reader.get_batch(chosen.tolist()).asnumpy()
        except _DECORD_ERRORS:
            yield from _with_pyav(track, wanted[first:])
            return
        if heard.damage:
            raise ClipRefused(f"damaged: {track.path.name} decodes with errors ({heard.damage})")
        yield from pixels


def _open_decord(track: VideoTrack) -> "decord.VideoReader | None":
    """A decord reader whose frames are the track's frames; None where it can not be had."""
    try:
        reader = decord.VideoReader(str(track.path.absolute()), num_threads=1, fault_tol=1)
        if len(reader) != len(track.times):
            return None
        times = reader.get_frame_timestamp(list(range(len(reader))))[:, 0]
    except (*_DECORD_ERRORS, OSError, RuntimeError, IndexError, ValueError):
        return None
    apart = np.abs((times - times[0]) - (track.times - track.times[0])).max()
    return reader if apart < 0.01 else None


def _with_pyav(track: VideoTrack, wanted: np.ndarray) -> Iterator[np.ndarray]:
    wanted_times = track.times[wanted]
    with open_container(track.path) as container:
        stream = _video_stream(container, track.path)
        position = 0
        try:
            for number, frame in enumerate(container.decode(stream)):
                if position == len(wanted_times):
                    return
                time = float(track.times[min(number, len(track.times) - 1)]) if track.counted else frame.time
                if time is None or frame.is_corrupt or time < wanted_times[position] - _SAME_TIME:
                    continue
                if time > wanted_times[position] + _SAME_TIME:
                    break
                if frame.width != track.width or frame.height != track.height:
                    frame = frame.reformat(track.width, track.height)
                yield upright(frame.to_ndarray(format="rgb24"), track.orientation)
                position += 1
        except (FFmpegError, IndexError) as error:
            raise ClipRefused(
                f"truncated or damaged: {track.path.name} stops decoding ({plain(error)})"
            ) from error
    if position < len(wanted_times):
        raise ClipRefused(
            f"truncated or damaged: {position} of {len(wanted_times)} frames of {track.path.name} decode"
        )
