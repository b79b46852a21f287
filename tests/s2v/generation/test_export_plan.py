import os
from pathlib import Path

import pytest

from s2v.errors import InputError
from s2v.generation.export_plan import plan_exports


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder rec/ in the working directory, with recordings at several depths."""
    for name in ["a.wav", "notes.txt", ".b.wav", "ann/a.wav", "ann/deep/c.MP3", "bob/a.flac"]:
        path = tmp_path / "rec" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "rec"


def plan(speech: str | list[str], output: str) -> dict[str, str]:
    """{recording: video}, relative to the working directory."""
    arguments = [speech] if isinstance(speech, str) else speech
    return {os.path.relpath(e.speech): os.path.relpath(e.output) for e in plan_exports(arguments, output)}


def test_one_file(recordings: Path) -> None:
    assert plan("rec/a.wav", "out.mp4") == {"rec/a.wav": "out.mp4"}
    assert plan("rec/a.wav", "new/OUT.MP4") == {"rec/a.wav": "new/OUT.MP4"}
    assert plan("rec/a.wav", "out") == {"rec/a.wav": "out/a.mp4"}
    assert plan("rec/a.wav", "out.v2") == {"rec/a.wav": "out.v2/a.mp4"}
    assert plan("rec/notes.txt", "out") == {"rec/notes.txt": "out/notes.mp4"}  # named, so it is meant
    Path("folder.mp4").mkdir()
    assert plan("rec/a.wav", "folder.mp4") == {"rec/a.wav": "folder.mp4/a.mp4"}


def test_a_folder_keeps_its_structure(recordings: Path) -> None:
    expected = {
        "rec/a.wav": "out/a.mp4",
        "rec/ann/a.wav": "out/ann/a.mp4",
        "rec/ann/deep/c.MP3": "out/ann/deep/c.mp4",
        "rec/bob/a.flac": "out/bob/a.mp4",
    }
    assert plan("rec", "out") == expected
    assert plan("rec/**/*", "out") == expected
    assert plan(str(recordings), "out") == expected


def test_patterns(recordings: Path) -> None:
    assert plan("rec/*.wav", "out") == {"rec/a.wav": "out/a.mp4"}
    assert plan("rec/*/a.*", "out") == {"rec/ann/a.wav": "out/ann/a.mp4", "rec/bob/a.flac": "out/bob/a.mp4"}
    assert plan("rec/ann/deep/?.MP3", "one.mp4") == {"rec/ann/deep/c.MP3": "one.mp4"}
    (recordings / "x[1].wav").touch()
    assert plan("rec/x[1].wav", "out") == {"rec/x[1].wav": "out/x[1].mp4"}  # a name first, a pattern second


def test_same_names_stay_apart(recordings: Path) -> None:
    assert plan(["rec/a.wav", "rec/ann/a.wav"], "out") == {
        "rec/a.wav": "out/a.mp4",
        "rec/ann/a.wav": "out/ann/a.mp4",
    }
    (recordings / "a.mp3").touch()
    assert plan("rec/a.*", "out") == {"rec/a.mp3": "out/a.mp3.mp4", "rec/a.wav": "out/a.wav.mp4"}
    assert plan(["rec/a.wav", "rec/a.wav", "rec/../rec/a.wav"], "out") == {"rec/a.wav": "out/a.mp4"}
    outputs = plan(["rec/ann", "rec/bob", "rec/a.wav"], "out")
    assert len(set(outputs.values())) == len(outputs) == 4


def test_folders_named_like_recordings_are_none(recordings: Path) -> None:
    (recordings / "bob" / "take.wav").mkdir()
    (recordings / "bob" / "take.wav" / "b.wav").touch()
    expected = {"rec/bob/a.flac": "out/a.mp4", "rec/bob/take.wav/b.wav": "out/take.wav/b.mp4"}
    assert plan("rec/bob", "out") == expected
    assert plan("rec/bob/**/*", "out") == expected


def test_recordings_come_in_the_order_of_their_names(recordings: Path) -> None:
    for name in ("d", "z", "c", "y"):
        (recordings / f"{name}.wav").touch()
    for speech in ("rec", "rec/*.wav"):
        assert list(plan(speech, "out")) == sorted(plan(speech, "out"))


def test_videos_of_an_earlier_run_are_no_recordings(recordings: Path) -> None:
    (recordings / "out" / "ann").mkdir(parents=True)
    (recordings / "out" / "ann" / "a.mp4").touch()
    assert "rec/out/ann/a.mp4" not in plan("rec", "rec/out")
    assert len(plan("rec/**/*", "rec/out")) == 4
    assert plan("rec/ann", "rec") == {"rec/ann/a.wav": "rec/a.mp4", "rec/ann/deep/c.MP3": "rec/deep/c.mp4"}


@pytest.mark.parametrize(
    ("speech", "output", "message"),
    [
        (["rec"], "out.mp4", "give a folder"),
        (["rec/a.wav"], "out.avi", "videos are MP4"),
        (["rec/a.wav"], "", "--output is empty"),
        (["rec/a.wav", ""], "out", "--speech is empty"),
        (["missing.wav"], "out", "missing.wav"),
        (["rec/*.ogg"], "out", r"rec/\*.ogg"),
        (["rec/a.wav", "empty"], "out", "no audio or video file in empty"),
        (["rec"], "rec", "folder of the recordings"),
        (["rec"], "rec/notes.txt", "neither a folder"),
        (["clip.mp4"], "clip.mp4", "itself one of the recordings"),
        (["clip.mp4"], ".", "itself one of the recordings"),
        (["a.mp3.wav", "a.mp3", "a.wav", "rec/../a.mp3"], "out", "would both become"),
    ],
)
def test_wrong_arguments(recordings: Path, speech: list[str], output: str, message: str) -> None:
    Path("empty").mkdir()
    for name in ["clip.mp4", "a.mp3.wav", "a.mp3", "a.wav"]:
        Path(name).touch()
    with pytest.raises(InputError, match=message) as caught:
        plan_exports(speech, output)
    assert "\n" not in str(caught.value)


def test_links_are_recordings_of_their_own(recordings: Path) -> None:
    """As git-annex has identical clips; a link to where one comes from does not go round for ever."""
    (recordings / "ann" / "again.wav").symlink_to("a.wav")
    (recordings / "cem").symlink_to("bob")
    (recordings / "bob" / "up").symlink_to("..")
    assert plan(["rec", "rec/a.wav"], "out") == {
        "rec/a.wav": "out/a.mp4",
        "rec/ann/a.wav": "out/ann/a.mp4",
        "rec/ann/again.wav": "out/ann/again.mp4",
        "rec/ann/deep/c.MP3": "out/ann/deep/c.mp4",
        "rec/bob/a.flac": "out/bob/a.mp4",
        "rec/cem/a.flac": "out/cem/a.mp4",
    }
