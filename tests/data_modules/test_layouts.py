"""Finding clips: names and labels of each layout, and what is said where nothing fits."""

from pathlib import Path

import pytest

from data_modules.layouts import find_clips
from s2v.errors import InputError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_crema_d(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "VideoFlash/1001_DFA_ANG_XX.flv",
        "AudioWAV/1001_DFA_ANG_XX.wav",
        "VideoFlash/1002_IEO_HAP_HI.flv",
        "VideoFlash/odd.flv",
        "AudioWAV/1003_TIE_SAD_LO.wav",
        "VideoFlash/notes.txt",
        "AudioMP3/1001.mp3",
    )
    clips = {clip.clip_id: clip for clip in find_clips(tmp_path, "crema_d")}
    assert sorted(clips) == ["1001_DFA_ANG_XX", "1002_IEO_HAP_HI", "1003_TIE_SAD_LO", "odd"]
    first = clips["1001_DFA_ANG_XX"]
    assert (first.speaker, first.sentence, first.emotion) == ("1001", "DFA", "anger")
    assert (first.video, first.speech) == ("VideoFlash/1001_DFA_ANG_XX.flv", "AudioWAV/1001_DFA_ANG_XX.wav")
    assert clips["1002_IEO_HAP_HI"].speech == ""
    assert clips["1003_TIE_SAD_LO"].missing == "VideoFlash/1003_TIE_SAD_LO.flv"
    assert (clips["odd"].speaker, clips["odd"].emotion) == ("", "")


def test_voxceleb2(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "dev/mp4/id00012/abc/00001.mp4",
        "test/mp4/id00017/x-_y/00002.mp4",
        "mp4/id00020/v/00003.mp4",
        "dev/mp4/readme.mp4",
        "dev/mp4/id00012/abc/.00002.mp4",
    )
    clips = find_clips(tmp_path, "voxceleb2")
    assert [(clip.clip_id, clip.speaker, clip.official_split) for clip in clips] == [
        ("id00012/abc/00001", "id00012", "dev"),
        ("id00017/x-_y/00002", "id00017", "test"),
        ("id00020/v/00003", "id00020", ""),
    ]
    assert [clip.official_split for clip in find_clips(tmp_path / "dev", "voxceleb2")] == ["dev"]


def test_folder(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "ann/day 1/a.MP4",
        "ann/b.mov",
        "bob/b.webm",
        "c.mkv",
        "bob/x.txt",
        ".trash/d.mp4",
        "bob/b.mp4",
    )
    clips = find_clips(tmp_path, "folder")
    assert [(clip.clip_id, clip.speaker) for clip in clips] == [
        ("ann/b", "ann"),
        ("ann/day 1/a", "ann"),
        ("bob/b", "bob"),
        ("bob/b.webm", "bob"),
        ("c", ""),
    ]


@pytest.mark.parametrize("layout", ["crema_d", "voxceleb2", "folder"])
def test_wrong_roots_say_what_was_looked_for_and_found(tmp_path: Path, layout: str) -> None:
    with pytest.raises(InputError, match="does not exist"):
        find_clips(tmp_path / "none", layout)
    touch(tmp_path, "papers/a.pdf", "b.txt")
    with pytest.raises(InputError, match=r"looked for, 'b\.txt', 'papers' found"):
        find_clips(tmp_path, layout)
    with pytest.raises(InputError, match="is a file"):
        find_clips(tmp_path / "b.txt", layout)


def test_unknown_layout(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one of crema_d, voxceleb2, folder"):
        find_clips(tmp_path, "grid")
