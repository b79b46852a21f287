"""Speech from any audio or video file: 16 kHz mono, in blocks, however long the file is.

And its sound, as it is put into a video.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import torch
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from torch import Tensor

from data_modules.container import LOCAL_MEDIA_ONLY
from s2v.batch import LOUDEST, SAMPLE_RATE
from s2v.errors import InputError
from s2v.generation.wav_header import stated_seconds, states_speakers

SOUND_RATE = 48_000
"""Samples a second of a video's sound."""
MOST_SPEAKERS = 8
"""Channels that FFmpeg mixes."""

STATES_LENGTH = {"flac", "ogg", "mov,mp4,m4a,3gp,3g2,mj2"}
"""FFmpeg's names of formats whose length is written in the file; others' may be an estimate, or come of its size."""


class SpeechFile:
    """The sound of one file as float32 blocks in [-1, 1], 16 kHz mono.

    It can be iterated any number of times (the file is read anew each time, with the same result) and
    holds a block at a time, so a file of hours costs the memory of one of seconds.

    Channels are mixed down by libswresample, and samples go through int16: that is what the cache holds
    and the networks were trained on, and libswresample scales a downmix so that it can't clip only
    when integers come out of it (between floats, two equal channels would come out 1.41 times as loud).

    Args:
        path: audio file, or video file whose best sound track is taken.
        block_samples: length of every block but the last.

    Raises:
        InputError: there is no such file, it is no recording, or it has no sound track; when iterated, its samples are
            no numbers from -1 to 1.
    """

    def __init__(self, path: str | Path, block_samples: int = SAMPLE_RATE) -> None:
        if block_samples < 1:
            raise InputError(f"block_samples must be at least 1, got {block_samples}")
        self.path = Path(path)
        self.block_samples = block_samples
        self.damaged_packets = 0
        """Packets that could not be decoded and were left out, of the pass that came furthest: several may run."""
        self.loudest = 0.0
        """Of all passes' blocks: the greatest root mean square."""
        self.seconds = 0.0
        """What could be decoded, of the pass that came furthest."""
        with self._open() as container:
            stream = container.streams.best("audio")
            assert isinstance(stream, AudioStream)  # _open has looked
            self.channels = 2 if stream.codec_context.layout.nb_channels == 2 else 1
            """Of its `sound`: two where the recording has two, else one."""
            # only these hold whatever was written; a decoder may overshoot anyhow where a packet is damaged
            self._written_floats = stream.codec_context.name.startswith("pcm_f")
            # whether a length that is stated can be counted on
            self.states_length = container.format.name in STATES_LENGTH and stream.duration is not None
            if stream.duration is not None and stream.time_base is not None:
                duration: float | None = float(stream.duration * stream.time_base)
            elif container.duration is not None:
                duration = container.duration / av.time_base
            else:
                duration = None
            if container.format.name == "wav" and (said := stated_seconds(self.path)) is not None:
                duration, self.states_length = said, True
        self._states_speakers = states_speakers(self.path)
        self.stated_duration = duration if duration is not None and 0 < duration < 1e7 else None
        """Seconds, as the file's header says, if it does: good for a progress bar; see `states_length` for more."""

    def __iter__(self) -> Iterator[Tensor]:
        """Yield blocks (block_samples,) and, at the end, what is left, down to the last sample."""
        held: list[np.ndarray] = []
        count = total = 0
        for (samples,) in self._resampled(SAMPLE_RATE, "mono"):
            held.append(samples)
            count += len(samples)
            total += len(samples)
            self.seconds = max(self.seconds, total / SAMPLE_RATE)
            if count >= self.block_samples:
                joined = np.concatenate(held)
                whole = count - count % self.block_samples
                for start in range(0, whole, self.block_samples):
                    yield self._heard(as_float(joined[start : start + self.block_samples]))
                held, count = [joined[whole:].copy()], count - whole
        if count:
            yield self._heard(as_float(np.concatenate(held)))
        if not total:
            raise InputError(
                f"expected speech, but not one sample of {self.path}'s sound can be decoded: "
                "is the file empty or cut short?"
            )

    def sound(self) -> Iterator[Tensor]:
        """Yield the same recording for a viewer's ears, as it comes: (channels, n) float32 in [-1, 1], `SOUND_RATE`."""
        layout = "stereo" if self.channels == 2 else "mono"
        return map(as_float, self._resampled(SOUND_RATE, layout))

    def _heard(self, block: Tensor) -> Tensor:
        self.loudest = max(self.loudest, float(block.square().mean().sqrt()))
        return block

    def _open(self) -> av.container.InputContainer:
        """The opened container; it is sure to have a sound track."""
        if not self.path.exists():
            raise InputError(f"expected a recording, but there is no file {self.path}: check the path")
        if not self.path.is_file():
            raise InputError(f"expected a recording, but {self.path} is not a file")
        if self.path.stat().st_size == 0:
            raise InputError(f"expected a recording, but {self.path} is empty (0 bytes): copy it again")
        try:
            # An absolute path can't be read as an address, and no file may make the demuxer open one.
            container = av.open(
                os.path.abspath(self.path),
                mode="r",
                container_options=LOCAL_MEDIA_ONLY,
                metadata_errors="replace",
            )
        except (av.error.FFmpegError, UnicodeError, ValueError) as error:
            raise InputError(
                f"expected an audio or video file, but {self.path} can't be read as one ({reason(error)}): "
                "is it damaged, a playlist, or something else under that name?"
            ) from error
        if container.streams.best("audio") is None:
            container.close()
            raise InputError(f"expected speech, but {self.path} has no sound track: give a file with sound")
        return container

    def _resampled(self, rate: int, layout: str) -> Iterator[np.ndarray]:
        """Yield int16 arrays (channels, n) of this rate, as they come."""
        resampler, source = None, None
        reading = _Reading()
        for frame, following in pairwise(chain(self._decoded(reading), [None])):
            assert frame is not None
            if following is None:
                frame = without_padding(frame)
            # MP3 and transport streams may change rate or channels on the way: finish one, begin the next.
            if source != (kind := (frame.format.name, frame.layout.name, frame.sample_rate)):
                yield from drain(resampler)
                resampler, source = AudioResampler(format="s16p", layout=layout, rate=rate), kind
            assert resampler is not None
            self._check(frame)
            if frame.layout.nb_channels > (MOST_SPEAKERS if self._states_speakers else 2):
                frame = mean_of_channels(frame)
            frame.pts = None  # sound follows sound: timestamps with holes in them must not confuse the filter
            try:
                converted = resampler.resample(frame)
            except av.error.FFmpegError:  # a damaged packet of AAC, of a layout that is none
                self._leave_out(reading)
                resampler = source = None
                continue
            for part in converted:
                yield part.to_ndarray()
        yield from drain(resampler)

    def _leave_out(self, reading: "_Reading") -> None:
        """Count a packet, among the same reading's others."""
        reading.damaged += 1
        self.damaged_packets = max(self.damaged_packets, reading.damaged)

    def _check(self, frame: AudioFrame) -> None:
        """Raises InputError for what int16 would silently make full scale: no numbers, or other units."""
        if not self._written_floats:
            return
        peak = float(np.abs(frame.to_ndarray()).max(initial=0.0))  # nan if any is
        if peak <= LOUDEST:
            return
        at = "" if frame.time is None else f" at {frame.time:.2f} s"
        found = "samples that are no finite numbers" if not np.isfinite(peak) else f"samples of {peak:.4g}"
        raise InputError(
            f"expected speech whose samples lie between -1 and 1, but {self.path} has {found}{at}: write the file again"
        )

    def _decoded(self, reading: "_Reading") -> Iterator[AudioFrame]:
        """Yield decoded frames; packets that can't be decoded are left out and counted."""
        with self._open() as container:
            stream = container.streams.best("audio")
            packets = container.demux(stream)
            while True:
                try:
                    packet = next(packets)
                except StopIteration:
                    return
                except IndexError:  # PyAV stumbles over a stream that a transport stream begins on the way
                    packets = container.demux(stream)
                    continue
                except av.error.FFmpegError:  # the file ends within a packet
                    self._leave_out(reading)
                    return
                try:
                    yield from packet.decode()  # type: ignore[misc]  # an audio stream's packets hold audio frames
                except av.error.FFmpegError:
                    self._leave_out(reading)


