import struct
import tracemalloc
import wave
from pathlib import Path

import numpy as np
import pytest
import torch

from s2v.errors import InputError
from s2v.generation.speech_file import SpeechFile, read_speech
from tests.s2v.generation.media import tone_with_click, write_silent_video, write_sound

SECONDS, CLICK = 1.013, 0.5

# Lossless formats and those whose container states the codec's delay and padding give every sample back.
KINDS = [
    ("wav", "pcm_s16le", 16_000),
    ("wav", "pcm_s16le", 8_000),
    ("wav", "pcm_s16le", 10_000),
    ("wav", "pcm_f32le", 44_100),
    ("wav", "pcm_s24le", 48_000),
    ("flac", "flac", 44_100),
    ("flac", "flac", 96_000),
    ("mp3", "libmp3lame", 44_100),
    ("m4a", "aac", 44_100),
    ("m4a", "aac", 16_000),
    ("ogg", "libopus", 48_000),
    ("webm", "libopus", 48_000),
    ("mkv", "pcm_s16le", 22_050),
    ("avi", "pcm_s16le", 11_025),
]


@pytest.mark.parametrize("channels", ["mono", "stereo", "5.1"])
@pytest.mark.parametrize(("suffix", "codec", "rate"), KINDS)
def test_any_format_rate_and_channels(
    tmp_path: Path, suffix: str, codec: str, rate: int, channels: str
) -> None:
    if (codec, channels) == ("libmp3lame", "5.1"):
        pytest.skip("MP3 holds two channels at most")
    mono = tone_with_click(SECONDS, rate, CLICK)
    if channels == "5.1":  # speech comes from the centre
        samples = np.stack([np.zeros_like(mono)] * 2 + [mono] + [np.zeros_like(mono)] * 3)
    else:
        samples = np.stack([mono] * (2 if channels == "stereo" else 1))
    speech = read_speech(write_sound(tmp_path / f"a.{suffix}", samples, rate, codec, channels))

    assert speech.dtype == torch.float32 and speech.ndim == 1
    assert abs(len(speech) - SECONDS * 16_000) <= 2
    assert speech[6_000:10_000].abs().argmax().item() + 6_000 == pytest.approx(CLICK * 16_000 + 16, abs=40)
    level = speech[2_000:7_000].std().item()
    if channels != "5.1":  # where the centre's share of the downmix is libswresample's affair
        assert level == pytest.approx(0.05 / 2**0.5, rel=0.08)
        assert speech[-160:].std().item() == pytest.approx(0.5 / 2**0.5, rel=0.25)
    else:
        assert speech[-160:].std().item() > 5 * level > 0


def test_16_khz_mono_comes_back_to_the_bit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-32768, 32768, 16_217, dtype=np.int16)
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(values.tobytes())
    assert torch.equal(read_speech(tmp_path / "a.wav"), torch.from_numpy(values.astype(np.float32) / 32768))


def test_resampling_agrees_with_scipy(tmp_path: Path) -> None:
    signal = pytest.importorskip("scipy.signal")
    noise = np.random.default_rng(1).normal(size=48_000)
    band = signal.sosfiltfilt(signal.butter(6, [200, 5_000], "bandpass", fs=48_000, output="sos"), noise)
    band = 0.3 * band / np.abs(band).max()
    speech = read_speech(write_sound(tmp_path / "a.wav", band, 48_000, "pcm_f32le")).numpy()
    expected = signal.resample_poly(band, 1, 3)
    assert len(speech) == len(expected)
    error = speech - expected
    assert error.std() < 0.01 * expected.std()


@pytest.mark.parametrize("block_samples", [1, 777, 16_000, 10**6])
def test_blocks_join_to_the_same_speech_on_every_pass(tmp_path: Path, block_samples: int) -> None:
    path = write_sound(tmp_path / "a.flac", tone_with_click(0.3, 44_100, 0.1), 44_100, "flac")
    file = SpeechFile(path, block_samples)
    blocks = list(file)
    assert all(len(block) == block_samples for block in blocks[:-1])
    assert torch.equal(torch.cat(blocks), torch.cat(list(file)))
    assert torch.equal(torch.cat(blocks), read_speech(path))
    assert file.stated_duration == pytest.approx(0.3, abs=1e-3)


