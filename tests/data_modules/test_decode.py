"""Times and pixels of real files against PyAV read plainly, and against brute force."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from data_modules import decode
from data_modules.clip_refused import ClipRefused
from data_modules.decode import decode_frames, frames_on_screen, orientation_of, probe_video
from tests.data_modules.media import number_of, shades, tone, write_clip, write_media


def numbers(path: Path) -> list[int]:
    track = probe_video(path)
    return [number_of(frame) for frame in decode_frames(track, np.arange(len(track.times)))]


FORMATS = ["a.mp4 libx264", "a.flv libx264", "a.flv flv1", "a.avi mpeg4", "a.mkv libx264", "a.webm libvpx"]


@pytest.mark.parametrize(("name", "codec"), [form.split() for form in FORMATS])
def test_every_frame_in_its_place(tmp_path: Path, name: str, codec: str) -> None:
    try:
        write_media(tmp_path / name, shades(50), video_codec=codec, options={})
    except av.error.ArgumentError as error:
        if codec != "libvpx":
            raise
        pytest.skip(
            f"libvpx, which now and then does not open on a busy machine, wrote no test file: {error}"
        )
    track = probe_video(tmp_path / name)
    np.testing.assert_allclose(np.diff(track.times), 0.04, atol=0.0011)
    assert track.rate == pytest.approx(25, abs=0.05)
    assert np.abs(np.array(numbers(tmp_path / name)) - np.arange(50)).max() <= (
        0 if codec == "libx264" else 1
    )


def test_pixels_are_those_of_pyav(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    pictures = [np.kron(np.roll(noise, step, 1), np.ones((8, 8, 1), np.uint8)) for step in range(20)]
    path = write_media(tmp_path / "a.mp4", pictures)
    with av.open(str(path)) as container:
        expected = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    served = list(decode_frames(probe_video(path), np.array([0, 0, 3, 19])))
    for frame, number in zip(served, [0, 0, 3, 19], strict=True):
        assert np.abs(frame.astype(int) - expected[number]).max() <= 2


def test_what_decord_would_keep_whole_is_not_given_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds decoded frames, of a phone's minute gigabytes, which a preparation's worker may not have."""
    large = [np.kron(picture, np.ones((4, 4, 1), np.uint8)) for picture in shades(50)]
    track, given = probe_video(write_media(tmp_path / "a.mp4", large)), []
    open_decord = decode._open_decord
    monkeypatch.setattr(decode, "_open_decord", lambda track: given.append(track) or open_decord(track))
    as_it_is = list(decode_frames(track, np.arange(50)))
    assert given == [track]
    monkeypatch.setattr(decode, "_MOST_BYTES_OF_DECORD", 50 * as_it_is[0].size - 1)
    for frame, same in zip(decode_frames(track, np.arange(50)), as_it_is, strict=True):
        assert np.abs(frame.astype(int) - same).max() <= 1
    assert given == [track]


def test_source_frame_at_the_centre_of_each_output_frame_is_taken() -> None:
    times = np.arange(90) / (30000 / 1001)
    chosen = frames_on_screen(times, 0.0, 25, 75)
    for number, index in enumerate(chosen):
        centre = (number + 0.5) / 25
        assert times[index] <= centre < (times[index + 1] if index < 89 else 3.003)
    # centres 20, 60, 100, 140, .. ms; frames every 33.4 ms
    assert chosen[:7].tolist() == [0, 1, 2, 4, 5, 6, 7]