@dataclass
class _Reading:
    """One pass through a file."""

    damaged: int = 0
    """Packets left out so far."""


def without_padding(last: AudioFrame) -> AudioFrame:
    """Cut a last frame to its stated length: AAC pads it to 1024 samples, which may be half a video frame."""
    stated = last.duration
    if last.time_base != Fraction(1, last.sample_rate) or not stated or not 0 < stated < last.samples:
        return last
    values = last.to_ndarray()
    kept: np.ndarray = values[:, : stated * (values.shape[1] // last.samples)]  # packed channels interleave
    contiguous: Any = np.ascontiguousarray(kept)
    shortened = AudioFrame.from_ndarray(contiguous, format=last.format.name, layout=last.layout.name)
    shortened.sample_rate = last.sample_rate
    return shortened


def mean_of_channels(frame: AudioFrame) -> AudioFrame:
    """All channels alike, as one: several microphones' tracks, which FFmpeg takes for loudspeakers of its choice.

    It leaves some of them out, such as the third of three, and more than eight it can't mix.
    """
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    scale = 2.0 ** (8 * values.itemsize - 1) if values.dtype.kind in "iu" else 1.0
    middle = scale if values.dtype.kind == "u" else 0.0
    mean: Any = ((values.mean(axis=0, keepdims=True) - middle) / scale).astype(np.float32)
    joined = AudioFrame.from_ndarray(mean, format="flt", layout="mono")
    joined.sample_rate = frame.sample_rate
    return joined


def drain(resampler: AudioResampler | None) -> Iterator[np.ndarray]:
    """Yield (channels, n), what the resampler still holds: without them the tail of the speech is lost."""
    if resampler is not None:
        for converted in resampler.resample(None):
            if converted is not None:  # what a resampler with nothing to do answers
                yield converted.to_ndarray()


def as_float(samples: np.ndarray) -> Tensor:
    """int16 -> float32 of the same shape, in [-1, 1)."""
    return torch.from_numpy(samples.astype(np.float32) / 32768.0)


def reason(error: Exception) -> str:
    """What went wrong, without the path that FFmpeg appends."""
    return str(getattr(error, "strerror", None) or error).splitlines()[0].strip()


def read_speech(path: str | Path) -> Tensor:
    """Return the whole speech of an audio or video file: (N,) float32 in [-1, 1], 16 kHz mono."""
    return torch.cat(list(SpeechFile(path)))