@pytest.mark.slow
def test_ten_minutes_in_constant_memory(tmp_path: Path) -> None:
    """Memory of the second half of a long file stays within that of its start."""
    rng = np.random.default_rng(0)
    with wave.open(str(tmp_path / "long.wav"), "wb") as file:
        file.setparams((2, 2, 32_000, 0, "NONE", ""))
        for _ in range(600):
            file.writeframes(rng.integers(-9_000, 9_000, 64_000, dtype=np.int16).tobytes())
    samples = 0
    tracemalloc.start()
    for block in SpeechFile(tmp_path / "long.wav"):
        samples += len(block)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert samples == 600 * 16_000
    assert peak < 2e6  # the speech as float32 is 38 MB


@pytest.mark.parametrize("channels", [1, 2])
def test_rate_that_changes_within_a_file(tmp_path: Path, channels: int) -> None:
    """Joined MP3s are one valid MP3 file."""
    first = write_sound(tmp_path / "a.mp3", tone_with_click(0.6, 44_100, 0.2), 44_100, "libmp3lame")
    other = np.stack([tone_with_click(0.6, 22_050, 0.2)] * channels)
    second = write_sound(tmp_path / "b.mp3", other, 22_050, "libmp3lame", ["mono", "stereo"][channels - 1])
    (tmp_path / "c.mp3").write_bytes(first.read_bytes() + second.read_bytes())
    assert len(read_speech(tmp_path / "c.mp3")) == pytest.approx(1.2 * 16_000, abs=2_500)


