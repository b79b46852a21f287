"""Speech in time: rates, channels, offsets, gaps."""

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from data_modules.clip_refused import ClipRefused
from data_modules.speech_track import SPEECH_RATE, decode_speech
from s2v.batch import SAMPLE_RATE
from tests.data_modules.media import shades, tone, write_changing_sound, write_media


def test_the_rate_is_the_batch_contracts() -> None:
    assert SPEECH_RATE == SAMPLE_RATE


@pytest.mark.parametrize(
    ("rate", "channels"), [(8000, 2), (16000, 1), (22050, 1), (44100, 2), (48000, 1), (10000, 1)]
)
def test_any_rate_becomes_16_khz_mono(tmp_path: Path, rate: int, channels: int) -> None:
    track = decode_speech(
        write_media(tmp_path / "a.wav", sound=tone(1.5, rate, channels, pitch=440), rate=rate)
    )
    assert track.samples.dtype == np.int16
    assert track.samples.ndim == 1
    assert abs(len(track.samples) - 24000) <= 2
    middle = track.samples[4000:20000].astype(float) / 32768
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(16000)))
    assert spectrum.argmax() == 440
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.01)


def test_wav_samples_pass_unchanged(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-20000, 20000, 16000).astype("<i2")
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    np.testing.assert_array_equal(decode_speech(tmp_path / "a.wav").samples, samples)


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_a_click_stays_where_it_was(tmp_path: Path, rate: int) -> None:
    sound = np.zeros((1, 2 * rate), np.float32)
    sound[0, rate] = 0.9
    track = decode_speech(write_media(tmp_path / "a.wav", sound=sound, rate=rate))
    assert abs(int(np.abs(track.samples.astype(int)).argmax()) - SPEECH_RATE) <= 1


@pytest.mark.parametrize("offset", [0.0, 0.3])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_start_offset_and_codec_delay(tmp_path: Path, name: str, offset: float) -> None:
    """AAC puts 1024 samples before the first; the container says so, and the click must not move by them."""
    sound = np.zeros((1, 32000), np.float32)
    sound[0, 16000:16100] = 0.9
    track = decode_speech(write_media(tmp_path / name, shades(60), sound=sound, sound_start=offset))
    click = track.start + np.abs(track.samples.astype(int)).argmax() / SPEECH_RATE
    assert click == pytest.approx(1.003 + offset, abs=0.006)


def test_gaps_are_filled_with_silence(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        for start in (0, 24000):  # one second of tone, half of nothing, one second of tone
            frame = av.AudioFrame.from_ndarray(tone(1.0), format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 16000, start, Fraction(1, 16000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    samples = decode_speech(path).samples
    assert abs(len(samples) - 40000) <= 40
    assert np.abs(samples[16200:23800]).max() == 0
    assert np.abs(samples[24200:]).max() > 16000


def written_at(path: Path, starts: list[float], seconds: float) -> np.ndarray:
    """Pieces of one tone, so long each, with these timestamps; returns the tone, int16."""
    sound = tone(seconds * len(starts))
    size = round(seconds * 16000)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        for number, start in enumerate(starts):
            piece = np.ascontiguousarray(sound[:, number * size : (number + 1) * size])
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 16000, round(start * 16000), Fraction(1, 16000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return (sound[0] * 32767).astype(np.int16)


def test_timestamps_that_tremble_leave_the_sound_whole(tmp_path: Path) -> None:
    """As those of what a browser records."""
    draw = np.random.default_rng(0)
    starts = [0.0, *(0.06 * k + draw.uniform(-0.03, 0.03) for k in range(1, 60))]
    sound = written_at(tmp_path / "a.mkv", starts, 0.06)
    samples = decode_speech(tmp_path / "a.mkv").samples
    assert len(samples) == pytest.approx(len(sound), abs=20)
    loudest = np.lib.stride_tricks.sliding_window_view(np.abs(samples.astype(int)), 160).max(axis=1)
    assert loudest.min() > 10_000  # no silence in it


@pytest.mark.parametrize("gap", [0.05, -0.05, 0.2])
def test_a_short_gap_that_stays_is_believed(tmp_path: Path, gap: float) -> None:
    starts = [0.06 * k + (gap if k >= 20 else 0.0) for k in range(60)]
    sound = written_at(tmp_path / "a.mkv", starts, 0.06)
    samples = decode_speech(tmp_path / "a.mkv").samples
    assert len(samples) == pytest.approx(len(sound) + 16000 * gap, abs=40)


@pytest.mark.parametrize(("name", "codec"), [("a.ts", "mp2")])
def test_a_track_may_change_from_mono_to_stereo(tmp_path: Path, name: str, codec: str) -> None:
    """Broadcasts do at the end of a programme: the tone goes on, as loud as before."""
    samples = decode_speech(write_changing_sound(tmp_path / name, codec)).samples.astype(float) / 32768
    assert len(samples) / SPEECH_RATE == pytest.approx(2, abs=0.1)
    for begin in (0.2, 1.2):
        part = samples[round(begin * SPEECH_RATE) :][: SPEECH_RATE // 2]
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)))) / (len(part) / 4)
        assert spectrum.argmax() == 110  # 220 Hz in half a second
        assert spectrum[110] == pytest.approx(0.5, abs=0.02)  # its amplitude; AAC's peaks stray more


def test_sound_that_cannot_be_mixed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(mixer: object, frame: object) -> np.ndarray:
        raise ValueError("no such layout")

    path = write_media(tmp_path / "a.wav", sound=tone(1.0))
    monkeypatch.setattr("data_modules.speech_track._mixed", refuse)
    with pytest.raises(ClipRefused, match=r"the audio track of a\.wav cannot be decoded: no such layout"):
        decode_speech(path)


def test_silence_is_refused(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.wav", sound=np.zeros((1, 16000), np.float32))
    with pytest.raises(ClipRefused, match="silent"):
        decode_speech(path)


def test_no_audio_track_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClipRefused, match="no audio track"):
        decode_speech(write_media(tmp_path / "a.mp4", shades(25)))
