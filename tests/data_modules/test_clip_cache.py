"""Cache files: what goes in comes out, any part of it; damage is noticed."""

import io
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from data_modules.clip_cache import cache_file_of, read_clip, read_header, read_window, write_clip
from s2v.errors import InputError

HEADER = {
    "fps": "25",
    "sample_rate": "16000",
    "source_sha256": "ab",
    "settings": '{"size": 8}',
    "clip_id": "a",
}


@pytest.fixture
def clip(tmp_path: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    frames = draw.integers(0, 256, (30, 3, 8, 8), np.uint8)
    speech = draw.integers(-30000, 30000, 30 * 640, np.int16)
    path = tmp_path / "clips" / "a.safetensors"
    write_clip(path, frames, speech, HEADER)
    return path, frames, speech


def test_whole_clip_and_parts(clip: tuple[Path, np.ndarray, np.ndarray]) -> None:
    path, frames, speech = clip
    for served, expected in zip(read_clip(path), (frames, speech), strict=True):
        np.testing.assert_array_equal(served, expected)
    served, sound = read_clip(path, 10, 14)
    np.testing.assert_array_equal(served, frames[10:14])
    np.testing.assert_array_equal(sound, speech[6400:8960])


def test_arrays_of_any_layout_in_memory_are_stored_alike(
    clip: tuple[Path, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    path, frames, speech = clip
    other = tmp_path / "b.safetensors"
    channels_last = np.ascontiguousarray(frames.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    write_clip(other, channels_last, np.repeat(speech, 2)[::2], HEADER)
    assert header_of(other) == header_of(path)
    for served, expected in zip(read_clip(other), (frames, speech), strict=True):
        np.testing.assert_array_equal(served, expected)


def test_window_reads_its_frames_its_speech_and_the_first_frame(
    clip: tuple[Path, np.ndarray, np.ndarray],
) -> None:
    path, frames, speech = clip
    served, sound, still = read_window(path, start=5, window_frames=20, first=3, num_frames=4)
    np.testing.assert_array_equal(served, frames[8:12])
    apart, _, _ = read_window(path, start=5, window_frames=20, first=3, num_frames=4, frame_step=5)
    np.testing.assert_array_equal(apart, frames[[8, 13, 18, 23]])
    np.testing.assert_array_equal(sound, speech[5 * 640 : 25 * 640])
    np.testing.assert_array_equal(still, frames[0])
    with pytest.raises(InputError, match="promised 31"):
        read_window(path, start=11, window_frames=20, first=0, num_frames=4)


def test_any_safetensors_reader_opens_it(clip: tuple[Path, np.ndarray, np.ndarray]) -> None:
    path, frames, _ = clip
    np.testing.assert_array_equal(load_file(path)["frames"], frames)
    header = read_header(path)
    assert (header.num_frames, header.height, header.width, header.fps, header.clip_id) == (30, 8, 8, 25, "a")
    assert header.settings == {"size": 8}
    assert len(json.loads(header_of(path)["frame_crc32"])) == 30
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_flip_of_any_byte_is_an_error_never_another_frame(
    clip: tuple[Path, np.ndarray, np.ndarray],
) -> None:
    """Header, pixels and speech; what a flip leaves as it was (a space that pads the header) may be served."""
    path, frames, speech = clip
    whole = path.read_bytes()
    header_ends = 8 + int.from_bytes(whole[:8], "little")
    draw = np.random.default_rng(1)
    positions = [*range(header_ends), *draw.integers(header_ends, len(whole), 200).tolist()]
    noticed = 0
    for position in positions:
        data = bytearray(whole)
        data[position] ^= 1 << int(draw.integers(8))
        path.write_bytes(bytes(data))
        try:
            header = read_header(path)
            served, sound = read_clip(path)
        except InputError as error:
            noticed += 1
            assert "a.safetensors cannot be used" in str(error) and "s2v prepare --verify" in str(error)
            continue
        np.testing.assert_array_equal(served, frames)
        np.testing.assert_array_equal(sound, speech)
        assert (header.fps, header.clip_id, header.settings) == (25, "a", {"size": 8})
    assert noticed >= len(positions) - 8


def test_windows_are_checked_too(clip: tuple[Path, np.ndarray, np.ndarray]) -> None:
    path, _, _ = clip
    whole = path.read_bytes()
    pixels = len(whole) - 30 * 192
    for frame, damaged in ((0, True), (7, False), (8, True), (11, True), (12, False)):
        data = bytearray(whole)
        data[pixels + 192 * frame] ^= 4
        path.write_bytes(bytes(data))
        if damaged:
            with pytest.raises(InputError, match="pixels do not match"):
                read_window(path, start=5, window_frames=20, first=3, num_frames=4)
        else:
            read_window(path, start=5, window_frames=20, first=3, num_frames=4)
    data = bytearray(whole)
    data[pixels - 6 * 640 * 2 + 2] ^= 4  # speech of frame 24, the window's last
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match="speech does not match"):
        read_window(path, start=5, window_frames=20, first=3, num_frames=4)
    read_window(path, start=4, window_frames=19, first=3, num_frames=4)


def test_files_cut_short_or_gone(clip: tuple[Path, np.ndarray, np.ndarray]) -> None:
    path, _, _ = clip
    whole = path.read_bytes()
    for length in (len(whole) - 1, len(whole) // 2, 100, 8, 5, 0):
        path.write_bytes(whole[:length])
        for read in (read_header, read_clip):
            with pytest.raises(InputError, match=r"cannot be used .* run `s2v prepare --verify`"):
                read(path)
    path.unlink()
    with pytest.raises(InputError, match="no cached clip"):
        read_clip(path)


def test_the_first_format_is_still_read(clip: tuple[Path, np.ndarray, np.ndarray]) -> None:
    path, frames, speech = clip
    checks = {
        "format": "s2v-clip-1",
        "frame_crc32": json.dumps([zlib.crc32(frame.tobytes()) for frame in frames]),
        "speech_crc32": str(zlib.crc32(speech.tobytes())),
    }
    save_file({"frames": frames, "speech": speech}, path, {**HEADER, **checks})
    np.testing.assert_array_equal(read_clip(path)[1], speech)
    np.testing.assert_array_equal(read_window(path, 5, 20, 3, 4)[0], frames[8:12])
    data = bytearray(path.read_bytes())
    data[-30 * 192 - 1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match="speech does not match"):
        read_clip(path)


def test_other_safetensors_files_are_no_clips(tmp_path: Path) -> None:
    save_file({"weights": np.zeros(3)}, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="its format is None"):
        read_header(tmp_path / "a.safetensors")
    save_file({"weights": np.zeros(3)}, tmp_path / "b.safetensors", {**HEADER, "format": "s2v-clip-1"})
    with pytest.raises(InputError, match="cannot be used"):
        read_header(tmp_path / "b.safetensors")


def test_names_are_paths_only_where_they_are_safe(tmp_path: Path) -> None:
    assert cache_file_of("id00012/abc_-9/00001") == "clips/id00012/abc_-9/00001.safetensors"
    odd = [
        "../up",
        "a/../b",
        "/root",
        "a//b",
        "new\nline",
        "späße",
        "x" * 300,
        ".hidden",
        "quote'\"",
        "a b",
        "\udcff",
    ]
    files = [cache_file_of(name) for name in odd]
    assert len(set(files)) == len(odd)
    for file in files:
        assert file.startswith("clips/by_hash/")
        assert (tmp_path / file).resolve().is_relative_to(tmp_path)


@pytest.fixture
def jpeg_clip(tmp_path: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    """30 smooth frames of 24 x 16 that differ from each other and from colour to colour."""
    rows, columns = np.mgrid[0:1:24j, 0:1:16j]
    shades = np.stack([rows, columns, (rows + columns) / 2])
    frames = np.stack([(shades * 120 + 4 * number) for number in range(30)]).astype(np.uint8)
    speech = np.random.default_rng(0).integers(-30000, 30000, 30 * 640, np.int16)
    path = tmp_path / "clips" / "a.safetensors"
    write_clip(path, frames, speech, HEADER, jpeg_quality=95)
    return path, frames, speech


def test_jpeg_clips_are_read_as_raw_ones_are(jpeg_clip: tuple[Path, np.ndarray, np.ndarray]) -> None:
    path, frames, speech = jpeg_clip
    served, sound = read_clip(path)
    assert served.shape == frames.shape and served.dtype == np.uint8
    np.testing.assert_array_equal(sound, speech)
    assert np.abs(served.astype(int) - frames).mean() < 1.5  # of neighbouring frames: 4
    np.testing.assert_array_equal(read_clip(path, 10, 14)[0], served[10:14])
    window, sound, still = read_window(path, start=5, window_frames=20, first=3, num_frames=4, frame_step=3)
    np.testing.assert_array_equal(window, served[8:18:3])
    np.testing.assert_array_equal(sound, speech[5 * 640 : 25 * 640])
    np.testing.assert_array_equal(still, served[0])
    header = read_header(path)
    assert (header.num_frames, header.height, header.width, header.fps) == (30, 24, 16, 25)


def test_jpegs_are_what_any_decoder_reads(jpeg_clip: tuple[Path, np.ndarray, np.ndarray]) -> None:
    path, frames, _ = jpeg_clip
    stored = load_file(path)
    begin, end = stored["jpeg_ends"][7:9]
    with Image.open(io.BytesIO(stored["jpeg"][begin:end].tobytes())) as picture:
        shown = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    assert np.abs(shown.astype(int) - frames[7]).mean() < 1.5
    assert json.loads(header_of(path)["frame_crc32"])[7] == zlib.crc32(stored["jpeg"][begin:end].tobytes())


def test_damage_of_jpegs_is_noticed(jpeg_clip: tuple[Path, np.ndarray, np.ndarray]) -> None:
    path = jpeg_clip[0]
    whole = path.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    tensors = {
        name: 8 + length + entry["data_offsets"][0]
        for name, entry in json.loads(whole[8 : 8 + length]).items()
        if name != "__metadata__"
    }
    for position in (tensors["jpeg"] + 300, tensors["jpeg_ends"] + 16, tensors["speech"] + 5):
        data = bytearray(whole)
        data[position] ^= 4
        path.write_bytes(bytes(data))
        with pytest.raises(InputError, match="prepare --verify"):
            read_clip(path)


def header_of(path: Path) -> dict[str, str]:
    raw = path.read_bytes()
    metadata: dict[str, str] = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    return metadata
