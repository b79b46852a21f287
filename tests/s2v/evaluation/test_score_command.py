"""`s2v score` on real mp4 files, good and bad."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from s2v.cli import main
from s2v.evaluation.clip_rows import TestClip
from s2v.evaluation.video_pairs import VideoPair, find_pairs, labels_by_name, read_pair, read_video
from s2v.files.file_hash import sha256_of_file
from s2v.generation.sidecar import write_sidecar
from tests.data_modules.media import tone, write_changing_sound, write_media
from tests.s2v.evaluation.judge_checkpoints import save_face_teacher, save_syncnet


def pictures(seed: int, count: int = 25, side: int = 64) -> list[np.ndarray]:
    """A blocky face-sized pattern of its own, moving sideways."""
    blocks = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    picture = blocks.repeat(side // 8, axis=0).repeat(side // 8, axis=1)
    return [np.roll(picture, shift, axis=1) for shift in range(count)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """ann/a and ben/b are pairs; each other name has a fault of its own."""
    root = tmp_path_factory.mktemp("videos")
    real, generated = root / "real", root / "generated"
    for number, name in enumerate(("ann/a", "ben/b", "cem/size", "cem/length", "cem/mute", "cem/broken")):
        write_media(real / f"{name}.mp4", pictures(number), sound=tone(1))
        frames = pictures(number, 20 if "length" in name else 25, 32 if "size" in name else 64)
        sound = None if "mute" in name else tone(len(frames) / 25)
        write_media(generated / f"{name}.mp4", frames, sound=sound, options={})
    (generated / "cem/broken.mp4").write_bytes(b"no video")
    write_media(real / "<b>&only real.mp4", pictures(9), sound=tone(1))
    write_media(generated / "only generated.mp4", pictures(9), sound=tone(1))
    return real, generated


def score(tmp_path: Path, real: Path, generated: Path, *more: str) -> tuple[int, Path]:
    out = tmp_path / "report"
    args = ["score", "--real", str(real), "--generated", str(generated), "--output", str(out), *more]
    return main(args), out


@pytest.fixture(scope="module")
def scored(folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Report and SyncNet checkpoint; SyncNet was the system's teacher too."""
    folder = tmp_path_factory.mktemp("scored")
    syncnet = save_syncnet(folder / "syncnet.ckpt")
    status, out = score(folder, *folders, "--syncnet", syncnet, "--teacher", syncnet, "--bootstrap", "20")
    assert status == 0
    return out, Path(syncnet)


def test_every_name_is_a_row_and_faults_say_why(scored: tuple[Path, Path]) -> None:
    with open(scored[0] / "report.csv", newline="") as file:
        ours = {row["clip_id"]: row for row in csv.DictReader(file) if row["system"] == "generated"}
    assert len(ours) == 8
    reasons = {name: row["reason"] for name, row in ours.items()}
    assert reasons["ann/a"] == reasons["ben/b"] == ""
    assert reasons["cem/size"] == "generated is 25 frames of 32 x 32, real is 25 frames of 64 x 64"
    assert reasons["cem/length"] == "generated is 20 frames of 64 x 64, real is 25 frames of 64 x 64"
    assert reasons["cem/mute"] == "no audio track in mute.mp4"
    assert reasons["cem/broken"].startswith("generated video: broken.mp4 cannot be opened")
    assert reasons["<b>&only real"] == "unpaired: no generated video of this name"
    assert reasons["only generated"] == "unpaired: no real video of this name"
    assert float(ours["cem/mute"]["ssim"]) > 0.9 and ours["cem/mute"]["sync_confidence"] == ""
    for name in ("cem/size", "cem/length"):
        assert ours[name]["ssim"] == ours[name]["motion"] == ""
        assert float(ours[name]["sync_distance"]) > 0
    assert (ours["ann/a"]["speaker"], ours["<b>&only real"]["speaker"]) == ("ann", "")


