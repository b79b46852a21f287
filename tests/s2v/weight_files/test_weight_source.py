"""What weights are called: whole paths for other folders, hashes for other places."""

import hashlib
from pathlib import Path

import pytest

from s2v.weight_files.weight_source import (
    absolute_source,
    changed_sources,
    content_of_source,
    contents_of_sources,
    files_of_source,
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_whole_paths(folder: Path) -> None:
    Path("a:b").touch()
    Path("c@d").touch()
    for source, whole in {
        "x.ckpt": f"{folder}/x.ckpt",
        "a:b": f"{folder}/a:b",
        "vggface:w/x.pth": f"vggface:{folder}/w/x.pth",
        "vggface:c@d": f"vggface:{folder}/c@d",
        "mobilefacenet:w/x.pth@y.onnx": f"mobilefacenet:{folder}/w/x.pth@{folder}/y.onnx",
        "onnx:x.onnx?size=112&order=bgr": f"onnx:{folder}/x.onnx?size=112&order=bgr",
        "class:mine.Face": "class:mine.Face",
        "class:mine.Face:w/x.pt": f"class:mine.Face:{folder}/w/x.pt",
    }.items():
        assert absolute_source(source) == whole
        assert absolute_source(whole) == whole


def test_hashes_tell_files_apart_and_not_where_they_lie(folder: Path) -> None:
    (folder / "w").mkdir()
    for name, content in {"x": b"1", "w/x": b"1", "y": b"2"}.items():
        (folder / name).write_bytes(content)
    one, two = (hashlib.sha256(content).hexdigest() for content in (b"1", b"2"))
    assert content_of_source("x") == content_of_source("w/x") == one
    assert content_of_source("senet:w/x") == f"senet:{one}"
    assert content_of_source("mobilefacenet:x@y") == f"mobilefacenet:{one}@{two}"
    assert content_of_source("onnx:y?size=112") == f"onnx:{two}?size=112"
    assert content_of_source("class:mine.Face:y") == f"class:mine.Face:{two}"
    assert content_of_source("class:mine.Face") == "class:mine.Face"
    assert files_of_source("class:mine.Face:y") == ["y"] and files_of_source("class:mine.Face") == []
    with pytest.raises(OSError, match="nowhere"):
        content_of_source("nowhere")


def test_what_has_changed_since(folder: Path) -> None:
    for name in ("x", "y", "detector"):
        (folder / name).write_bytes(b"1")
    before = contents_of_sources(["x", "onnx:y?size=112", "mobilefacenet:x@detector", "dlib", "gone/y"])
    assert list(before) == ["x", "onnx:y?size=112", "mobilefacenet:x@detector"]
    assert changed_sources(before) == []
    (folder / "detector").write_bytes(b"2")
    assert changed_sources(before) == ["mobilefacenet:x@detector"]
    (folder / "x").unlink()
    (folder / "y").write_bytes(b"2")
    assert changed_sources(before) == ["onnx:y?size=112"]
