"""`s2v clips`: what another system gets is what the cache has, and `s2v score` finds its way back."""

import errno
import json
import wave
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from data_modules.clip_cache import read_clip, write_clip
from data_modules.clip_manifest import ManifestRow, read_manifest, write_manifest
from data_modules.clips_command import write_clip_as_media
from data_modules.splits import make_split
from s2v.cli import main
from s2v.evaluation.video_pairs import find_pairs, read_video
from s2v.files.file_hash import sha256_of_list
from s2v.generation.mp4_writer import COMMENT


@pytest.fixture(scope="module")
def written(crema_d_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips") / "real"
    assert main(["clips", "--cache", str(crema_d_cache), "--output", str(folder)]) == 0
    return folder


def test_all_of_the_part_and_nothing_else(written: Path, crema_d_cache: Path) -> None:
    names = make_split(read_manifest(crema_d_cache / "manifest.csv"), "seen")["test"]
    wanted = {f"{name}.{suffix}" for name in names for suffix in ("mp4", "wav", "png")}
    assert names and {path.name for path in written.iterdir()} == wanted | {"clips.csv"}


def test_frames_and_speech_are_the_caches(written: Path, crema_d_cache: Path) -> None:
    row = next(
        row
        for row in read_manifest(crema_d_cache / "manifest.csv")
        if (written / f"{row.clip_id}.mp4").is_file()
    )
    frames, speech = read_clip(crema_d_cache / row.cache_file)
    seen, heard = read_video(written / f"{row.clip_id}.mp4")
    np.testing.assert_array_equal(seen.numpy(), frames)
    np.testing.assert_array_equal(
        np.asarray(Image.open(written / f"{row.clip_id}.png")), frames[0].transpose(1, 2, 0)
    )
    with wave.open(str(written / f"{row.clip_id}.wav")) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (16_000, 1, 2)
        np.testing.assert_array_equal(np.frombuffer(sound.readframes(sound.getnframes()), "<i2"), speech)
    # AAC is near, and nowhere as near as where it belongs
    assert isinstance(heard, torch.Tensor) and len(heard) == len(speech)
    error = [
        float(np.square(np.roll(heard.numpy(), shift).astype(float) - speech).mean())
        for shift in range(-40, 41)
    ]
    assert np.argmin(error) == 40 and min(error) < 0.05 * np.square(speech.astype(float)).mean()
    with av.open(str(written / f"{row.clip_id}.mp4")) as container:
        assert not container.metadata["comment"].startswith(COMMENT)  # `s2v detect` would call it generated


@pytest.mark.slow
def test_score_pairs_them_with_the_tests_clips(written: Path, crema_d_cache: Path, tmp_path: Path) -> None:
    rows = {row.clip_id: row for row in read_manifest(crema_d_cache / "manifest.csv")}
    names = make_split(list(rows.values()), "seen")["test"]
    pairs = find_pairs(written, written)
    assert [pair.clip_id for pair in pairs] == names
    assert all(
        (pair.speaker, pair.emotion) == (rows[pair.clip_id].speaker, rows[pair.clip_id].emotion)
        for pair in pairs
    )
    where = ["--real", str(written), "--generated", str(written), "--output", str(tmp_path)]
    assert main(["score", *where, "--bootstrap", "10"]) == 0
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["meta"]["clip_list_sha256"] == sha256_of_list(names)  # as `s2v test` has it
    assert content["systems"]["generated"]["psnr"]["mean"] == 100


def test_a_list_by_hand_names_with_dots_and_labels(tmp_path: Path) -> None:
    """Three clips that are named in one's own way, one of them refused; 32 frames a second; the lists name two."""
    cache, lists, out = tmp_path / "cache", tmp_path / "lists", tmp_path / "out"
    frames = np.random.default_rng(0).integers(0, 256, (12, 3, 33, 31), np.uint8)
    rows = []
    for name, speaker, gender in (("x/20240611_ann.b", "ann", "female"), ("ben", "ben", "")):
        file = f"{name.replace('/', '_')}.safetensors"
        header = {"fps": "32", "sample_rate": "16000", "source_sha256": "", "settings": "{}", "clip_id": name}
        write_clip(cache / file, frames, np.zeros(12 * 500, np.int16), header)
        labels = {"speaker": speaker, "emotion": "calm", "sentence": name[-1], "gender": gender}
        rows.append(ManifestRow(name, "ok", "", "", file, 0.4, 12, 32.0, **labels))
    write_manifest(cache / "manifest.csv", [*rows, ManifestRow("cem/a", "refused", "too short")])
    lists.mkdir()
    for part, text in {"train": "", "val": "x/20240611_ann.b\nben\ncem/a\n", "test": ""}.items():
        (lists / f"{part}.txt").write_text(text)
    where = ["--cache", str(cache), "--split", str(lists), "--output", str(out)]
    assert main(["clips", *where, "--part", "val"]) == 0
    assert {path.relative_to(out).as_posix() for path in out.rglob("*.mp4")} == {
        "x/20240611_ann.b.mp4",
        "ben.mp4",
    }
    with av.open(str(out / "x/20240611_ann.b.mp4")) as container:
        assert container.streams.video[0].average_rate == 32
    # not "x", and no longer nobody
    assert [
        (pair.clip_id, pair.speaker, pair.emotion, pair.sentence, pair.gender)
        for pair in find_pairs(out, out)
    ] == [("ben", "ben", "calm", "n", ""), ("x/20240611_ann.b", "ann", "calm", "b", "female")]
    assert main(["clips", *where]) == 2  # the lists name no clip for the test


def test_another_parts_clips_do_not_lie_among_them(
    crema_d_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`s2v score --real` would have taken training clips for the test's."""
    split = make_split(read_manifest(crema_d_cache / "manifest.csv"), "seen")
    # two training clips, one of them where a speaker's folder would be
    (tmp_path / "below").mkdir()
    for name in (f"{split['train'][0]}.mp4", f"below/{split['train'][1]}.mov"):
        (tmp_path / name).touch()
        assert main(["clips", "--cache", str(crema_d_cache), "--output", str(tmp_path)]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and f"other videos than the test part's clips, such as {name}" in error
        assert [path.name for path in tmp_path.rglob("*.*")] == [Path(name).name]
        (tmp_path / name).unlink()
    command = ["clips", "--cache", str(crema_d_cache), "--output", str(tmp_path)]
    (tmp_path / f"{split['test'][0]}.mp4").touch()  # of a run that was interrupted
    assert main(command) == main(command) == 0


def test_a_clip_is_there_with_all_its_files_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = {"fps": "25", "sample_rate": "16000", "source_sha256": "", "settings": "{}", "clip_id": "a"}
    write_clip(
        tmp_path / "a.safetensors", np.zeros((5, 3, 32, 32), np.uint8), np.zeros(3200, np.int16), header
    )

    def full(*arguments: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for refused in ("s2v.generation.mp4_writer.write_mp4", "pathlib.Path.write_bytes"):
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
            patch.setattr(refused, full)
            write_clip_as_media(tmp_path / "a.safetensors", tmp_path / "out" / "a", 25)
        assert [path for path in (tmp_path / "out").rglob("*")] == []
    write_clip_as_media(tmp_path / "a.safetensors", tmp_path / "out" / "a", 25)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.mp4", "a.png", "a.wav"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"--cache": "nowhere"}, "no prepared clips in nowhere"),
        ({"--split": "sean"}, "unknown split 'sean'"),
        ({"--output": "file"}, "clips can't be written to file"),
    ],
)
def test_what_can_not_be_done_is_one_line(
    change: dict[str, str],
    says: str,
    crema_d_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    options = {"--cache": str(crema_d_cache), "--output": "out"} | change
    assert main(["clips", *(word for option in options.items() for word in option)]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


def test_a_clip_that_fails_leaves_no_part_of_a_video(
    crema_d_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("s2v.generation.mp4_writer.os.replace", no_space)
    assert main(["clips", "--cache", str(crema_d_cache), "--output", str(tmp_path / "out")]) == 2
    assert list((tmp_path / "out").iterdir()) == []