@pytest.mark.slow
def test_options_make_unequal_pairs_comparable(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out = score(tmp_path, *folders, "--resize", "--trim", "--bootstrap", "20")
    assert status == 0
    shown = capsys.readouterr().out
    assert "8 clips: 5 scored in full, 0 in part, 3 not at all" in shown and "--resize" not in shown
    content = json.loads((out / "report.json").read_text())
    ours = {row["clip_id"]: row for row in content["clips"] if row["system"] == "generated"}
    assert ours["cem/size"]["adjusted"] == "resized from 32 x 32 to 64 x 64"
    assert ours["cem/length"]["adjusted"] == "first 20 frames compared: generated has 20, real 25"
    assert ours["cem/length"]["ssim"] > 0.9 and ours["ann/a"]["adjusted"] == ""
    meta = content["meta"]
    assert (meta["trim"], meta["resize"], meta["adjusted_clips"]) == (5, True, 2)
    assert "differ by at most 5 frames are cut" in (out / "report.md").read_text()
    capsys.readouterr()
    assert score(tmp_path, *folders, "--trim", "4", "--bootstrap", "20")[0] == 0
    shown = capsys.readouterr().out
    assert "8 clips: 3 scored in full, 0 in part, 5 not at all" in shown
    assert "--resize compares at the real size, --trim up to the shorter end" in shown
    assert shown.count(" of them: ") == 3 and "\n  and 2 more reasons, in the report\n" in shown
    assert score(tmp_path, *folders, "--trim", "-1")[0] == 2
    assert "--trim must be 0 frames or more, got -1" in capsys.readouterr().err


def test_json_has_coverage_and_marks_the_teacher(scored: tuple[Path, Path]) -> None:
    content = json.loads((scored[0] / "report.json").read_text())
    ours = content["systems"]["generated"]
    assert (ours["scored"], ours["total"]) == (2, 8)
    assert ours["ssim"]["n"] == 3 and ours["ssim"]["low"] <= ours["ssim"]["mean"] <= ours["ssim"]["high"]
    assert ours["speaker_spread"]["mean"] == pytest.approx(1, abs=0.05)
    judge = content["meta"]["judges"]["sync"]
    assert judge["teacher_used_as_judge"] is True and judge["sha256"] == sha256_of_file(str(scored[1]))
    assert "TEACHER USED AS JUDGE" in (scored[0] / "report.md").read_text()


def test_page_holds_its_pictures_and_asks_for_nothing(scored: tuple[Path, Path]) -> None:
    page = (scored[0] / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert "http:" not in page and "https:" not in page and "<script" not in page and "<link" not in page
    assert all(source.startswith("data:") for source in re.findall(r'src="([^"]*)', page))
    assert "&lt;b&gt;&amp;only real" in page and "<b>&only" not in page


def test_whatever_a_name_holds_it_is_a_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters in a file's name can't be drawn; brackets and bars in a system's are no markup."""
    for side in ("real", "made"):
        write_media(tmp_path / side / "ann" / "two\nlines \x1b[31m.mp4", pictures(1), sound=tone(1))
    arguments = ("--bootstrap", "0", "--system", "ours\n[/v2] | *")
    status, out = score(tmp_path, tmp_path / "real", tmp_path / "made", *arguments)
    assert status == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "1 clips: 1 scored in full" in shown
    assert "ours\ufffd[/" in shown and "v2]" in shown  # its column is narrow
    report = (out / "report.md").read_text()
    assert "| **ours\ufffd\\[/v2\\] \\| \\*** | ground_truth" in report
    assert (out / "contact_sheet.png").is_file()
    (ours,) = (row for row in json.loads((out / "report.json").read_text())["clips"] if "v2" in row["system"])
    assert ours["clip_id"] == "ann/two\nlines \x1b[31m"
    assert score(tmp_path, tmp_path / "real", tmp_path / "made", "--system", "")[0] == 2
    assert "a system can't be called ''" in capsys.readouterr().err


def test_nothing_scored_is_no_success(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").mkdir()
    write_media(tmp_path / "other" / "name.mp4", pictures(0), sound=tone(1))
    (tmp_path / "other" / "ann").mkdir()
    (tmp_path / "other" / "ann" / "a.mp4").write_text("no video")
    status, out = score(tmp_path, folders[0], tmp_path / "other")
    assert status == 2 and (out / "report.json").is_file()
    shown = capsys.readouterr().out
    assert "8 clips: 0 scored in full, 0 in part, 8 not at all" in shown
    assert "\n  6 of them: unpaired: no generated video of this name (<b>&only real, ben/b, " in shown
    assert "\n  1 of them: unpaired: no real video of this name (name)\n" in shown


@pytest.mark.parametrize(
    ("real", "generated", "says"),
    [
        ("none", ".", "no file or folder"),
        (".", ".", "no videos in"),
        ("a.mp4", ".", "two files or two folders"),
        ("../one", "../other", "the first there is 'else', here 'this'"),
    ],
)
def test_wrong_paths_are_one_line(
    real: str, generated: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.mp4").touch()
    for name in ("one/this.mp4", "other/else.mp4"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    root = tmp_path / "empty"
    first = tmp_path / "empty.mp4" if real == "a.mp4" else root / real
    assert score(tmp_path, first, root / generated)[0] == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--bootstrap", "-3"], "--bootstrap must be 0"),
        (["--output", __file__], "expected a folder, but"),
        (["--device", "foo"], "--device foo: "),
        (["--lpips", ""], "--lpips is empty: give a file, or leave the option out"),
    ],
)
def test_what_cannot_be_written_or_counted_is_said_before_videos_are_read(
    options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none = str(tmp_path / "none")
    assert (
        main(["score", "--real", none, "--generated", none, "--output", str(tmp_path / "out"), *options]) == 2
    )
    assert says in capsys.readouterr().err


def test_crema_d_names_tell_speaker_emotion_and_sentence(tmp_path: Path) -> None:
    for name in ("1001_DFA_ANG_XX", "1040_ITH_SAD_X"):  # the second has one letter in the corpus, too
        (tmp_path / f"{name}.mp4").touch()
    pairs = find_pairs(tmp_path, tmp_path)
    assert [(pair.speaker, pair.emotion) for pair in pairs] == [("1001", "anger"), ("1040", "sadness")]
    assert [pair.sentence for pair in pairs] == ["DFA", "ITH"]
    assert VideoPair("ann/clip", None, None).sentence == ""


def test_a_pairs_sentence_reaches_the_protocol(tmp_path: Path) -> None:
    path = write_media(tmp_path / "1001_DFA_ANG_XX.mp4", pictures(0), sound=tone(1))
    clip = read_pair(VideoPair(path.stem, path, None))
    assert isinstance(clip, TestClip) and clip.sentence == "DFA"


def test_sound_that_starts_late_stays_late(tmp_path: Path) -> None:
    path = write_media(tmp_path / "late.mkv", pictures(0, 50), sound=tone(1), sound_start=0.5)
    frames, speech = read_video(path)
    assert isinstance(speech, torch.Tensor)
    assert frames.shape == (50, 3, 64, 64) and len(speech) == 50 * 640
    assert speech[:7500].abs().max() < 100 < speech[8500:16000].abs().max()


def test_sound_may_change_its_channels(tmp_path: Path) -> None:
    """A broadcast's mono becomes stereo; `read_pair` ended with a traceback."""
    real = write_changing_sound(tmp_path / "real.ts", "mp2", pictures(0, count=50))
    clip = read_pair(VideoPair("a", real, write_media(tmp_path / "a.mp4", pictures(1), sound=tone(1))))
    assert not isinstance(clip, str) and torch.is_tensor(clip.speech)
    for second in clip.speech.float().split(16_000):
        assert second[4000:12_000].abs().max() / 32768 == pytest.approx(0.5, abs=0.02)


def test_voxceleb2_folders_tell_the_speaker() -> None:
    for below in ("", "mp4/", "dev/mp4/"):
        assert labels_by_name(f"{below}id00012/21Uxsk56VDQ/00001")["speaker"] == "id00012"
    assert labels_by_name("ann/monday/1")["speaker"] == "ann" and labels_by_name("1")["speaker"] == ""


def test_clips_csv_names_the_speakers_of_other_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without it all clips were one speaker's or nobody's: intervals were nan, and ranks and genders left out."""
    for name, seed in {"20240611_ann": 1, "20240612_ann": 1, "20240613_ben": 2}.items():
        for folder in ("real", "generated"):
            write_media(tmp_path / folder / f"{name}.mp4", pictures(seed, 5))
    table = tmp_path / "real/clips.csv"
    table.write_text(
        "clip_id,speaker,gender\n20240611_ann,ann,female\n20240612_ann,ann,female\n20240613_ben,ben,male\n"
    )
    judge = save_face_teacher(tmp_path / "judge.ckpt", ["x", "y"], "speaker")
    where = (tmp_path, tmp_path / "real", tmp_path / "generated")
    status, out = score(*where, "--identity-judge", judge, "--bootstrap", "20")
    assert status == 0
    content = json.loads((out / "report.json").read_text())
    ours = content["systems"]["generated"]
    assert ours["ssim"]["low"] is not None and ours["identity_rank1"]["mean"] == 1
    assert content["meta"]["genders"]["speakers"] == {"female": 1, "male": 1}
    capsys.readouterr()
    table.write_text("clip_id,speaker\n20240611_ann\n")
    assert score(*where)[0] == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "clips.csv, row 2: 2 cells were expected" in error


def test_genders_of_the_real_videos_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each speaker once, all drawn alike: the nearest other face is known by construction."""
    real, generated = tmp_path / "real", tmp_path / "generated"
    seeds = {
        "ann": 1,
        "eva": 1,
        "ben": 2,
        "cem": 2,
        "dan": 3,
    }  # ann and eva look alike, and so do ben and cem
    for name, seed in seeds.items():
        write_media(real / name / "a.mp4", pictures(seed, 5))
        write_media(generated / name / "a.mp4", pictures(1, 5))  # everybody's face is ann's
    (real / "speakers.csv").write_text("speaker,gender\nann,f\neva,f\nben,m\ncem,m\n")
    judge = save_face_teacher(tmp_path / "judge.ckpt", ["x", "y"], "speaker")
    status, out = score(tmp_path, real, generated, "--identity-judge", judge, "--bootstrap", "20")
    assert status == 0
    content = json.loads((out / "report.json").read_text())
    systems = content["systems"]
    assert systems["ground_truth"]["gender_agreement"]["mean"] == 1
    assert systems["generated"]["gender_agreement"]["mean"] == 0.5
    assert systems["generated"]["gender_agreement"]["n"] == 4
    genders = content["meta"]["genders"]
    assert (genders["speakers"], genders["unlabelled"]) == ({"female": 2, "male": 2}, 1)
    with open(out / "report.csv", newline="") as file:
        rows = {row["speaker"]: row for row in csv.DictReader(file) if row["system"] == "generated"}
    assert (rows["ann"]["gender"], rows["ann"]["gender_agreement"]) == ("female", "1.0")
    assert (rows["dan"]["gender"], rows["dan"]["gender_agreement"]) == ("", "")
    capsys.readouterr()
    (real / "speakers.csv").write_text("speaker,gender\nann,?\n")
    assert score(tmp_path, real, generated)[0] == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "speakers.csv, row 2" in error


@pytest.fixture(scope="module")
def one_pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file, to be held against itself."""
    return write_media(tmp_path_factory.mktemp("pair") / "a.mp4", pictures(1), sound=tone(1))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("wav2lip.pth", {"state_dict": {}}),
        ("foreign.ckpt", {"state_dict": {}}),
        ("list.ckpt", [torch.zeros(2)]),
        ("text.ckpt", None),
    ],
)
def test_what_does_not_name_its_teachers_leaves_it_open_whether_they_judge(
    one_pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: object
) -> None:
    judge, checkpoint = save_face_teacher(tmp_path / "judge.ckpt", ["x", "y"], "speaker"), tmp_path / name
    torch.save(content, checkpoint)
    if content is None:
        checkpoint.write_text("weights of a kind that nobody knows")
    options = ["--identity-judge", judge, "--checkpoint", str(checkpoint), "--bootstrap", "0"]

    def teacher_used_as_judge(*more: str) -> bool | None:
        capsys.readouterr()
        status, out = score(tmp_path, one_pair, one_pair, *options, *more)
        assert status == 0
        meta = json.loads((out / "report.json").read_text())["meta"]
        assert meta["checkpoint"]["sha256"] == sha256_of_file(str(checkpoint))
        return meta["judges"]["identity"]["teacher_used_as_judge"]

    assert teacher_used_as_judge() is None
    assert f"{name} does not say what it learned from" in capsys.readouterr().err
    assert teacher_used_as_judge("--teacher", str(one_pair)) is False
    assert teacher_used_as_judge("--teacher", judge) is True
    assert "warning" not in capsys.readouterr().err


def test_a_fits_checkpoint_names_its_teachers(
    one_pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge, checkpoint = save_face_teacher(tmp_path / "judge.ckpt", ["x", "y"], "speaker"), tmp_path / "a.ckpt"
    teacher = tmp_path / "teacher.pth"
    options = ["--identity-judge", judge, "--checkpoint", str(checkpoint), "--bootstrap", "0"]
    teacher.write_bytes(b"weights")
    for named, expected in ((judge, True), (str(teacher), False)):
        torch.save({"hyper_parameters": {"identity_teacher": named}}, checkpoint)
        _, out = score(tmp_path, one_pair, one_pair, *options)
        found = json.loads((out / "report.json").read_text())["meta"]["judges"]["identity"]
        assert found["teacher_used_as_judge"] is expected
    teacher.unlink()
    capsys.readouterr()
    _, out = score(tmp_path, one_pair, one_pair, *options)
    found = json.loads((out / "report.json").read_text())["meta"]["judges"]["identity"]
    assert found["teacher_used_as_judge"] is None
    assert "a.ckpt learned from is gone" in capsys.readouterr().err


def test_a_checkpoint_that_is_only_a_pointer_is_refused(
    one_pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.ckpt").write_text("version https://git-lfs.github.com/spec/v1\n")
    status, out = score(tmp_path, one_pair, one_pair, "--checkpoint", str(tmp_path / "a.ckpt"))
    assert status == 2 and not out.exists()
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "Git-LFS pointer" in error


def test_videos_of_another_checkpoint_are_not_put_down_to_this_one(
    one_pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, other, made = tmp_path / "own.ckpt", tmp_path / "other.ckpt", tmp_path / "made"
    for path in (own, other):
        torch.save({"state_dict": {}, "name": path.name}, path)
    made.mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copyfile(one_pair, made / name)
    origin = {"synthetic": True, "model_sha256": sha256_of_file(str(own))}
    write_sidecar(made / "a.mp4", origin, made / "a.mp4")  # nothing is said of b.mp4
    options = ["--bootstrap", "0", "--teacher", str(one_pair), "--checkpoint"]
    status, out = score(tmp_path, made, made, *options, str(other))
    assert status == 2 and not out.exists()
    told = f"1 of 2 videos were made by another checkpoint than {other}, as {made / 'a.mp4.json'} says"
    assert told in capsys.readouterr().err
    assert score(tmp_path, made, made, *options, str(own))[0] == 0