def test_damaged_and_cut_files_give_what_they_hold(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.mp3", tone_with_click(2.0, 44_100, 0.2), 44_100, "libmp3lame")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 600] = bytes(600)
    path.write_bytes(content)
    assert 24_000 < len(read_speech(path)) <= 32_000

    wav = write_sound(tmp_path / "a.wav", tone_with_click(2.0, 16_000, 0.2), 16_000, "pcm_s16le")
    wav.write_bytes(wav.read_bytes()[: 44 + 16_000])
    assert 7_900 <= len(read_speech(wav)) <= 8_000


def test_a_stream_that_begins_on_the_way_ends_nothing(tmp_path: Path) -> None:
    """Joined transport streams are one; the second's sound is a stream of its own, and its pictures are another."""
    first = write_sound(tmp_path / "a.ts", tone_with_click(1.0, 16_000, 0.2), 16_000, "aac")
    joined = bytearray(first.read_bytes())
    for packet in range(
        0, len(joined), 188
    ):  # packets of a table that names two streams, and of the second one
        number = (joined[packet + 1] & 31) << 8 | joined[packet + 2]
        if number == 256:
            joined[packet + 2] = 1  # PID 257
    (tmp_path / "b.ts").write_bytes(first.read_bytes() + bytes(joined) + first.read_bytes())
    alone = len(read_speech(first))
    assert len(read_speech(tmp_path / "b.ts")) == pytest.approx(2 * alone, abs=4_000)


def test_more_channels_than_there_are_layouts_for(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(31)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.random.default_rng(0).bytes(31 * 2 * 8_000))
    speech = SpeechFile(path)
    assert sum(map(len, speech)) == 8_000
    assert speech.damaged_packets == 0


def test_damage_is_counted_once_however_often_the_file_is_read(tmp_path: Path) -> None:
    """Frames and sound of a video are two passes, which may run at the same time, and the second may end early."""
    path = write_sound(tmp_path / "a.mp3", tone_with_click(6.0, 44_100, 0.2), 44_100, "libmp3lame")
    content, noise = bytearray(path.read_bytes()), np.random.default_rng(0)
    for place in np.linspace(0.2, 0.8, 8):
        first = int(place * len(content))
        content[first : first + 300] = noise.bytes(300)
    path.write_bytes(content)
    once = SpeechFile(path, 1600)
    list(once)
    assert once.damaged_packets > 4
    twice = SpeechFile(path, 1600)
    for _ in zip(twice, twice, strict=True):
        pass
    assert twice.damaged_packets == once.damaged_packets
    next(iter(once))
    assert once.damaged_packets == twice.damaged_packets


def test_refusals_are_one_line_naming_the_file(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.mp4").write_text("this is no video\n" * 50)
    (tmp_path / "text.mp3").write_text("nor is this sound\n" * 50)
    (tmp_path / "list.m3u8").write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://localhost:1/a.ts\n#EXT-X-ENDLIST\n"
    )
    (tmp_path / "list.wav").write_text("ffconcat version 1.0\nfile other.wav\n")
    write_sound(tmp_path / "other.wav", tone_with_click(0.2, 16_000, 0.1), 16_000, "pcm_s16le")
    write_silent_video(tmp_path / "silent.mp4")
    write_sound(tmp_path / "none.wav", tone_with_click(0.2, 16_000, 0.1), 16_000, "pcm_s16le")
    (tmp_path / "none.wav").write_bytes((tmp_path / "none.wav").read_bytes()[:78])
    expected = {
        "missing.wav": "no file",
        ".": "not a file",
        "empty.wav": "0 bytes",
        "text.mp4": "can't be read",
        "text.mp3": "text.mp3",
        "list.m3u8": "list",
        "list.wav": "list",
        "silent.mp4": "no sound track",
        "none.wav": "none",
    }
    for name, words in expected.items():
        with pytest.raises(InputError, match=words) as caught:
            list(SpeechFile(tmp_path / name))
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("codec", ["pcm_f32le", "pcm_f64le"])
@pytest.mark.parametrize(
    ("value", "found"),
    [
        (np.nan, "samples that are no finite numbers at 0."),
        (np.inf, "samples that are no finite numbers at 0."),
        (-20_000.0, "samples of 2e+04 at 0."),
    ],
)
def test_floats_that_are_no_sound_are_refused(tmp_path: Path, codec: str, value: float, found: str) -> None:
    rate = 16_000
    mono = tone_with_click(1.0, rate, CLICK)
    assert len(read_speech(write_sound(tmp_path / "a.wav", 3 * mono[None], rate, codec, "mono"))) == rate
    mono[12_000] = value
    path = write_sound(tmp_path / "b.wav", mono[None], rate, codec, "mono")
    with pytest.raises(InputError) as raised:
        read_speech(path)
    assert f"but {path} has {found}" in str(raised.value)


def test_tags_in_an_old_alphabet_are_no_obstacle(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", tone_with_click(0.2, 16_000, 0.1), 16_000, "pcm_s16le")
    name = "Müller".encode("latin-1")
    tags = b"INFOINAM" + struct.pack("<I", len(name)) + name
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", len(tags)) + tags)
    assert len(read_speech(path)) == 3_200


def test_a_length_that_can_be_counted_on_is_more_than_what_is_left_of_a_cut_file(tmp_path: Path) -> None:
    tone = tone_with_click(2.0, 48_000, 0.2)
    for suffix, codec, stated in [
        ("flac", "flac", True),
        ("wav", "pcm_s24le", True),
        ("mp3", "libmp3lame", False),
    ]:
        path = write_sound(tmp_path / f"a.{suffix}", tone, 48_000, codec)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        speech = SpeechFile(path, 1_600)
        list(speech)
        assert speech.states_length is stated and speech.seconds < 1.5
        seconds = speech.seconds
        next(iter(speech))
        assert speech.seconds == seconds  # the sound's pass may end before the frames'
        assert not stated or speech.stated_duration == pytest.approx(2.0)
    whole = SpeechFile(write_sound(tmp_path / "a.ogg", tone, 48_000, "libopus"))
    list(whole)
    assert whole.states_length and whole.stated_duration == pytest.approx(whole.seconds, abs=0.01)


def test_the_length_that_a_matroska_file_states_is_in_seconds(tmp_path: Path) -> None:
    """Its tracks state none, the file does."""
    tone = tone_with_click(2.0, 48_000, 0.2)
    speech = SpeechFile(write_sound(tmp_path / "a.mkv", tone, 48_000, "pcm_s16le"))
    assert speech.stated_duration == pytest.approx(2.0, abs=0.01) and not speech.states_length


def test_loudness_is_the_loudest_blocks_root_mean_square(tmp_path: Path) -> None:
    """Of a sine 0.5 high it is 0.5 / sqrt(2), whatever comes before and after."""
    sine = np.zeros(48_000)
    sine[16_000:32_000] = 0.5 * np.sin(2 * np.pi * 100 * np.arange(16_000) / 16_000)
    speech = SpeechFile(write_sound(tmp_path / "a.wav", sine, 16_000, "pcm_s16le"))
    list(speech)
    assert speech.loudest == pytest.approx(0.5 / 2**0.5, rel=1e-3)


def test_odd_file_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = [
        "a b.wav",
        'it\'s "so".wav',
        "日本語.wav",
        "100%d.wav",
        "-y.wav",
        "concat:a.wav",
        "new\nline.wav",
    ]
    for name in names:
        path = write_sound(tmp_path / "plain.wav", tone_with_click(0.2, 16_000, 0.1), 16_000, "pcm_s16le")
        path.rename(tmp_path / name)
        assert len(read_speech(tmp_path / name)) == 3_200
        assert len(read_speech(name)) == 3_200


def test_real_recordings_agree_with_another_reader(shared_dir: Path) -> None:
    """The tracks of real videos: the same length and the same sound."""
    decord = pytest.importorskip("decord")
    videos = sorted((shared_dir / "corpus").rglob("*.mp4"))[:3]
    if not videos:
        pytest.skip("no videos in the shared corpus")
    for video in videos:
        speech = read_speech(video).numpy()
        other = decord.AudioReader(str(video), sample_rate=16_000, mono=True)[:].asnumpy()[0]
        assert 0 <= len(other) - len(speech) <= 1024  # it keeps the padding of the last AAC frame
        common = min(len(speech), len(other)) - 100
        lags = range(-40, 41)
        agreement = [
            np.corrcoef(speech[100 : common - 100], other[100 + d : common - 100 + d])[0, 1] for d in lags
        ]
        assert max(agreement) > 0.99
        assert abs(int(np.argmax(agreement)) - 40) <= 32  # 2 ms


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_f32le"])
@pytest.mark.parametrize("channels", [3, 6, 9])
def test_tracks_of_several_microphones_are_all_heard(tmp_path: Path, channels: int, codec: str) -> None:
    """A WAV header without a channel mask says nothing of loudspeakers."""
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    alone = write_sound(tmp_path / "alone.wav", tone, 16_000, codec)
    content = bytearray(alone.read_bytes())
    at = content.index(b"fmt ") + 8
    kind, _, rate, _, align, bits = struct.unpack("<HHIIHH", content[at : at + 16])
    sound = content.index(b"data") + 8
    samples = np.frombuffer(bytes(content[sound : sound + 16_000 * align]), np.uint8).reshape(16_000, align)
    kind = 1 if kind == 0xFFFE else kind  # of 24 bits FFmpeg writes the extended header
    for place in range(channels):
        tracks = np.full((16_000, channels, align), 128 if bits == 8 else 0, np.uint8)
        tracks[:, place] = samples
        size = channels * align
        described = struct.pack("<HHIIHH", kind, channels, rate, rate * size, size, bits)
        body = b"WAVEfmt " + struct.pack("<I", 16) + described
        body += b"data" + struct.pack("<I", tracks.size) + tracks.tobytes()
        path = tmp_path / f"{place}.wav"
        path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
        heard = read_speech(path)
        assert len(heard) == 16_000
        assert heard.std().item() == pytest.approx(0.5 / 2**0.5 / channels, rel=0.05)
