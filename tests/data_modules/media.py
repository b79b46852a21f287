"""Real media files, made on the spot with PyAV: any codec, timestamps, rotation, rates and offsets."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def shades(count: int, width: int = 64, height: int = 48) -> list[np.ndarray]:
    """`count` plain frames whose grey tells their number: frame k is 16 + 3 k (up to 79 frames)."""
    return [np.full((height, width, 3), 16 + 3 * number, np.uint8) for number in range(count)]


def number_of(frame: np.ndarray) -> int:
    """The number of a `shades` frame after compression and colour conversion."""
    return round((float(frame.mean()) - 16) / 3)


def tone(seconds: float, rate: int = 16000, channels: int = 1, pitch: float = 220.0) -> np.ndarray:
    """(channels, N) float32: a sine at half of full scale."""
    wave = 0.5 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)
    return np.tile(wave.astype(np.float32), (channels, 1))


def write_media(
    path: Path,
    frames: Sequence[np.ndarray] = (),
    times: Sequence[float] | None = None,
    fps: Fraction | int = 25,
    sound: np.ndarray | None = None,
    rate: int = 16000,
    sound_start: float = 0.0,
    video_codec: str = "libx264",
    sound_codec: str | None = None,
    pixels: str = "yuv420p",
    rotation: int = 0,
    pixel_aspect: Fraction | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Writes frames (shown at `times`, or at `fps`) and sound (channels, N) beginning at `sound_start`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=options or {}) as container:
        if len(frames):
            video = container.add_stream(video_codec, rate=Fraction(fps))
            video.height, video.width = frames[0].shape[:2]
            video.pix_fmt = pixels
            video.codec_context.thread_count = 1  # libvpx now and then fails to open on a busy machine
            base = {".flv": Fraction(1, 1000), ".avi": 1 / Fraction(fps)}.get(path.suffix, Fraction(1, 30000))
            video.time_base = video.codec_context.time_base = base
            if video_codec == "libx264":
                video.options = {"crf": "10", "bf": "2"}
            if pixel_aspect is not None:
                video.codec_context.sample_aspect_ratio = pixel_aspect
            if rotation:
                video.set_display_rotation(rotation)
        if sound is not None:
            codec = sound_codec or ("pcm_s16le" if path.suffix == ".wav" else "aac")
            layout = {1: "mono", 2: "stereo", 8: "7.1"}[len(sound)]
            audio = container.add_stream(codec, rate=rate, layout=layout)
        for number, pixels_of_frame in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels_of_frame, format="rgb24")
            seconds = times[number] if times is not None else number / Fraction(fps)
            frame.pts, frame.time_base = round(float(seconds) / base), base
            container.mux(video.encode(frame))
        if len(frames):
            container.mux(video.encode(None))
        if sound is not None:
            steps = 1024
            for first in range(0, sound.shape[1], steps):
                piece = np.ascontiguousarray(sound[:, first : first + steps].T).reshape(1, -1)
                packed = av.AudioFrame.from_ndarray(piece, format="flt", layout=layout)
                packed.sample_rate = rate
                packed.pts = first + round(sound_start * rate)
                packed.time_base = Fraction(1, rate)
                container.mux(audio.encode(packed))
            container.mux(audio.encode(None))
    return path


def write_clip(path: Path, seconds: float = 2.0, **kwargs: object) -> Path:
    """An ordinary talking clip: 25 fps shades and a tone of the same length."""
    arguments: dict = {"frames": shades(round(seconds * 25)), "sound": tone(seconds), **kwargs}
    return write_media(path, **arguments)


def write_speakers(root: Path, count: int) -> Path:
    """`count` clips of 1.2 s in the folders of three speakers, each with a tone of its own."""
    for number in range(count):
        sound = tone(1.2, pitch=200 + 10 * number)
        write_clip(root / f"speaker{number % 3}" / f"{number}.mp4", 1.2, sound=sound)
    return root


def write_changing_sound(
    path: Path, codec: str, frames: Sequence[np.ndarray] = (), rate: int = 48000
) -> Path:
    """A second of tone in mono and then one in stereo, in one track; with pictures (H, W, 3) at 25 fps, if any."""
    base = Fraction(1, rate)
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg2video", rate=25) if len(frames) else None
        track = container.add_stream(codec, rate=rate, layout="mono")
        if video is not None:
            video.height, video.width = frames[0].shape[:2]
            video.pix_fmt = "yuv420p"
            for pixels in frames:
                container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(video.encode(None))
        packets, start = [], 0
        for channels, layout in ((1, "mono"), (2, "stereo")):
            encoder = av.CodecContext.create(codec, "w")
            assert isinstance(encoder, av.AudioCodecContext)
            encoder.sample_rate, encoder.layout, encoder.time_base = rate, layout, base
            encoder.format = {"mp2": "s16", "aac": "fltp"}[codec]
            encoder.open()
            steps = encoder.frame_size
            sound = tone(-(-rate // steps) * steps / rate, rate, channels)
            for first in range(0, sound.shape[1], steps):
                piece = np.ascontiguousarray(sound[:, first : first + steps].T).reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(piece, format="flt", layout=layout)
                frame.sample_rate, frame.pts, frame.time_base = rate, start + first, base
                packets += encoder.encode(frame)
            packets += encoder.encode(None)
            start += sound.shape[1]
        for packet in packets:
            packet.stream = track
            container.mux(packet)
    return path
