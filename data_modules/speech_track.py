"""Speech of a clip: any rate, any channels -> 16 kHz mono, placed in time by its timestamps."""

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError

from data_modules.clip_refused import ClipRefused
from data_modules.container import open_container, plain

SPEECH_RATE = 16_000
"""Samples per second in the cache. (Equal to `s2v.batch.SAMPLE_RATE`, which workers do not import: torch.)"""

_SILENT_PEAK = 2.0 / 32768
_LONGEST_GAP = 60.0
_JITTER = 0.02
"""Seconds by which a timestamp may stray (containers round to 1 ms) before it counts as a gap or overlap."""
_SURELY = 0.1
"""Seconds from which a single timestamp is believed; nearer ones have to agree, as browsers' recordings tremble."""
_AGREEING = 5
"""Timestamps in a row."""


@dataclass(frozen=True)
class SpeechTrack:
    samples: np.ndarray
    """(N,) int16, 16 kHz mono."""
    start: float
    """Seconds, on the container's clock, of the first sample."""

    @property
    def end(self) -> float:
        return self.start + len(self.samples) / SPEECH_RATE


def decode_speech(path: Path) -> SpeechTrack:
    """The first audio track of a WAV, video or any other media file.

    Gaps between timestamps are filled with silence and overlaps are dropped, so that every sample stands at
    its own time; timestamps that tremble by less than 0.1 s are let be.

    Raises:
        ClipRefused: no audio track, nothing that decodes, or digital silence.
    """
    with open_container(path) as container:
        if not container.streams.audio:
            raise ClipRefused(f"no audio track in {path.name}")
        samples, start = _decode(container, path)
    if len(samples) == 0:
        raise ClipRefused(f"the audio track of {path.name} holds no sound that decodes")
    if not np.isfinite(samples).all() or np.abs(samples).max() <= _SILENT_PEAK:
        raise ClipRefused(
            f"silent: no sample of {path.name}, mixed to mono, is louder than {_SILENT_PEAK:.0e} of full scale"
        )
    return SpeechTrack(np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16), start)


def speech_start(path: Path) -> float | None:
    """Seconds on the container's clock at which a file's audio track begins; None where it has none."""
    with open_container(path) as container:
        if not container.streams.audio:
            return None
        try:
            frame = next(container.decode(container.streams.audio[0]), None)
        except (FFmpegError, IndexError):
            return None
        return None if frame is None else float(frame.time or 0.0)


def _decode(container: InputContainer, path: Path) -> "tuple[np.ndarray, float]":
    """Samples, (N,) float32 at 16 kHz, and the start in seconds."""
    pieces: list[np.ndarray] = []
    waiting: list[np.ndarray] = []
    start, written, rate = 0.0, 0, 0
    mixer = resampler = source = None
    strays = _Strays()
    try:
        for frame in container.decode(container.streams.audio[0]):
            if resampler is None:
                rate, start = frame.sample_rate, float(frame.time or 0.0)
                resampler = av.AudioResampler("fltp", "mono", SPEECH_RATE)
            if frame.sample_rate != rate:
                raise ClipRefused(
                    f"the sample rate of {path.name} changes from {rate} to {frame.sample_rate}"
                )
            # transport streams and ADTS may change channels on the way: finish one mix, begin the next
            if mixer is None or source != (frame.format.name, frame.layout.name):
                rest = _mixed(mixer, None)
                waiting.append(rest)
                written += rest.size
                # to integers: only then does FFmpeg scale the mix so that it cannot overflow
                mixer = av.AudioResampler("s32p", "mono", rate)
                source = (frame.format.name, frame.layout.name)
            stray = strays.believed(frame.time - (start + written / rate) if frame.time is not None else 0.0)
            frame.pts = None
            samples = _mixed(mixer, frame)
            if stray > _LONGEST_GAP:
                raise ClipRefused(f"the audio of {path.name} jumps by {stray:.0f} s")
            if stray > 0:
                samples = np.concatenate([np.zeros(round(stray * rate), np.float32), samples])
            elif stray < 0:
                samples = samples[round(-stray * rate) :]
            waiting.append(samples)
            written += samples.size
            # a second at a time: a call takes longer than a packet's samples
            if sum(map(len, waiting)) >= rate:
                pieces += _resampled(resampler, waiting, rate)
                waiting.clear()
        if resampler is not None:
            pieces += _resampled(resampler, waiting, rate)
            pieces += [part.to_ndarray().reshape(-1) for part in resampler.resample(None)]
    except (FFmpegError, IndexError, ValueError) as error:
        raise ClipRefused(f"the audio track of {path.name} cannot be decoded: {plain(error)}") from error
    return np.concatenate([*pieces, np.zeros(0, np.float32)]), start


class _Strays:
    """Tells gaps and overlaps from timestamps that tremble round the right ones."""

    def __init__(self) -> None:
        self._agreeing: list[float] = []

    def believed(self, stray: float) -> float:
        """By how many seconds a packet is late (or, negative, early): 0 while it may be chance."""
        if self._agreeing and (stray > 0) != (self._agreeing[0] > 0):
            self._agreeing.clear()
        if abs(stray) <= _JITTER:
            self._agreeing.clear()
            return 0.0
        self._agreeing.append(stray)
        if abs(stray) < _SURELY and len(self._agreeing) < _AGREEING:
            return 0.0
        believed = stray if abs(stray) >= _SURELY else sorted(self._agreeing)[len(self._agreeing) // 2]
        self._agreeing.clear()
        return believed


def _mixed(mixer: av.AudioResampler | None, frame: av.AudioFrame | None) -> np.ndarray:
    """A frame's samples, (N,) float32 at their own rate; of no frame, what the mixer still holds."""
    # None is what a mixer with nothing to do answers
    parts = [part for part in mixer.resample(frame) if part is not None] if mixer is not None else []
    mixed = np.concatenate([*(part.to_ndarray().reshape(-1) for part in parts), np.zeros(0, np.int32)])
    return mixed.astype(np.float32) / 2**31


def _resampled(resampler: av.AudioResampler, parts: list[np.ndarray], rate: int) -> list[np.ndarray]:
    samples = np.concatenate([*parts, np.zeros(0, np.float32)])
    if not samples.size:
        return []
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), "fltp", "mono")
    frame.sample_rate, frame.pts = rate, None
    return [part.to_ndarray().reshape(-1) for part in resampler.resample(frame)]
