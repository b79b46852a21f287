"""What was stopped before its end is told from what is complete, and gone on with."""

from pathlib import Path
from typing import Any

import pytest

import data_modules.preparation as preparation
import data_modules.synthetic.corpus as corpus
from data_modules import SyntheticFaces, VideoFolder
from data_modules.clip_manifest import read_manifest
from data_modules.unfinished import being_filled, is_unfinished
from s2v.errors import InputError
from tests.data_modules.media import write_speakers


def test_only_a_regular_end_takes_the_mark_away(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    with pytest.raises(KeyboardInterrupt), being_filled(folder):
        assert is_unfinished(folder)
        raise KeyboardInterrupt
    assert is_unfinished(folder)
    with being_filled(folder):
        pass
    assert not is_unfinished(folder) and list(folder.iterdir()) == []
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match=r"cannot write to .*file"),
        being_filled(tmp_path / "file"),
    ):
        pass


class Stopped(Exception):
    pass


def stop_after(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, count: int) -> None:
    """The function of that name works so many times."""
    function, calls = getattr(module, name), iter(range(count))

    def limited(*arguments: Any) -> Any:
        if next(calls, None) is None:
            raise Stopped
        return function(*arguments)

    monkeypatch.setattr(module, name, limited)


def test_a_fit_goes_on_with_an_interrupted_preparation(tmp_path: Path) -> None:
    write_speakers(tmp_path / "corpus", 6)
    cache, settings = tmp_path / "cache", {"image_size": 16, "window_frames": 20, "num_workers": 0}
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, preparation, "prepare_in_child", 4)
        with pytest.raises(Stopped):
            VideoFolder(str(cache), root=str(tmp_path / "corpus"), **settings).prepare_data()
    assert 0 < len(read_manifest(cache / "manifest.csv")) < 6
    with pytest.warns(
        UserWarning, match=r"has not come to its end: these are the clips so far; `s2v prepare"
    ):
        VideoFolder(str(cache), **settings).setup()
    data = VideoFolder(str(cache), root=str(tmp_path / "corpus"), **settings)
    assert not data.look_at_clips()
    data.prepare_data()
    assert len(read_manifest(cache / "manifest.csv")) == 6 and data.look_at_clips()
    assert not is_unfinished(cache)


def test_a_fit_goes_on_with_an_interrupted_synthesis(tmp_path: Path) -> None:
    def data() -> SyntheticFaces:
        return SyntheticFaces(
            str(tmp_path / "cache"), 2, 3, root=str(tmp_path / "corpus"), image_size=32, num_workers=0
        )

    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, corpus, "_write_clip", 2)
        with pytest.raises(Stopped):
            data().prepare_data()
    assert len(list(tmp_path.glob("corpus/VideoFlash/*"))) == 2
    data().prepare_data()
    assert len(read_manifest(tmp_path / "cache" / "manifest.csv")) == 6
    assert not is_unfinished(tmp_path / "corpus") and not is_unfinished(tmp_path / "cache")
