"""One clip, from media files to its cache file: what a preparation worker does."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from data_modules.clip_cache import cache_file_of, read_clip, read_header, write_clip
from data_modules.clip_manifest import ManifestRow
from data_modules.clip_refused import ClipRefused, refused_row
from data_modules.container import promised_seconds
from data_modules.decode import VideoTrack, decode_frames, frames_on_screen, probe_video
from data_modules.face_crop import (
    LOOKED_AT,
    CropBox,
    FaceDetector,
    central_square,
    face_box,
    load_detector,
    resized,
)
from data_modules.layouts import FoundClip
from data_modules.preparation_settings import PreparationSettings
from data_modules.speech_track import SPEECH_RATE, SpeechTrack, decode_speech, speech_start
from s2v.errors import InputError

_MOST_BYTES = 3 * 2**29
"""Of a clip's frames: 1.5 GiB, five minutes at 256 x 256."""


def prepare_clip(
    clip: FoundClip,
    root: Path,
    cache_dir: Path,
    settings: PreparationSettings,
    on_length: Callable[[float], None] = lambda seconds: None,
) -> ManifestRow:
    """Decodes a clip, writes its cache file and returns its manifest row, refused ones with the reason.

    `on_length` is told how many seconds of video there are, before they are decoded; where the container's header says
    it, before the file is read.

    Raises:
        OSError: the cache cannot be written (disk full, read-only): no fault of the clip's.
        ClipRefused: the clip cannot be read now, and is to be tried again.
    """
    found = refused_row(clip)
    try:
        if clip.missing:
            raise ClipRefused(f"no file {clip.missing}")
        promised = promised_seconds(root / clip.video)
        if promised is not None:  # before the file is read whole for the first time
            on_length(min(promised, settings.max_seconds))
        found = replace(found, sha256=_sha256(root / clip.video, root / clip.speech if clip.speech else None))
        finished = _finished(found, cache_dir, settings)
        if finished is not None:
            return finished
        video = probe_video(root / clip.video)
        if promised is None:
            on_length(min(video.end - float(video.times[0]), settings.max_seconds))
        speech = _speech(clip, root, video)
        start, count = common_part(video, speech, settings)
        _check_memory(count, settings)
        frames = _frames(video, start, count, settings)
    except ClipRefused as refusal:
        if refusal.again:
            raise
        return replace(found, reason=str(refusal))
    first, length = round((start - speech.start) * SPEECH_RATE), count * SPEECH_RATE // settings.fps
    samples = speech.samples[first : first + length]
    samples = np.pad(samples, (0, length - len(samples)))
    cache_file = cache_file_of(clip.clip_id)
    source_fps = round(video.rate, 3)
    header = {
        "fps": str(settings.fps),
        "sample_rate": str(SPEECH_RATE),
        "source_sha256": found.sha256,
        "source_fps": str(source_fps),
        "settings": settings.key(),
        "clip_id": clip.clip_id.encode("utf-8", "replace").decode(),
    }
    write_clip(cache_dir / cache_file, frames, samples, header, settings.jpeg_quality)
    return _usable(found, cache_file, count, settings.fps, source_fps)


def _check_memory(count: int, settings: PreparationSettings) -> None:
    """A clip is in memory up to four times while it is written, and a worker may take 6 GiB."""
    needed = 3 * count * settings.size**2
    if needed > _MOST_BYTES:
        raise ClipRefused(
            f"too large: {count / settings.fps:.0f} s of {settings.size} x {settings.size} pixels are "
            f"{needed / 2**30:.1f} GiB, at most {_MOST_BYTES / 2**30:g} are decoded at once; cut it into clips, or "
            "lower --size"
        )


def _usable(found: ManifestRow, cache_file: str, count: int, fps: int, source_fps: float) -> ManifestRow:
    return replace(
        found,
        status="ok",
        cache_file=cache_file,
        duration=count / fps,
        frames=count,
        fps=fps,
        source_fps=source_fps,
    )


