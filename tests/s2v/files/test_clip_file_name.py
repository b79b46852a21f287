import pytest

from s2v.files.clip_file_name import clip_file_name


@pytest.mark.parametrize(
    ("clip_id", "name"),
    [
        ("1001_IEO_ANG_XX", "1001_IEO_ANG_XX"),
        ("id00012/21Uxsk56VDQ/00001", "id00012_21Uxsk56VDQ_00001"),
        ("../../.bashrc", "_.._.bashrc"),
        (".hidden", "hidden"),
        ("名 前", "名_前"),
        ("\udcff", "_"),
        ("..", "clip"),
        ("", "clip"),
    ],
)
def test_a_clips_id_as_a_file_name(clip_id: str, name: str) -> None:
    assert clip_file_name(clip_id) == name


@pytest.mark.parametrize("letter", ["x", "é", "名"])
def test_long_ids_fit_any_file_system_and_stay_apart(letter: str) -> None:
    names = {clip_file_name(letter * 400 + end) for end in ("1", "2")}
    assert len(names) == 2
    assert all(140 <= len(name.encode()) <= 150 and name.startswith(letter * 40) for name in names)
    assert clip_file_name("x" * 150) == "x" * 150
