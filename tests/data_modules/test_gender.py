"""Genders from the tables that corpora are published with, through preparation to the data module."""

import codecs
from pathlib import Path

import pytest

from data_modules.clip_manifest import read_manifest
from data_modules.gender import find_genders
from data_modules.preparation import prepare
from data_modules.sync_audit import audit_sync
from data_modules.synthetic import write_corpus
from data_modules.video_folder import VideoFolder
from s2v.cli import main
from s2v.errors import InputError
from tests.data_modules.media import tone, write_clip

CREMA_D = (
    '"ActorID","Age","Sex","Race","Ethnicity"\n'
    '1001,51,"Male","Caucasian","Not Hispanic"\n'
    '1002,21,"Female","Caucasian","Not Hispanic"\n'
)
VOXCELEB2 = "VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set \nid00012 ,n000012 ,m ,dev \nid00017 ,n000017 ,f ,test \n"


def test_crema_ds_table(tmp_path: Path) -> None:
    path = tmp_path / "VideoDemographics.csv"
    for text in (CREMA_D, CREMA_D.replace('"', "").replace("\n", "\r\n")):
        path.write_bytes(text.encode())
        assert find_genders(tmp_path, ["crema_d"]) == {"1001": "male", "1002": "female"}
    assert find_genders(tmp_path, ["voxceleb2", "folder"]) == {}


def test_a_row_without_a_name_says_nothing_of_clips_without_a_speaker(tmp_path: Path) -> None:
    (tmp_path / "speakers.csv").write_text("speaker,gender\nanna,f\n,m\n")
    assert find_genders(tmp_path, ["folder"]) == {"anna": "female"}


def test_a_layout_of_ones_own_has_a_folders_table(tmp_path: Path) -> None:
    assert find_genders(tmp_path, ["interviews"]) == {}
    (tmp_path / "speakers.csv").write_text("speaker,gender\nanna,f\n")
    assert find_genders(tmp_path, ["interviews"]) == {"anna": "female"}


@pytest.mark.parametrize(
    "text",
    [
        VOXCELEB2,
        VOXCELEB2.replace(" ,", "\t"),
        VOXCELEB2.replace(" ,", ","),
        VOXCELEB2.replace(" ,", "\t ") + "\n\n",
        "\ufeff" + VOXCELEB2,
    ],
)
def test_voxceleb2s_table(text: str, tmp_path: Path) -> None:
    """In the root or, where the root is one of dev/ and test/, beside it."""
    (tmp_path / "vox2_meta.csv").write_text(text, encoding="utf-8")
    (tmp_path / "dev").mkdir()
    for root in (tmp_path, tmp_path / "dev"):
        assert find_genders(root, ["voxceleb2"]) == {"id00012": "male", "id00017": "female"}


def test_a_folders_table(tmp_path: Path) -> None:
    path = tmp_path / "speakers.csv"
    path.write_text("speaker,consent,gender\nann,yes,F\nbob,no, male\ncy,yes,\n")
    assert find_genders(tmp_path) == {"ann": "female", "bob": "male"}
    path.write_text("speaker,consent\nann,yes\n")  # of consent alone, or something else of the user's
    assert find_genders(tmp_path) == {}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("VideoDemographics.csv", b"ActorID,Age\n1001,51\n", "has no column Sex, for the speakers' gender"),
        ("VideoDemographics.csv", b"", "has no column ActorID and no column Sex"),
        ("VideoDemographics.csv", CREMA_D[:48].encode(), "row 2 is cut short"),
        ("vox2_meta.csv", VOXCELEB2.replace(",m", ",x").encode(), "row 2: male, female or nothing.*'x' came"),
        ("vox2_meta.csv", (VOXCELEB2 + "id00012,n,f,dev\n").encode(), "row 4: speaker 'id00012' has two"),
        ("vox2_meta.csv", codecs.BOM_UTF16_LE + VOXCELEB2.encode("utf-16-le"), "can't be read: "),
        ("vox2_meta.csv", b"\x00" * 64, "has no column VoxCeleb2 ID"),
        ("speakers.csv", b"name,gender\nann,f\n", "has no column speaker"),
    ],
)
def test_a_damaged_table_is_one_line(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        find_genders(tmp_path)
    assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)


def test_into_the_manifest_and_the_data_module(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, cache = tmp_path / "corpus", tmp_path / "cache"
    for speaker in ("ann", "bob"):
        for number in range(3):
            write_clip(root / speaker / f"{number}.mp4", 1.2, sound=tone(1.2))
    prepared = ["prepare", "--root", str(root), "--layout", "folder", "--cache", str(cache)]
    prepared += ["--size", "16", "--no-progress"]

    def data() -> VideoFolder:
        return VideoFolder(str(cache), image_size=16, window_frames=20)

    assert main(prepared) == 0
    assert data().genders == {}
    table = root / "speakers.csv"
    table.write_text("speaker,gender,consent\nann,female,yes\n")
    assert main([*prepared, "--consent", str(table), "--without-consent"]) == 0
    assert "6 from before" in capsys.readouterr().out  # nothing is decoded for a table
    assert data().genders == {"ann": "female"}
    audit_sync(cache, lambda frames, speech: (0.0, 5.0), "net")
    said = {row.speaker: (row.gender, row.consent) for row in read_manifest(cache / "manifest.csv")}
    assert said == {"ann": ("female", "yes"), "bob": ("", "no")}
    table.write_text("speaker,gender,consent\nann,woman,yes\n")
    assert main([*prepared, "--consent", str(table)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "speakers.csv, row 2: male, female or nothing was expected" in error


@pytest.mark.parametrize(
    ("layout", "first", "second"), [("crema_d", "1001", "1002"), ("voxceleb2", "id00001", "id00002")]
)
def test_drawn_speakers_have_what_they_were_drawn_as(
    layout: str, first: str, second: str, tmp_path: Path
) -> None:
    write_corpus(tmp_path / "corpus", layout, 2, 1, size=32, seconds=(1.0, 1.0))  # type: ignore[arg-type]
    summary = prepare(tmp_path / "corpus", layout, tmp_path / "cache", size=32, workers=1, progress=False)
    assert {row.speaker: row.gender for row in read_manifest(summary.manifest)} == {
        first: "male",
        second: "female",
    }