def _finished(found: ManifestRow, cache_dir: Path, settings: PreparationSettings) -> ManifestRow | None:
    """The row of a cache file that is already there, made from this source with these settings, and sound.

    Where a run was killed between a clip's cache file and its record, or another run came first.
    """
    cache_file = cache_file_of(found.clip_id)
    path = cache_dir / cache_file
    if not path.is_file():
        return None
    try:
        header = read_header(path)
        if header.source_sha256 != found.sha256 or header.settings != settings.as_stored():
            return None
        read_clip(path)
    except InputError:
        return None
    return _usable(found, cache_file, header.num_frames, header.fps, header.source_fps)


def common_part(video: VideoTrack, speech: SpeechTrack, settings: PreparationSettings) -> tuple[float, int]:
    """Start (seconds, container clock) and number of output frames of the time both tracks cover.

    Raises:
        ClipRefused: they differ by more than `max_av_difference`, or share less than `min_seconds`.
    """
    video_start, video_end = float(video.times[0]), video.end
    start, end = max(video_start, speech.start), min(video_end, speech.end)
    apart = max(video_end, speech.end) - min(video_start, speech.start) - max(end - start, 0.0)
    lengths = f"audio {speech.end - speech.start:.2f} s, video {video_end - video_start:.2f} s"
    if min(video_end - video_start, speech.end - speech.start) < settings.min_seconds - 1e-6:
        raise ClipRefused(f"too short: {lengths}, at least {settings.min_seconds:g} s needed")
    if end - start > settings.max_seconds:
        raise ClipRefused(
            f"too long: {end - start:.0f} s, at most {settings.max_seconds:g} s; cut it into clips"
        )
    if apart > settings.max_av_difference:
        shift = abs(video_start - speech.start)
        offset = f" (they start {shift:.2f} s apart)" if shift > 0.05 else ""
        raise ClipRefused(f"audio and video differ by {apart:.2f} s: {lengths}{offset}")
    # a hundredth of a frame: 2.9999 s at 25 fps are 75 frames
    count = int((end - start) * settings.fps + 0.01)
    if count < max(1, settings.min_seconds * settings.fps - 1):
        raise ClipRefused(
            f"too short: {end - start:.2f} s shared by audio and video, "
            f"at least {settings.min_seconds:g} s needed"
        )
    return start, count


def _speech(clip: FoundClip, root: Path, video: VideoTrack) -> SpeechTrack:
    if not clip.speech:
        return decode_speech(root / clip.video)
    alone = decode_speech(root / clip.speech)
    # A WAV has no clock of its own. Extracted from the video's track, its first sample is that track's first.
    start = speech_start(root / clip.video)
    return SpeechTrack(alone.samples, float(video.times[0]) if start is None else start)


def _frames(video: VideoTrack, start: float, count: int, settings: PreparationSettings) -> np.ndarray:
    shown = frames_on_screen(video.times, start, settings.fps, count)
    box: CropBox | None = None
    if settings.crop == "face":
        looked_at = shown[np.unique(np.linspace(0, count - 1, LOOKED_AT).round().astype(int))]
        pictures = list(decode_frames(video, looked_at))
        box = face_box(pictures, _detector(settings.detector), pixel_aspect=video.upright_aspect)
    frames = np.empty((count, 3, settings.size, settings.size), np.uint8)
    done = 0
    for done, frame in enumerate(decode_frames(video, shown), start=1):
        if box is None:
            box = central_square(frame.shape[1], frame.shape[0], video.upright_aspect)
        frames[done - 1] = resized(frame, box, settings.size).transpose(2, 0, 1)
    if done != count:
        raise ClipRefused(f"truncated or damaged: {done} of {count} frames decode")
    return frames


@cache
def _detector(weights: str) -> FaceDetector:
    return load_detector(weights)


def _sha256(*paths: "Path | None") -> str:
    digest = hashlib.sha256()
    for path in paths:
        if path is None:
            continue
        if not path.is_file():
            raise ClipRefused(
                f"no file {path.name}" if not path.exists() else f"{path.name} is no regular file"
            )
        try:
            with open(path, "rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise ClipRefused(f"{path.name} cannot be read: {error.strerror}", again=True) from error
    return digest.hexdigest()
