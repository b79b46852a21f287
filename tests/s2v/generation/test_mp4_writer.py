import os
import resource
from collections.abc import Iterator
from pathlib import Path

import av
import decord
import numpy as np
import pytest
import torch
from torch import Tensor

from s2v.errors import InputError
from s2v.generation.mp4_writer import COMMENT, Mp4Writer, write_mp4
from s2v.generation.speech_file import SpeechFile, read_speech


def faces(count: int, height: int = 64, width: int = 64, flashes: tuple[int, ...] = ()) -> Tensor:
    """Dark frames (T, 3, H, W) with white ones at `flashes`."""
    frames = torch.full((count, 3, height, width), 30, dtype=torch.uint8)
    frames[list(flashes)] = 250
    return frames


def clicks(samples: int, at_frames: tuple[int, ...] = ()) -> Tensor:
    """Faint noise (N,) with a 1 ms click at each frame's first sample."""
    speech = 0.003 * torch.randn(samples, generator=torch.Generator().manual_seed(0))
    for frame in at_frames:
        speech[frame * 640 : frame * 640 + 16] = 0.9
    return speech


def brightness(path: Path) -> np.ndarray:
    """Mean of every frame, (T,), as decord decodes it."""
    reader = decord.VideoReader(str(path), ctx=decord.cpu(0), num_threads=1)
    return np.array([reader[i].asnumpy().mean() for i in range(len(reader))])


@pytest.mark.parametrize("samples", [40 * 640, 40 * 640 + 13 * 16, 40 * 640 - 300, 16_208, 1_000, 3])
def test_every_frame_and_every_sample_come_back(tmp_path: Path, samples: int) -> None:
    frames = max(1, round(samples / 640))
    speech = clicks(samples)
    speech[-min(160, samples) :] = 0.3 * torch.sin(torch.arange(min(160, samples)) * 0.5)
    path = tmp_path / "a.mp4"
    assert write_mp4(path, faces(frames).split(7), speech.split(1_600)) == frames

    assert len(brightness(path)) == frames
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        times = [frame.pts * frame.time_base for frame in container.decode(video=0)]
        assert times == [pytest.approx(i / 25) for i in range(frames)]
        assert video.average_rate == 25 and video.frames == frames
        assert float(video.duration * video.time_base) == pytest.approx(frames / 25, abs=1e-4)
        sound = max(samples, 640)  # no shorter than a frame
        assert float(audio.duration * audio.time_base) == pytest.approx(sound / 16_000, abs=1e-3)
        assert video.start_time == audio.start_time == 0
    heard = read_speech(path)
    assert abs(len(heard) - sound) <= 2
    if samples > 10_000:  # the tail is a tone, not silence
        assert heard[-120:].std() > 0.1


