"""Who did not agree is not prepared unless told otherwise, and what was trained on them says so."""

import csv
import shutil
from pathlib import Path

import pytest

from data_modules.clip_manifest import read_manifest
from data_modules.consent import answer_of, read_consent
from data_modules.video_folder import VideoFolder
from s2v.batch import WITHOUT_CONSENT
from s2v.cli import main
from s2v.errors import InputError
from tests.data_modules.media import tone, write_clip


def table(path: Path, *rows: tuple[str, ...]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_answers(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv",
        ("age", "speaker", "consent"),
        ("9", "ann", "Yes"),
        ("8", "bob", "no"),
        ("", "cy", ""),
    )
    consent = read_consent(path)
    assert consent == {"ann": True, "bob": False, "cy": False}
    assert [answer_of(name, consent) for name in ("ann", "bob", "cy", "dan")] == ["yes", "no", "no", "no"]
    assert answer_of("ann", None) == ""


def test_an_empty_row_is_nobodys_consent(tmp_path: Path) -> None:
    consent = read_consent(table(tmp_path / "a.csv", ("speaker", "consent"), ("ann", "yes"), ("", "")))
    assert answer_of("", consent) == "no"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            [("name", "consent"), ("ann", "yes")],
            "columns speaker and consent were expected, speaker is missing",
        ),
        ([("name", "agreed")], "speaker and consent are missing"),
        ([], "speaker and consent are missing"),
        ([("speaker", "consent"), ("ann",)], "row 2 is cut short"),
        ([("speaker", "consent"), ("ann", "perhaps")], "row 2: yes or no was expected, 'perhaps' came"),
        (
            [("speaker", "consent"), ("ann", "yes"), (" ", "yes")],
            "row 3 says yes for nobody: a speaker was expected",
        ),
        ([("speaker", "consent"), ("ann", "yes"), ("ann", "no")], "row 3: speaker 'ann' has two answers"),
    ],
)
def test_wrong_tables(rows: list[tuple[str, ...]], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        read_consent(table(tmp_path / "a.csv", *rows))
    with pytest.raises(InputError, match="can't be read: No such file"):
        read_consent(tmp_path / "none.csv")


def test_prepare_and_what_a_checkpoint_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for speaker in ("ann", "bob"):
        for number in range(3):
            write_clip(tmp_path / "corpus" / speaker / f"{number}.mp4", 1.2, sound=tone(1.2))
    who = table(tmp_path / "who.csv", ("speaker", "consent"), ("ann", "yes"), ("bob", "no"))
    cache = tmp_path / "cache"
    prepare = ["prepare", "--root", str(tmp_path / "corpus"), "--layout", "folder", "--cache", str(cache)]
    prepare += ["--size", "16", "--no-progress"]
    agreed = [*prepare, "--consent", str(who)]

    def said() -> dict[str, tuple[bool, str]]:
        return {row.speaker: (row.ok, row.consent) for row in read_manifest(cache / "manifest.csv")}

    def data() -> VideoFolder:
        return VideoFolder(str(cache), image_size=16, window_frames=20)

    assert main([*prepare, "--without-consent"]) == 2  # of whom, no table says
    assert "--without-consent is for --consent FILE: give both, or neither" in capsys.readouterr().err
    assert not cache.exists()
    assert main(agreed) == 0
    assert "6 clips found, 3 ok, 3 refused (no consent: 3)" in capsys.readouterr().out
    assert said() == {"ann": (True, "yes"), "bob": (False, "no")}
    assert data().state_dict() == {}
    assert main([*agreed, "--without-consent"]) == 0
    assert said() == {"ann": (True, "yes"), "bob": (True, "no")}
    assert data().state_dict() == {WITHOUT_CONSENT: ["bob"]}
    capsys.readouterr()
    assert main(prepare) == 2  # or the next training would know nothing of it
    assert "says who consented: give the table again, --consent FILE" in capsys.readouterr().err
    table(who, ("speaker", "consent"), ("ann", "no"), ("bob", "yes"))  # ann took it back
    assert main(agreed) == 0
    assert said() == {"ann": (False, "no"), "bob": (True, "yes")}
    assert "3 clips of speakers who did not agree are in " in capsys.readouterr().out
    assert len(list(cache.glob("clips/ann/*"))) == 3
    assert main([*agreed, "--overwrite"]) == 0
    assert "did not agree" not in capsys.readouterr().out and not list(cache.glob("clips/ann/*"))
    assert len(list(cache.glob("clips/bob/*"))) == 3


def test_who_takes_it_back_may_have_taken_the_videos_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for speaker in ("ann", "bob"):
        write_clip(tmp_path / "corpus" / speaker / "0.mp4", 1.2, sound=tone(1.2))
    who = table(tmp_path / "who.csv", ("speaker", "consent"), ("ann", "yes"), ("bob", "yes"))
    cache = tmp_path / "cache"
    agreed = ["prepare", "--root", str(tmp_path / "corpus"), "--layout", "folder", "--cache", str(cache)]
    agreed += ["--size", "16", "--no-progress", "--consent", str(who)]
    assert main(agreed) == 0
    shutil.rmtree(tmp_path / "corpus" / "ann")
    table(who, ("speaker", "consent"), ("ann", "no"), ("bob", "yes"))
    capsys.readouterr()
    assert main(agreed) == 0
    assert "1 clips of speakers who did not agree are in " in capsys.readouterr().out
    assert main([*agreed, "--overwrite"]) == 0
    assert not list(cache.glob("clips/ann/*")) and len(list(cache.glob("clips/bob/*"))) == 1


def test_names_with_their_accents_in_another_form(tmp_path: Path) -> None:
    """As macOS writes folders' names, a letter and its dots."""
    written, on_disk = "Zo\u00eb", "Zoe\u0308"
    consent = read_consent(table(tmp_path / "a.csv", ("speaker", "consent"), (written, "yes")))
    assert [answer_of(name, consent) for name in (written, on_disk)] == ["yes", "yes"]
    consent = read_consent(table(tmp_path / "a.csv", ("speaker", "consent"), (on_disk, "yes")))
    assert answer_of(written, consent) == "yes"
    write_clip(tmp_path / "corpus" / on_disk / "0.mp4", 1.2, sound=tone(1.2))
    (tmp_path / "corpus" / "speakers.csv").write_text(f"speaker,gender\n{written},f\n", encoding="utf-8")
    cache = tmp_path / "cache"
    prepare = ["prepare", "--root", str(tmp_path / "corpus"), "--layout", "folder", "--cache", str(cache)]
    assert main([*prepare, "--size", "16", "--no-progress", "--consent", str(tmp_path / "a.csv")]) == 0
    row = read_manifest(cache / "manifest.csv")[0]
    assert (row.consent, row.gender) == ("yes", "female")
