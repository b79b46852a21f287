"""Frames and speech into one MP4 that browsers play: H.264 + AAC, streamed, complete or not there at all."""

import os
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import av.error
import numpy as np
import torch
from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from einops import rearrange
from torch import Tensor

from s2v.batch import FPS, SAMPLE_RATE
from s2v.errors import InputError
from s2v.files.whole_file import partial_beside
from s2v.generation.speech_file import SOUND_RATE
from s2v.generation.watermark import Watermark

COMMENT = "synthetic, made by s2v"
"""The container's comment: a generated video says so itself."""

BT601 = 6  # SMPTE 170M: what players take small videos for, written down so that none has to guess
LIMITED_RANGE = 1


class Mp4Writer:
    """Write frames and speech, in any order and portions, to one MP4 file.

    The file appears under its name only when everything is written: until then it has a temporary name
    in the same folder, and if an exception ends the `with` block it is removed.

    The muxer holds back what is ahead until the other stream has caught up, so memory stays constant when
    both are written about in step, as `write_mp4` does.

    Args:
        path: where to write; folders are made.
        fps: frames per second; frame i is shown from i / fps to (i + 1) / fps, exactly.
        crf: H.264 quality, 0 (lossless) to 51.
        channels: of the sound, 1 or 2; 0 for a silent video.
        sound_rate: samples a second of what `write_sound` is given.
        comment: container metadata.
        threads: encoder threads, 0 for as many as the machine has.
        description: container metadata, at length.
        mark: whether frames get the invisible mark of `watermark`.
        before_naming: called with the finished file under its temporary name, before it gets its own.
        lossless: frames come back bit by bit (H.264 on RGB, High 4:4:4 Predictive), `crf` counts for nothing: for
            programs that read videos; players in browsers may refuse it.
    """

    def __init__(
        self,
        path: str | Path,
        fps: float = FPS,
        crf: int = 18,
        channels: int = 1,
        sound_rate: int = SAMPLE_RATE,
        comment: str = COMMENT,
        threads: int = 0,
        description: str = "",
        mark: bool = False,
        before_naming: Callable[[Path], None] | None = None,
        lossless: bool = False,
    ) -> None:
        self.path = Path(path)
        self._before_naming = before_naming
        self._wants_mark = mark
        self._mark: Watermark | None = None
        self.frames_written = 0
        self.samples_written = 0
        self._rate = Fraction(fps).limit_denominator(1001 * 240)
        self._threads = threads
        self._size: tuple[int, int] | None = None
        # sound from before the first frame, whose size muxing begins with
        self._early: list[Packet] = []
        self._to_yuv = VideoReformatter()  # kept: setting one up takes longer than converting a frame
        if self.path.is_dir():
            raise InputError(f"expected the name of a video file to write, but {self.path} is a folder")
        self._temporary = partial_beside(self.path)
        self._container = av.open(
            os.path.abspath(self._temporary),
            mode="w",
            format="mp4",
            options={"movflags": "+faststart"},  # the index first: playing begins while the file loads
        )
        self._container.metadata["comment"] = comment
        if description:
            self._container.metadata["description"] = description
        self._lossless = lossless
        quality = {"qp": "0"} if lossless else {"crf": str(crf)}
        self._video: VideoStream = self._container.add_stream(
            "libx264rgb" if lossless else "libx264", rate=self._rate, options={**quality, "preset": "medium"}
        )
        self._audio: AudioStream | None = None
        self._channels, self._sound_rate = channels, sound_rate
        if channels:
            # Encoders start AAC with 1024 samples of their own. Players that ignore the edit list which hides them are
            # late by 64 ms at 16 kHz, more than a frame, but by 21 ms at 48 kHz.
            layout = "stereo" if channels == 2 else "mono"
            self._audio = self._container.add_stream("aac", rate=SOUND_RATE, layout=layout)
            self._audio.codec_context.bit_rate = 64_000 + 64_000 * channels

    def __enter__(self) -> "Mp4Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def write_frames(self, frames: Tensor) -> None:
        """Append frames (T, 3, H, W), uint8 RGB; odd sizes gain a copy of their last row or column."""
        if frames.dtype != torch.uint8 or frames.ndim != 4 or frames.shape[1] != 3:
            raise InputError(f"expected frames (T, 3, H, W) uint8, got {tuple(frames.shape)} {frames.dtype}")
        size = (frames.shape[2], frames.shape[3])
        if self._size is None:
            self._begin_video(size)
            self._container.mux(self._early)
            self._early = []
        if size != self._size:
            raise InputError(f"expected frames of {self._size}, the size of the first, got {size}")
        channels_last = rearrange(frames, "time rgb height width -> time height width rgb")
        pictures = channels_last.contiguous().cpu().numpy()
        if self._mark is not None:
            first = self.frames_written
            pictures = np.stack([self._mark.add(picture, first + i) for i, picture in enumerate(pictures)])
        if not self._lossless and (size[0] % 2 or size[1] % 2):
            pictures = np.pad(pictures, ((0, 0), (0, size[0] % 2), (0, size[1] % 2), (0, 0)), mode="edge")
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if not self._lossless:
                frame = self._to_yuv.reformat(
                    frame, format="yuv420p", dst_colorspace=BT601, dst_color_range=LIMITED_RANGE, threads=1
                )
            frame.pts, frame.time_base = self.frames_written, 1 / self._rate
            self._container.mux(self._video.encode(frame))
            self.frames_written += 1

    def write_sound(self, sound: Tensor) -> None:
        """Append sound (channels, N), or (N,) of one channel, float in [-1, 1]."""
        if self._audio is None:
            raise InputError("this video is written without sound: open the writer with channels=1")
        sound = sound[None] if sound.ndim == 1 else sound
        if sound.ndim != 2 or len(sound) != self._channels or not sound.is_floating_point():
            raise InputError(
                f"expected sound ({self._channels}, N) of floats, got {tuple(sound.shape)} {sound.dtype}"
            )
        if sound.shape[1] == 0:
            return
        samples = sound.detach().to("cpu", torch.float32).clamp(-1, 1).numpy()
        layout = self._audio.codec_context.layout.name
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
        frame.sample_rate = self._sound_rate
        frame.pts, frame.time_base = self.samples_written, Fraction(1, self._sound_rate)
        packets = self._audio.encode(frame)
        if self._size is None:
            self._early += packets
        else:
            self._container.mux(packets)
        self.samples_written += sound.shape[1]

    def close(self) -> None:
        """Finish both streams and give the file its name."""
        try:
            if not self.frames_written:
                raise InputError(f"expected frames for {self.path}, got none")
            self._container.mux(self._video.encode(None))
            frame = round(self._sound_rate / self._rate)
            if self._audio is not None and 0 < self.samples_written < frame:
                # Of a few samples the resampler would make none, and the file would have no sound track.
                self.write_sound(torch.zeros(self._channels, frame - self.samples_written))
            if self._audio is not None and self.samples_written:
                self._container.mux(self._audio.encode(None))
            self._container.close()
            if self._before_naming is not None:
                self._before_naming(self._temporary)
            os.replace(self._temporary, self.path)
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Stop and leave nothing behind."""
        try:
            self._container.close()
        except (av.error.FFmpegError, ValueError):
            pass  # a container that holds no packet can't be finished; it is about to go
        finally:
            self._temporary.unlink(missing_ok=True)

    def _begin_video(self, size: tuple[int, int]) -> None:
        """Set up the encoder when the first frame tells the size."""
        height, width = size
        context = self._video.codec_context
        if self._lossless:
            context.height, context.width = height, width
            context.pix_fmt = "rgb24"
        else:
            context.height, context.width = height + height % 2, width + width % 2
            context.pix_fmt = "yuv420p"
            context.colorspace = context.color_primaries = context.color_trc = BT601
            context.color_range = LIMITED_RANGE
        context.time_base = 1 / self._rate
        # Without B-frames a frame's time is its place in the file: no player can shift it against the sound.
        context.max_b_frames = 0
        context.gop_size = round(2 * self._rate)
        context.thread_count = self._threads
        self._size = size
        if self._wants_mark:
            self._mark = Watermark(height, width, float(self._rate))


def write_mp4(
    path: str | Path,
    frames: Iterable[Tensor],
    sound: Iterable[Tensor] | None = None,
    fps: float = FPS,
    channels: int = 1,
    sound_rate: int = SAMPLE_RATE,
    **settings: Any,
) -> int:
    """Write a video from two streams, taking from each in step, and return the number of frames.

    Args:
        path: where to write; there is either a complete new file afterwards or what was there before.
        frames: portions (t, 3, H, W) uint8 RGB.
        sound: blocks (channels, n), or (n,) of one channel, float; None for a silent video.
        fps, channels, sound_rate, settings: see `Mp4Writer`.
    """
    channels = 0 if sound is None else channels
    with Mp4Writer(path, fps, channels=channels, sound_rate=sound_rate, **settings) as writer:
        blocks = iter(() if sound is None else sound)
        for portion in frames:
            writer.write_frames(portion)
            while writer.samples_written < writer.frames_written / fps * sound_rate:
                block = next(blocks, None)
                if block is None:
                    break
                writer.write_sound(block)
        for block in blocks:  # up to half a frame of sound after the last frame
            writer.write_sound(block)
        return writer.frames_written
