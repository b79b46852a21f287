"""One clip from files to cache: lips in step, the common part, and each reason for refusal."""

from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from data_modules import clip_preparation
from data_modules.clip_cache import read_clip, read_header
from data_modules.clip_manifest import ManifestRow
from data_modules.clip_preparation import common_part, prepare_clip
from data_modules.decode import VideoTrack
from data_modules.layouts import FoundClip
from data_modules.preparation_records import record_of, sources_of, still_true
from data_modules.preparation_settings import PreparationSettings
from data_modules.speech_track import SpeechTrack
from tests.data_modules.media import number_of, shades, tone, write_clip, write_media

SETTINGS = PreparationSettings(size=32)


def prepared(path: Path, settings: PreparationSettings = SETTINGS, speech: str = "") -> ManifestRow:
    clip = FoundClip(clip_id="clip", video=path.name, speech=speech, speaker="someone")
    return prepare_clip(clip, path.parent, path.parent / "cache", settings)


def test_the_length_is_told_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker asks for time by it (`--time-limit`), up to that of the longest clip that is taken."""
    path = write_clip(tmp_path / "a.mp4", 2.4, sound=tone(2.4))
    clip = FoundClip(clip_id="clip", video=path.name, speech="", speaker="someone")
    heard: list[float] = []

    def sha256(*paths: Path | None) -> str:
        assert heard  # a long file takes long to read, too
        return "0" * 64

    monkeypatch.setattr(clip_preparation, "_sha256", sha256)
    prepare_clip(clip, tmp_path, tmp_path / "cache", SETTINGS, heard.append)
    assert heard == [pytest.approx(2.4, abs=0.05)]
    assert not prepare_clip(
        clip, tmp_path, tmp_path / "b", replace(SETTINGS, max_seconds=2.0), heard.append
    ).ok
    assert heard[1] == 2.0


def cached(path: Path, row: ManifestRow) -> tuple[np.ndarray, np.ndarray]:
    return read_clip(path.parent / "cache" / row.cache_file)


def flash_and_beep(fps: Fraction, at: float, seconds: float = 3.0) -> tuple[list[np.ndarray], np.ndarray]:
    """White while shown in [at, at + 0.2 s), with a tone in exactly that time."""
    frames = [
        np.full((48, 64, 3), 255 if at <= k / fps < at + 0.2 else 0, np.uint8)
        for k in range(int(seconds * fps))
    ]
    sound = tone(seconds, pitch=1000)
    times = np.arange(sound.shape[1]) / 16000
    sound[:, (times < at) | (times >= at + 0.2)] = 0
    return frames, sound


@pytest.mark.parametrize("delay", [0.0, 0.28, -0.28])
@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_flash_and_beep_stay_together(tmp_path: Path, name: str, fps: Fraction, delay: float) -> None:
    """Whatever the tracks' start offsets: a delayed track is delayed in what it holds, too."""
    frames, sound = flash_and_beep(fps, at=1.0)
    shown = [max(delay, 0) + k / fps for k in range(len(frames))]
    path = write_media(tmp_path / name, frames, times=shown, fps=fps, sound=sound, sound_start=max(-delay, 0))
    row = prepared(path, replace(SETTINGS, max_av_difference=0.7))
    assert row.ok, row.reason
    pictures, speech = cached(path, row)
    assert len(speech) == len(pictures) * 640
    flash = float(np.flatnonzero(pictures.mean((1, 2, 3)) > 128)[0]) / 25
    beep = float(np.flatnonzero(np.abs(speech.astype(int)) > 8000)[0]) / 16000
    assert flash - beep == pytest.approx(delay, abs=0.03)


