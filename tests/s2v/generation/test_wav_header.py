"""WAV files whose header and content differ, as recorders leave them."""

import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from s2v.generation.speech_file import read_speech
from s2v.generation.wav_header import bytes_after_sound, stated_seconds
from tests.s2v.generation.media import tone_with_click, write_sound

SOUND = (np.sin(np.arange(16_000) / 10) * 12_000).astype("<i2").tobytes()
FORMAT = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
TAGS = struct.pack("<4sI", b"LIST", 6000) + b"x" * 6000


def wav(path: Path, stated: int, content: bytes = SOUND) -> Path:
    path.write_bytes(
        b"RIFF"
        + struct.pack("<I", 36 + stated)
        + b"WAVE"
        + FORMAT
        + b"data"
        + struct.pack("<I", stated)
        + content
    )
    return path


@pytest.mark.parametrize("stated", [0, 0x7FFFFFFF, 0xFFFFFFFF, 2 * len(SOUND), len(SOUND)])
def test_a_length_of_nothing_or_too_much_is_read_to_the_end(tmp_path: Path, stated: int) -> None:
    path = wav(tmp_path / "a.wav", min(stated, 0xFFFFFFFF - 36))
    assert bytes_after_sound(path) == 0
    assert len(read_speech(path)) == 16_000


@pytest.mark.parametrize(
    ("stated", "content", "unread"),
    [
        (len(SOUND) // 2, SOUND, len(SOUND) // 2),
        (len(SOUND), SOUND + TAGS, 0),
        (len(SOUND), SOUND + TAGS + SOUND, len(SOUND)),
        (len(SOUND) - 1, SOUND[:-1] + b"\0" + TAGS, 0),
        (len(SOUND) - 1, SOUND[:-1] + TAGS, 0),  # many programs forget the padding
        (len(SOUND), SOUND + bytes(9000), 0),  # reserved
        (len(SOUND), SOUND + b"TAG" + b"a song" * 20, 0),
        (len(SOUND), SOUND + b"TAG\0\0", 0),  # too short for a chunk's header
        (len(SOUND), SOUND[:8000], 0),
    ],
)
def test_what_nobody_reads(tmp_path: Path, stated: int, content: bytes, unread: int) -> None:
    assert bytes_after_sound(wav(tmp_path / "a.wav", stated, content)) == unread


def test_other_files_have_none(tmp_path: Path) -> None:
    for name, content in {"a": b"", "b": b"RIFF", "c": b"RIFF\0\0\0\0AVI " + SOUND, "d": SOUND}.items():
        (tmp_path / name).write_bytes(content)
        assert bytes_after_sound(tmp_path / name) == 0


@pytest.mark.parametrize(("channels", "width", "rate"), [(1, 2, 16_000), (2, 3, 44_100)])
@pytest.mark.parametrize("kept", [1.0, 0.3])
def test_what_is_left_says_how_long_the_whole_was(
    channels: int, width: int, rate: int, kept: float, tmp_path: Path
) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(bytes(channels * width * rate * 3 // 2))
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    assert stated_seconds(path) == 1.5


@pytest.mark.parametrize("codec", ["pcm_f32le", "pcm_s16le"])
def test_lengths_in_headers_of_another_program(codec: str, tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", tone_with_click(2.0, 48_000, 0.2), 48_000, codec)
    assert stated_seconds(path) == pytest.approx(2.0)


def test_a_length_that_nobody_knew_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    assert [stated_seconds(wav(path, stated)) for stated in (0, 0x7FFFF000, 0xFFFFFFFF - 36)] == [None] * 3
    assert stated_seconds(wav(path, 0x7FFEFFFF)) == 0x7FFEFFFF / 32_000
    adpcm = FORMAT.replace(struct.pack("<HH", 1, 1), struct.pack("<HH", 2, 1), 1)
    path.write_bytes(wav(path, len(SOUND)).read_bytes().replace(FORMAT, adpcm))
    assert stated_seconds(path) is None
    for content in (b"", b"RIFF", b"RIFF\0\0\0\0AVI " + SOUND, b"RIFF\0\0\0\0WAVE" + FORMAT[:15], SOUND):
        path.write_bytes(content)
        assert stated_seconds(path) is None