def test_variable_rate_goes_by_timestamp(tmp_path: Path) -> None:
    times = np.cumsum(np.random.default_rng(1).uniform(0.01, 0.09, 60))
    times -= times[0]  # MP4 keeps the start itself to a millisecond only
    path = write_media(tmp_path / "a.mp4", shades(60), times=list(times))
    track = probe_video(path)
    np.testing.assert_allclose(track.times, times, atol=1e-4)
    start = float(track.times[0])
    count = int((track.end - start) * 25)
    chosen = frames_on_screen(track.times, start, 25, count)
    served = [number_of(frame) for frame in decode_frames(track, chosen)]
    expected = [max(np.flatnonzero(times <= start + (k + 0.5) / 25)) for k in range(count)]
    assert served == expected


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotated_video_stands_upright(tmp_path: Path, rotation: int) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32], picture[:24, 32:], picture[24:, :32] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    path = write_media(tmp_path / "a.mp4", [picture] * 5, rotation=rotation)
    (frame,) = decode_frames(probe_video(path), np.array([2]))
    expected = np.rot90(picture, rotation // 90)
    assert frame.shape == expected.shape
    assert np.abs(frame.astype(int) - expected).mean() < 4


def test_mirrored_display_matrix() -> None:
    one = 1 << 16
    mirror = np.array([-one, 0, 0, 0, one, 0, 0, 0, 1 << 30], "<i4").tobytes()
    assert orientation_of(mirror) == (False, True, False)
    assert orientation_of(b"") == (False, False, False)


def test_frames_cut_off_by_an_edit_list_are_not_served(tmp_path: Path) -> None:
    """Timestamps below zero become an edit list; decord would serve those frames too, one second early."""
    path = write_media(tmp_path / "a.mp4", shades(75), times=[k / 25 - 1 for k in range(75)], sound=tone(2))
    assert numbers(path) == list(range(25, 75))
    assert probe_video(path).times[0] == pytest.approx(0)


def test_late_start_is_kept(tmp_path: Path) -> None:
    path = write_media(
        tmp_path / "a.mp4", shades(25), times=[0.5 + k / 25 for k in range(25)], sound=tone(1.5)
    )
    assert probe_video(path).times[0] == pytest.approx(0.5)


@pytest.mark.parametrize("size", [(47, 65), (1, 1), (2, 600)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    path = write_media(tmp_path / "a.mp4", shades(25, *size[::-1]), pixels="yuv444p")
    (frame,) = decode_frames(probe_video(path), np.array([7]))
    assert frame.shape == (*size, 3)
    assert number_of(frame) == 7


@pytest.mark.parametrize("width", [2, 8, 16, 18, 24, 48, 62, 64, 72, 80, 100])
def test_colours_of_narrow_frames(tmp_path: Path, width: int) -> None:
    """decord 0.6 pads the rows of 2, 8, 16, 24, 48 and 72 pixels."""
    picture = np.zeros((48, width, 3), np.uint8)
    picture[:24], picture[24:] = (200, 40, 90), (30, 160, 220)
    path = write_media(tmp_path / "a.mp4", [picture] * 5)
    (frame,) = decode_frames(probe_video(path), np.array([3]))
    assert frame.shape == picture.shape
    for row in (4, 44):
        assert np.abs(frame[row].astype(int) - picture[row]).max() <= 6


def test_grey_video(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mp4", shades(25), pixels="gray")
    frames = list(decode_frames(probe_video(path), np.arange(25)))
    assert all(frame.shape == (48, 64, 3) and np.ptp(frame, axis=2).max() <= 2 for frame in frames)


def test_native_rate_of_crema_d(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.flv", shades(75), fps=Fraction(30000, 1001))
    assert probe_video(path).rate == pytest.approx(29.97, abs=0.02)


def test_truncated(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", options={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.8)])
    with pytest.raises(ClipRefused, match=r"truncated: \d+ of 50 frames"):
        probe_video(path)


def test_truncated_without_a_frame_count(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.flv", rate=22050, sound=tone(2, 22050))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ClipRefused, match="truncated"):
        probe_video(path)


def test_damage_that_the_decoder_would_patch_over_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 96, 128, 3), np.uint8)
    path = write_media(tmp_path / "a.mp4", list(noise))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = np.random.default_rng(1).bytes(400)
    path.write_bytes(bytes(data))
    with pytest.raises(ClipRefused, match="damaged"):
        list(decode_frames(probe_video(path), np.arange(40)))


def test_a_cover_picture_is_not_a_video(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mp4", sound=tone(1))
    with pytest.raises(ClipRefused, match="no video stream"):
        probe_video(path)


@pytest.mark.parametrize(
    "text", ["not a video", "#EXTM3U\n#EXTINF:10,\na.ts\n", "ffconcat version 1.0\nfile b.mp4\n"]
)
def test_text_and_playlists_named_as_video(tmp_path: Path, text: str) -> None:
    write_clip(tmp_path / "b.mp4")
    (tmp_path / "a.mp4").write_text(text)
    with pytest.raises(ClipRefused, match=r"a\.mp4 cannot be opened"):
        probe_video(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("codec", "pictures_between"), [("libx264", 0), ("libx264", 3), ("mpeg4", 0), ("mpeg4", 2)]
)
def test_avi_says_nothing_of_when_frames_are_shown(tmp_path: Path, codec: str, pictures_between: int) -> None:
    """FFmpeg's guess is a frame late, and with B-frames out of order."""
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25)
        video.width, video.height, video.pix_fmt = 96, 96, "yuv420p"
        video.time_base = Fraction(1, 25)
        video.codec_context.max_b_frames = pictures_between
        video.options = {"bf": str(pictures_between)}
        video.bit_rate = 4_000_000
        for number, pixels in enumerate(shades(50, 96, 96)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    track = probe_video(path)
    np.testing.assert_allclose(track.times, np.arange(50) / 25, atol=1e-6)
    wanted = np.array([0, 1, 2, 7, 7, 30, 49])
    assert [number_of(frame) for frame in decode_frames(track, wanted)] == wanted.tolist()