def test_frames_and_header(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", 2.0)
    row = prepared(path)
    frames, speech = cached(path, row)
    assert (row.status, row.frames, row.duration, row.source_fps, row.speaker) == (
        "ok",
        50,
        2.0,
        25.0,
        "someone",
    )
    assert [number_of(frame) for frame in frames] == list(range(50))
    assert frames.shape == (50, 3, 32, 32)
    assert frames.dtype == np.uint8
    assert (speech.shape, speech.dtype) == ((32000,), np.int16)
    header = read_header(tmp_path / "cache" / row.cache_file)
    assert (header.clip_id, header.fps, header.num_frames) == ("clip", 25, 50)
    assert header.source_sha256 == row.sha256
    assert header.settings["size"] == 32


def test_wide_video_is_cut_to_its_central_square(tmp_path: Path) -> None:
    picture = np.zeros((48, 96, 3), np.uint8)
    picture[:, 24:72] = 200
    path = write_media(tmp_path / "a.mp4", [picture] * 50, sound=tone(2))
    frames, _ = cached(path, prepared(path))
    assert frames.mean() == pytest.approx(200, abs=3)


def test_crema_d_pair_uses_the_wav(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.flv", shades(75), fps=Fraction(30000, 1001))
    write_media(tmp_path / "a.wav", sound=tone(2.5, pitch=330))
    row = prepared(path, speech="a.wav")
    frames, speech = cached(path, row)
    assert row.ok
    assert row.source_fps == pytest.approx(29.97, abs=0.02)
    assert len(frames) == 62  # 75 frames at 29.97 fps are 2.5025 s, the WAV 2.5 s
    spectrum = np.abs(np.fft.rfft(speech[:32000]))
    assert spectrum.argmax() / 2 == 330


@pytest.mark.parametrize(
    ("reason", "arguments"),
    [
        ("no audio track", {"sound": None}),
        ("no video stream", {"frames": []}),
        ("silent", {"sound": np.zeros((1, 32000), np.float32)}),
        ("too short: audio 0.5", {"frames": shades(12), "sound": tone(0.48)}),
        ("differ by 1.0", {"sound": tone(3)}),
        ("differ by 0.95 s: audio 2.05 s, video 3.00 s", {"frames": shades(75)}),
        ("too long", {"frames": shades(50) * 2, "sound": tone(4)}),
    ],
)  # fmt: skip
def test_refused_with_its_reason(tmp_path: Path, reason: str, arguments: dict) -> None:
    path = write_clip(tmp_path / "a.mp4", 2.0, **arguments)
    row = prepared(path, replace(SETTINGS, max_seconds=3.5))
    assert row.status == "refused"
    assert reason in row.reason
    assert row.cache_file == ""
    assert len(row.sha256) == 64
    assert not (tmp_path / "cache").exists()


def test_what_no_worker_has_room_for_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = SETTINGS.size
    monkeypatch.setattr(clip_preparation, "_MOST_BYTES", 3 * 50 * size**2 - 1)
    row = prepared(write_clip(tmp_path / "a.mp4", 2.0))
    assert not row.ok and f"too large: 2 s of {size} x {size} pixels are 0.0 GiB" in row.reason
    assert prepared(write_clip(tmp_path / "b.mp4", 1.9)).ok


def test_a_file_that_is_replaced_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "a.mp4", 1.2)
    clip, row = FoundClip("clip", "a.mp4", speaker="someone"), asdict(prepared(video))
    before = sources_of(clip, tmp_path)
    made = record_of(row, clip, tmp_path, tmp_path / "cache", "key", sources=before)
    assert still_true(made, clip, tmp_path, tmp_path / "cache", "key", 0.0)
    write_clip(video, 1.4)
    made = record_of(row, clip, tmp_path, tmp_path / "cache", "key", sources=before)
    assert not still_true(made, clip, tmp_path, tmp_path / "cache", "key", 0.0)


def test_small_differences_are_cut_to_the_common_part(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", 2.0, sound=tone(2.3))
    assert prepared(path).frames == 50
    path = write_clip(tmp_path / "b.mp4", 2.0, sound=tone(1.8))
    assert 45 <= prepared(path).frames <= 47  # AAC fills its last 64 ms


@pytest.mark.parametrize(("end", "frames"), [(3.0, 75), (2.9999, 75), (2.999, 74), (2.9601, 74)])
def test_a_frame_may_lack_a_hundredth_of_itself(tmp_path: Path, end: float, frames: int) -> None:
    """A hundredth of 40 ms: 0.4 ms, as containers round their times."""
    video = VideoTrack(tmp_path / "a.mp4", np.arange(75) / 25, end, 64, 48, 1.0)
    speech = SpeechTrack(np.ones(3 * 16_000, np.int16), 0.0)
    assert common_part(video, speech, SETTINGS) == (0.0, frames)


def test_a_sound_cache_file_is_not_made_again(tmp_path: Path) -> None:
    """A run killed after the cache file and before its record finds the file and takes it as it is."""
    path = write_clip(tmp_path / "a.mp4")
    row = prepared(path)
    file = tmp_path / "cache" / row.cache_file
    before = file.stat()
    assert prepared(path) == row
    assert file.stat().st_ino == before.st_ino
    data = bytearray(file.read_bytes())
    data[-1000] ^= 1
    file.write_bytes(bytes(data))
    assert prepared(path) == row
    cached(path, row)
    assert prepared(path, replace(SETTINGS, size=16)).ok
    assert cached(path, row)[0].shape == (50, 3, 16, 16)


def test_missing_and_odd_sources(tmp_path: Path) -> None:
    assert "no file a.mp4" in prepared(tmp_path / "a.mp4").reason
    (tmp_path / "b.mp4").mkdir()
    assert "no regular file" in prepared(tmp_path / "b.mp4").reason
    (tmp_path / "c.mp4").touch()
    assert "zero-byte" in prepared(tmp_path / "c.mp4").reason
    (tmp_path / "d.flv").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    )
    assert (
        "d.flv is a Git-LFS pointer, not the file: run `git lfs pull`" in prepared(tmp_path / "d.flv").reason
    )