@pytest.mark.parametrize(("seconds", "fps"), [(4, 25), (60, 25), (20, 30), (20, 29.97)])
def test_clicks_and_flashes_stay_in_step(tmp_path: Path, seconds: int, fps: float) -> None:
    frames = round(seconds * fps)
    flashes = tuple(range(10, frames - 5, frames // 8))
    speech = clicks(seconds * 16_000)
    for flash in flashes:
        start = round(flash / fps * 16_000)
        speech[start : start + 16] = 0.9
    path = tmp_path / "a.mp4"
    write_mp4(path, faces(frames, flashes=flashes).split(50), speech.split(16_000), fps=fps)

    assert tuple(np.flatnonzero(brightness(path) > 140)) == flashes
    for heard in (read_speech(path).numpy(), decord_sound(path)):
        for flash in flashes:
            expected = round(flash / fps * 16_000)
            around = np.abs(heard[expected - 1_500 : expected + 1_500])
            offset = (around.argmax() + expected - 1_500 - expected) / 16_000
            assert abs(offset) < 0.004, f"{offset:.4f} s at {flash / fps:.1f} s"


def test_speech_may_come_before_the_first_frame(tmp_path: Path) -> None:
    flashes = (10, 60, 95)
    with Mp4Writer(tmp_path / "a.mp4") as writer:
        for block in clicks(100 * 640, at_frames=flashes).split(1_600):
            writer.write_sound(block)
        for portion in faces(100, flashes=flashes).split(7):
            writer.write_frames(portion)
    assert tuple(np.flatnonzero(brightness(tmp_path / "a.mp4") > 140)) == flashes
    heard = decord_sound(tmp_path / "a.mp4")
    loudest = [abs(heard[flash * 640 - 640 : flash * 640 + 640]).argmax() - 640 for flash in flashes]
    assert np.abs(loudest).max() < 64
    with pytest.raises(InputError, match="got none"), Mp4Writer(tmp_path / "b.mp4") as writer:
        writer.write_sound(clicks(16_000))
    assert os.listdir(tmp_path) == ["a.mp4"]


def decord_sound(path: Path) -> np.ndarray:
    """What an independent reader hears: (N,) at 16 kHz."""
    return decord.AudioReader(str(path), sample_rate=16_000, mono=True)[:].asnumpy()[0]


def test_what_browsers_need(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_mp4(path, [faces(60)], [clicks(60 * 640)])
    content = path.read_bytes()
    assert 0 < content.find(b"moov") < content.find(b"mdat")
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert video.codec_context.has_b_frames == 0
        assert [packet.is_keyframe for packet in container.demux(video)][:60:50] == [True, True]  # to seek to
        assert (audio.codec_context.name, audio.codec_context.profile) == ("aac", "LC")
        assert audio.rate == 48_000  # players that ignore the edit list are half a frame late, not two
        assert (video.codec_context.colorspace, video.codec_context.color_range) == (
            6,
            1,
        )  # nobody has to guess
        assert container.metadata["comment"] == COMMENT
        assert "mp4" in container.format.name


def test_colours_survive(tmp_path: Path) -> None:
    """Each channel in its place, full contrast kept: within 4 of 255, read by two decoders."""
    colours = torch.tensor(
        [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [200, 150, 120]]
    )
    frames = colours.to(torch.uint8)[:, :, None, None].expand(-1, -1, 64, 64)
    path = tmp_path / "a.mp4"
    write_mp4(path, [frames])
    reader = decord.VideoReader(str(path))
    with av.open(str(path)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            for decoded in (frame.to_ndarray(format="rgb24"), reader[i].asnumpy()):
                assert np.abs(decoded[32, 32].astype(int) - colours[i].numpy()).max() <= 4


def test_detail_survives(tmp_path: Path) -> None:
    """Smooth pictures at CRF 18 come back at more than 38 dB."""
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    waves = [128 + 60 * torch.sin(x / 9 + t / 5) * torch.cos(y / 7) for t in range(20)]
    frames = torch.stack(waves).round().to(torch.uint8)[:, None].expand(-1, 3, -1, -1)
    write_mp4(tmp_path / "a.mp4", [frames])
    decoded = decord.VideoReader(str(tmp_path / "a.mp4")).get_batch(range(20)).asnumpy()
    error = ((decoded.transpose(0, 3, 1, 2).astype(float) - frames.numpy()) ** 2).mean()
    assert 10 * np.log10(255**2 / error) > 38


@pytest.mark.parametrize(("height", "width"), [(33, 47), (2, 2), (1, 1), (128, 96), (17, 16)])
def test_any_size_becomes_even(tmp_path: Path, height: int, width: int) -> None:
    write_mp4(tmp_path / "a.mp4", [faces(3, height, width)])
    with av.open(str(tmp_path / "a.mp4")) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert [frame.shape for frame in decoded] == [(height + height % 2, width + width % 2, 3)] * 3
    assert np.abs(decoded[2].astype(int) - 30).max() <= 3  # the added edge too


def test_silent_video_has_no_sound_track(tmp_path: Path) -> None:
    write_mp4(tmp_path / "a.mp4", [faces(3)])
    with pytest.raises(InputError, match="no sound track"):
        SpeechFile(tmp_path / "a.mp4")


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"before")

    def failing() -> Iterator[Tensor]:
        yield faces(30)
        raise RuntimeError("generator broke")

    with pytest.raises(RuntimeError, match="generator broke"):
        write_mp4(path, failing(), [clicks(30 * 640)])
    with pytest.raises(InputError, match="got none"):
        write_mp4(path, [], [clicks(640)])
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["a.mp4"]
    write_mp4(path, [faces(2)])
    assert len(brightness(path)) == 2
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_the_file_appears_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / 'it\'s 100%d "so" 日本.mp4'
    with Mp4Writer(path) as writer:
        writer.write_frames(faces(5))
        writer.write_sound(clicks(5 * 640))
        assert not path.exists()
    assert len(brightness(path)) == 5
    assert os.listdir(path.parent) == [path.name]


def test_bad_frames_and_speech_are_refused(tmp_path: Path) -> None:
    for frames in (faces(2).float(), faces(2)[0], faces(2)[:, :1]):
        with pytest.raises(InputError, match="uint8"), Mp4Writer(tmp_path / "a.mp4") as writer:
            writer.write_frames(frames)
    with pytest.raises(InputError, match="size of the first"):
        write_mp4(tmp_path / "a.mp4", [faces(2), faces(2, 32, 32)])
    for speech in (clicks(640).expand(2, -1), clicks(640).expand(1, 1, -1), clicks(640).to(torch.int16)):
        with pytest.raises(InputError, match="floats"), Mp4Writer(tmp_path / "a.mp4") as writer:
            writer.write_sound(speech)
    with pytest.raises(InputError, match="folder"):
        Mp4Writer(tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    """Memory after the first of four minutes is memory to the end."""
    after: list[int] = []

    def frames(minutes: int) -> Iterator[Tensor]:
        for second in range(60 * minutes):
            if second % 60 == 0:
                after.append(resident())
            yield faces(25, 32, 32) + second % 200

    def speech(minutes: int) -> Iterator[Tensor]:
        block = clicks(16_000)
        for _ in range(60 * minutes):
            yield block

    assert write_mp4(tmp_path / "a.mp4", frames(4), speech(4), threads=1) == 6_000
    assert max(after[2:]) - after[1] < 10e6


def resident() -> int:
    """Bytes of memory in use by this process."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize("size", [(64, 48), (33, 31)])
def test_lossless_frames_come_back_bit_by_bit(size: tuple[int, int], tmp_path: Path) -> None:
    frames = torch.randint(0, 256, (7, 3, *size), dtype=torch.uint8)
    write_mp4(tmp_path / "a.mp4", frames.split(2), lossless=True)
    with av.open(str(tmp_path / "a.mp4")) as container:
        read = [frame.to_ndarray(format="rgb24").transpose(2, 0, 1) for frame in container.decode(video=0)]
    assert np.array_equal(np.stack(read), frames.numpy())
