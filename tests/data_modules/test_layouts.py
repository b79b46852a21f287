"""Finding clips: names and labels of each layout, and what is said where nothing fits."""

import errno
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from data_modules import VideoFolder
from data_modules.layouts import LAYOUTS, find_clips, layout_for_prepare, videos_below
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
        "VideoFlash/._1001_DFA_ANG_XX.flv",  # macOS' own
        "AudioWAV/._1001_DFA_ANG_XX.wav",
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
    assert [clip.recording for clip in clips] == ["id00012/abc", "id00017/x-_y", "id00020/v"]
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
    assert {clip.recording for clip in clips} == {""}  # "day 1" may be a take, a mood or a camera


def test_a_folder_s_videos_are_those_of_its_layout(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere", "2.MOV", "._2.MOV")
    corpus = touch(tmp_path / "corpus", "ann/1.mp4", "ann/._1.mp4", ".trash/ann/3.mp4", "ann/notes.txt")
    (corpus / "ben").symlink_to(tmp_path / "elsewhere")
    videos = [path.relative_to(corpus).as_posix() for path in videos_below(corpus)]
    assert videos == [clip.video for clip in find_clips(corpus, "folder")] == ["ann/1.mp4", "ben/2.MOV"]


def test_links_that_lead_back_are_not_followed(tmp_path: Path) -> None:
    """To the own folder, to one above, and by two links in turn: each video once, or for ever."""
    corpus = touch(tmp_path / "corpus", "ann/1.mp4", "ben/2.mp4")
    (corpus / "ann" / "self").symlink_to(".")
    (corpus / "ann" / "up").symlink_to("..")
    (corpus / "ben" / "away").symlink_to(touch(tmp_path / "elsewhere", "3.mp4"))
    (tmp_path / "elsewhere" / "back").symlink_to(corpus / "ben")
    videos = [path.relative_to(corpus).as_posix() for path in videos_below(corpus)]
    assert videos == ["ann/1.mp4", "ben/2.mp4", "ben/away/3.mp4"]


def test_known_ids_stay(tmp_path: Path) -> None:
    touch(tmp_path, "b.avi", "b.mov", "b.mov.mp4", "c.mov")
    known = {"b": "b.mov", "b.mov": "gone.mp4", "other": "c.mov"}
    assert {clip.clip_id: clip.video for clip in find_clips(tmp_path, "folder", known)} == {
        "b": "b.mov",
        "b.avi": "b.avi",
        "b.mov": "b.mov.mp4",  # a stem like an id with a suffix
        "c": "c.mov",  # the layout called it otherwise then
    }
    known = {"b.mov": "b.mov"}  # whose neighbour was taken away
    assert {clip.clip_id: clip.video for clip in find_clips(tmp_path, "folder", known)} == {
        "b": "b.avi",
        "b.mov": "b.mov",
        "b.mov.mp4": "b.mov.mp4",
        "c": "c.mov",
    }


@pytest.mark.parametrize("layout", ["crema_d", "voxceleb2", "folder"])
def test_wrong_roots_say_what_was_looked_for_and_found(tmp_path: Path, layout: str) -> None:
    with pytest.raises(InputError, match="does not exist"):
        find_clips(tmp_path / "none", layout)
    touch(tmp_path, "papers/a.pdf", "b.txt")
    with pytest.raises(InputError, match=r"looked for, 'b\.txt', 'papers' found"):
        find_clips(tmp_path, layout)
    with pytest.raises(InputError, match="is a file"):
        find_clips(tmp_path / "b.txt", layout)


@pytest.mark.parametrize("layout", ["voxceleb2", "folder"])
def test_a_speaker_whose_folder_may_not_be_read_is_not_left_out_without_a_word(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "mp4/id00001/a/1.mp4", "mp4/id00002/a/1.mp4")
    scandir = os.scandir

    def guarded(path: str) -> Any:  # root may read everything
        if os.path.basename(path) == "id00002":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    with pytest.raises(InputError, match=r"id00002 can't be read \(Permission denied\)"):
        find_clips(tmp_path, layout)


def test_unknown_layout(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"one of crema_d, voxceleb2, folder .* own as package\.module\.function"
    ):
        find_clips(tmp_path, "grid")
    with pytest.raises(InputError, match=r"'foldr': did you mean folder\?: one of"):
        find_clips(tmp_path, "foldr")


OWN = """
from data_modules import VideoFolder
from data_modules.layouts import LAYOUTS, FoundClip

def find_takes(root):
    return [FoundClip(path.stem, path.name, speaker="ann") for path in root.glob("*.mp4")]

def find_paths(root):
    return list(root.glob("*.mp4"))

def find_one_by_one(root):
    yield from find_takes(root)

LAYOUTS["takes"] = find_takes
speakers = 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus, and modules of one's own on the path."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "own_layouts.py").write_text(OWN)
    (tmp_path / "modules" / "broken_layouts.py").write_text("class = 1\n")
    monkeypatch.syspath_prepend(tmp_path / "modules")
    monkeypatch.setattr("data_modules.layouts.LAYOUTS", dict(LAYOUTS))
    monkeypatch.delitem(sys.modules, "own_layouts", raising=False)
    return touch(tmp_path / "corpus", "1.mp4", "2.mp4")


def test_a_function_of_ones_own(own: Path) -> None:
    clips = find_clips(own, "own_layouts.find_takes")
    assert [(clip.clip_id, clip.speaker) for clip in clips] == [("1", "ann"), ("2", "ann")]
    assert find_clips(own, "takes") == clips  # entered in LAYOUTS by the import
    assert layout_for_prepare("takes") == "own_layouts.find_takes"
    assert layout_for_prepare("own_layouts.find_takes") == "own_layouts.find_takes"
    assert layout_for_prepare("crema_d") == "crema_d"


def test_a_function_of_ones_own_that_lists_nothing(own: Path, tmp_path: Path) -> None:
    touch(tmp_path / "sound", "1.wav")
    with pytest.raises(InputError) as caught:
        find_clips(tmp_path / "sound", "own_layouts.find_takes")
    line = f"layout own_layouts.find_takes: it lists no clip of {tmp_path / 'sound'}, where '1.wav' was found"
    assert str(caught.value) == line


class Takes(VideoFolder):
    layout = "takes"


def test_a_data_module_recommends_what_prepare_takes(own: Path, tmp_path: Path) -> None:
    find_clips(own, "own_layouts.find_takes")
    with pytest.raises(
        InputError, match=r"`s2v prepare --root CORPUS --layout own_layouts\.find_takes --cache "
    ):
        Takes(cache_dir=str(tmp_path / "none")).setup()


@pytest.mark.parametrize(
    ("layout", "line"),
    [
        (
            "own_layouts.find_take",
            "the layout: own_layouts has no function find_take: did you mean find_takes?",
        ),
        (
            "no_layouts.find",
            "the layout: no_layouts can't be imported (ModuleNotFoundError: No module named 'no_layouts'); it must "
            "lie in the current folder, be installed, or be on PYTHONPATH",
        ),
        (
            "broken_layouts.find",
            "the layout: broken_layouts can't be imported (SyntaxError: invalid syntax (broken_layouts.py, line "
            "1)); it must lie in the current folder, be installed, or be on PYTHONPATH",
        ),
        (".find", "the layout: expected package.module.function, got '.find'"),
        ("own_layouts..find", "the layout: expected package.module.function, got 'own_layouts..find'"),
        (
            "own_layouts.speakers",
            "the layout: a function was expected, own_layouts.speakers is int",
        ),
        (
            "own_layouts.find_paths",
            "layout own_layouts.find_paths: a list of data_modules.layouts.FoundClip was expected",
        ),
        (
            "own_layouts.find_one_by_one",
            "layout own_layouts.find_one_by_one: a list of data_modules.layouts.FoundClip was expected",
        ),
    ],
)
def test_no_function_of_ones_own_is_one_line(own: Path, layout: str, line: str) -> None:
    with pytest.raises(InputError) as caught:
        find_clips(own, layout)
    assert str(caught.value) == line
