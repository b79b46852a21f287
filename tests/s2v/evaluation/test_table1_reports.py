"""What may not stand in one table; what a table then says: test_table1.py."""

from pathlib import Path
from typing import Any

import pytest

from s2v.errors import InputError
from s2v.evaluation.table1_reports import read_table
from tests.s2v.evaluation.test_table1 import report, sized_report


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"clip_list_sha256": "xyz"}, "not tested alike: clip_list_sha256 is xyz and abc"),
        ({"image_size": "64 x 64"}, "not tested alike: image_size"),
        ({"judges": {"sync": None, "identity": None}}, "judged by other networks"),
    ],
)
def test_what_was_not_tested_alike_is_refused(tmp_path: Path, other: dict[str, Any], words: str) -> None:
    first = report(tmp_path / "a.json", "SDFA", 0.7)
    second = report(tmp_path / "b.json", "speech2video", 0.6, **other)
    with pytest.raises(InputError, match=words):
        read_table({"SDFA": first, "speech2video": second}, None)


def test_lips_compared_with_zeros_stand_beside_no_others(tmp_path: Path) -> None:
    """A report from before judges said so was padded."""
    judge = {"file": "sync.ckpt", "sha256": "1", "origin": "trained here"}
    older = report(tmp_path / "a.json", "SDFA", 0.7, judges={"sync": judge})
    zeros = report(tmp_path / "b.json", "speech2video", 0.6, judges={"sync": judge | {"padding": "zeros"}})
    assert "length 1" not in read_table({"SDFA": older, "speech2video": zeros}, None).as_markdown()
    ours = report(tmp_path / "c.json", "speech2video", 0.6, judges={"sync": judge | {"padding": "none"}})
    for files in ({"SDFA": older, "speech2video": ours}, {"speech2video": ours, "SDFA": older}):
        with pytest.raises(InputError, match="test SDFA again"):
            read_table(files, None)
    text = read_table({"speech2video": ours}, None).as_markdown()
    assert (
        "* sync judge: sync.ckpt, trained here; without padding: this judge's embeddings have length 1"
        in text
    )


def test_a_report_without_the_small_size_is_named(tmp_path: Path) -> None:
    first = sized_report(tmp_path / "a.json", "SDFA", "96 x 128", 0.1, 0.75)
    second = report(tmp_path / "b.json", "speech2video", 0.6, image_size="128 x 128")
    with pytest.raises(InputError, match=r"image_size is 128 x 128 and 96 x 128; .* test speech2video again"):
        read_table({"SDFA": first, "speech2video": second}, None)


def test_the_report_of_another_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is the report of SDFA, expected speech2video"):
        read_table({"speech2video": report(tmp_path / "a.json", "SDFA", 0.7)}, None)
