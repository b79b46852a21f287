"""Whole preparations: a row for every clip, nothing done twice, nothing lost to kills or company."""

import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import joblib
import numpy as np
import pytest
from safetensors.numpy import load_file

from data_modules.clip_cache import read_clip
from data_modules.preparation import prepare
from data_modules.preparation_records import append_record, read_records
from data_modules.preparation_settings import PreparationSettings
from s2v.errors import InputError
from tests.data_modules.media import shades, tone, write_clip, write_media, write_speakers
from tests.data_modules.preparing import rows, run


def check_sound(cache: Path, count: int) -> None:
    """All clips usable, every byte of their files as the checksums say, no temporary file left behind."""
    found = rows(cache)
    assert len(found) == count
    for row in found.values():
        assert row.ok, row.reason
        frames, speech = read_clip(cache / row.cache_file)
        assert len(speech) == len(frames) * 640 == row.frames * 640


def test_odd_and_broken_files(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    good = write_clip(root / "ann" / "good.mp4")
    data = write_clip(root / "ann" / "fast.mp4", options={"movflags": "faststart"}).read_bytes()
    (root / "ann" / "cut.mp4").write_bytes(data[: int(len(data) * 0.7)])
    (root / "ann" / "no_index.mp4").write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    (root / "ann" / "zero.mp4").touch()
    (root / "ann" / "text.mp4").write_text("hello")
    os.mkfifo(root / "ann" / "pipe.mp4")
    (root / "ann" / "nowhere.mp4").symlink_to(tmp_path / "gone.mp4")
    write_media(root / "bob" / "sound_only.mp4", sound=tone(2))
    write_media(root / "bob" / "mute.mp4", shades(50))
    write_clip(root / "bob" / "silent.mp4", sound=np.zeros((1, 32000), np.float32))
    write_clip(root / "bob" / "short.mp4", 0.6)
    write_clip(root / "bob" / "longer_sound.mp4", sound=tone(3.2))
    write_media(root / "cy" / "one_frame.mp4", shades(1), sound=tone(2))
    times = list(np.cumsum(np.random.default_rng(0).uniform(0.01, 0.07, 60)))
    write_media(root / "cy" / "variable.mp4", shades(60), times=times, sound=tone(times[-1]))
    write_media(root / "cy" / "odd size.mp4", shades(50, 65, 47), sound=tone(2), pixels="yuv444p")
    write_media(root / "cy" / "turned.mp4", shades(50), sound=tone(2), rotation=90)
    write_media(root / "cy" / "grey.mp4", shades(50), sound=tone(2), pixels="gray")
    write_media(
        root / "cy" / "telephone.mkv", shades(50), sound=tone(2, 8000, 2), rate=8000, sound_codec="pcm_s16le"
    )
    write_media(
        root / "cy" / "ntsc.flv", shades(60), fps=Fraction(30000, 1001), sound=tone(2, 22050), rate=22050
    )
    write_clip(root / 'na"me\nü,' / "; rm -rf ~.mp4")

    summary = run(root, tmp_path / "cache")
    found = rows(tmp_path / "cache")
    assert summary.found == len(found) == 21
    usable = {name for name, row in found.items() if row.ok}
    assert usable == {
        "ann/good",
        "ann/fast",
        "cy/variable",
        "cy/odd size",
        "cy/turned",
        "cy/grey",
        "cy/telephone",
        "cy/ntsc",
        'na"me\nü,/; rm -rf ~',
    }
    assert (summary.ok, summary.refused) == (9, 12)
    expected = {
        "cut": "truncated",
        "no_index": "cannot be opened",
        "zero": "zero-byte",
        "text": "cannot be opened",
        "pipe": "no regular file",
        "nowhere": "no file",
        "sound_only": "no video stream",
        "mute": "no audio track",
        "silent": "silent",
        "short": "too short",
        "longer_sound": "differ by 1.2",
        "one_frame": "too short",
    }
    for name, words in expected.items():
        (reason,) = [row.reason for row in found.values() if row.clip_id.endswith("/" + name)]
        assert words in reason
    for name in usable:
        read_clip(tmp_path / "cache" / found[name].cache_file)
    assert sum(summary.reasons.values()) == 12
    again = run(root, tmp_path / "cache")
    assert (again.skipped, again.ok, again.refused) == (21, 9, 12)


def test_only_what_is_missing_or_changed_is_done(tmp_path: Path) -> None:
    root, cache = write_speakers(tmp_path / "corpus", 5), tmp_path / "cache"
    assert run(root, cache).ok == 5
    files = {name: cache / row.cache_file for name, row in rows(cache).items()}
    first = {name: path.stat().st_ino for name, path in files.items()}

    def redone() -> set[str]:
        return {name for name, path in files.items() if path.stat().st_ino != first[name]}

    assert run(root, cache).skipped == 5
    assert redone() == set()
    write_clip(root / "speaker0" / "0.mp4", 1.4, sound=tone(1.4, pitch=500))  # changed
    data = bytearray(files["speaker1/1"].read_bytes())
    data[-5] ^= 1
    files["speaker1/1"].write_bytes(bytes(data))  # flipped bit
    files["speaker2/2"].unlink()  # lost
    files["speaker0/3"].write_bytes(files["speaker0/3"].read_bytes()[:500])  # cut short
    write_clip(root / "speaker1" / "new.mp4", 1.2)
    summary = run(root, cache)
    assert (summary.found, summary.skipped, summary.ok) == (6, 1, 6)
    assert redone() == {"speaker0/0", "speaker1/1", "speaker2/2", "speaker0/3"}
    check_sound(cache, 6)
    keep = os.stat(files["speaker1/1"])
    data = bytearray(files["speaker1/1"].read_bytes())
    data[-5] ^= 1
    files["speaker1/1"].write_bytes(bytes(data))  # a bit that flipped on the disk, nobody having written
    os.utime(files["speaker1/1"], ns=(keep.st_atime_ns, keep.st_mtime_ns))
    assert run(root, cache).skipped == 6
    assert run(root, cache, verify=True).skipped == 5
    check_sound(cache, 6)
    assert run(root, cache, size=24, overwrite=True).skipped == 0
    assert read_clip(cache / rows(cache)["speaker1/1"].cache_file)[0].shape[2:] == (24, 24)
    shutil.rmtree(root / "speaker2")
    assert run(root, cache, size=24).found == 5
    assert "speaker2/2" not in rows(cache)


def test_a_new_file_takes_no_id(tmp_path: Path) -> None:
    """An id's split stays with its recording, whatever is put beside it."""
    root, cache = tmp_path / "corpus", tmp_path / "cache"
    write_clip(root / "anna" / "ok.mp4", 1.2)
    run(root, cache)
    write_clip(root / "anna" / "ok.mov", 1.2, sound=tone(1.2, pitch=500))
    write_clip(root / "anna" / "ok.avi", 1.2, sound=tone(1.2, pitch=600))
    assert run(root, cache).skipped == 1
    expected = {"anna/ok": "anna/ok.mp4", "anna/ok.avi": "anna/ok.avi", "anna/ok.mov": "anna/ok.mov"}
    assert {name: row.source for name, row in rows(cache).items()} == expected
    (cache / "manifest.csv").unlink()  # as a kill before the first one
    assert run(root, cache).skipped == 3
    (root / "anna" / "ok.avi").unlink()
    (root / "anna" / "ok.mp4").rename(tmp_path / "ok.mp4")
    assert run(root, cache).skipped == 1
    assert {name: row.source for name, row in rows(cache).items()} == {"anna/ok.mov": "anna/ok.mov"}
    (tmp_path / "ok.mp4").rename(root / "anna" / "ok.mp4")
    assert run(root, cache).skipped == 2
    assert rows(cache)["anna/ok"].source == "anna/ok.mp4"


def test_jpeg_cache(tmp_path: Path) -> None:
    """Another format makes every clip anew, and caches made before there were two are still good."""
    root, cache = write_speakers(tmp_path / "corpus", 2), tmp_path / "cache"
    assert run(root, cache).ok == 2
    assert "jpeg" not in PreparationSettings().key()
    raw = {name: read_clip(cache / row.cache_file)[0] for name, row in rows(cache).items()}
    with pytest.raises(
        InputError, match="made with --cache-format raw, but --cache-format jpeg --jpeg-quality 95 is"
    ):
        run(root, cache, jpeg_quality=95)
    summary = run(root, cache, jpeg_quality=95, overwrite=True)
    assert (summary.ok, summary.skipped) == (2, 0)
    assert run(root, cache, jpeg_quality=95).skipped == 2
    for name, row in rows(cache).items():
        frames, speech = read_clip(cache / row.cache_file)
        assert len(speech) == len(frames) * 640
        assert "jpeg" in load_file(cache / row.cache_file)
        assert np.abs(frames.astype(int) - raw[name]).mean() < 3
    with pytest.raises(InputError, match="1 to 100"):
        run(root, cache, jpeg_quality=101)


def test_time_limit(tmp_path: Path) -> None:
    root, cache = write_speakers(tmp_path / "corpus", 2), tmp_path / "cache"
    summary = run(root, cache, time_limit=0.001)
    assert summary.reasons == {"no answer": 2}
    assert run(root, cache, time_limit=0.001).skipped == 2
    assert run(root, cache, time_limit=60.0).ok == 2


def start(root: Path, cache: Path) -> "subprocess.Popen[bytes]":
    run = f"prepare({str(root)!r}, 'folder', {str(cache)!r}, 16, workers=2)"
    code = f"from data_modules.preparation import prepare; {run}"
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)


def test_two_runs_at_once(tmp_path: Path) -> None:
    root, cache = write_speakers(tmp_path / "corpus", 10), tmp_path / "cache"
    pair = [start(root, cache), start(root, cache)]
    assert [process.wait() for process in pair] == [0, 0]
    check_sound(cache, 10)
    assert run(root, cache).skipped == 10


def test_what_a_killed_worker_was_writing_is_swept_where_all_clips_are_done(tmp_path: Path) -> None:
    root = write_speakers(tmp_path / "corpus", 1)
    run(root, tmp_path / "cache")
    left = tmp_path / "cache" / "clips" / "speaker0" / ".0.partial"
    left.touch()
    run(root, tmp_path / "cache")
    assert left.exists(), "it may be another run's"
    os.utime(left, (0, 0))
    assert run(root, tmp_path / "cache").skipped == 1
    assert not left.exists()


def test_a_torn_record_is_left_out(tmp_path: Path) -> None:
    root, cache = write_speakers(tmp_path / "corpus", 2), tmp_path / "cache"
    run(root, cache)
    for journal in (cache / "records").glob("*.jsonl"):
        data = journal.read_bytes()
        journal.write_bytes(data[: len(data) - 40] + b"\n[1, 2]\nnull\n")
    assert run(root, cache).ok == 2
    check_sound(cache, 2)


def test_wrong_arguments(tmp_path: Path) -> None:
    root = write_speakers(tmp_path / "corpus", 1)
    for words, arguments in {
        "fps must divide 16000": {"fps": 30},
        "--time-limit: .* inf came": {"time_limit": float("inf")},
        "--workers must be at least 1, got 0": {"workers": 0},
        "no face detector at": {"crop": "face", "detector": tmp_path / "none.onnx"},
    }.items():
        with pytest.raises(InputError, match=words):
            run(root, tmp_path / "cache", **arguments)
    assert not (tmp_path / "cache").exists()
    before = sorted(root.rglob("*"))
    with pytest.raises(InputError, match="is the corpus' own folder: give another"):
        run(root, root)
    assert sorted(root.rglob("*")) == before
    assert run(root, tmp_path / "cache", time_limit=1e6).ok == 1
    with pytest.raises(InputError, match="does not exist"):
        run(tmp_path / "nothing", tmp_path / "cache")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        run(root, tmp_path / "file" / "cache")


def test_real_clips(tmp_path: Path, shared_dir: Path) -> None:
    corpus = shared_dir / "corpus" / "voxceleb2_layout" / "mp4"
    for speaker in sorted(corpus.iterdir())[:6]:
        (tmp_path / "corpus" / "mp4").mkdir(parents=True, exist_ok=True)
        (tmp_path / "corpus" / "mp4" / speaker.name).symlink_to(speaker)
    cache = tmp_path / "cache"
    summary = prepare(tmp_path / "corpus", "voxceleb2", cache, size=64, workers=2, progress=False)
    assert summary.ok == summary.found >= 12
    for row in rows(cache).values():
        frames, speech = read_clip(cache / row.cache_file)
        assert frames.shape[1:] == (3, 64, 64)
        assert np.abs(speech.astype(int)).max() > 500
        assert 2.3 < row.duration < 3.1
        assert frames.std() > 10


def test_a_cache_that_cannot_be_written_stops_the_run(tmp_path: Path) -> None:
    """A full or read-only disk is no clip's fault: one error, and no clip is marked refused for it."""
    root, cache = write_speakers(tmp_path / "corpus", 4), tmp_path / "cache"
    cache.mkdir()
    (cache / "clips").touch()
    with pytest.raises(InputError, match="what is finished is kept"):
        run(root, cache)
    assert rows(cache) == {}
    (cache / "clips").unlink()
    assert run(root, cache).ok == 4


def test_other_joblib_backends(tmp_path: Path) -> None:
    """What a cluster does, on this machine: joblib's own worker processes, each with its child."""
    root, cache = write_speakers(tmp_path / "corpus", 4), tmp_path / "cache"
    with joblib.parallel_config(backend="loky", n_jobs=2):
        assert run(root, cache).ok == 4
    check_sound(cache, 4)


def test_a_killed_worker_says_nothing_against_what_another_run_has_finished(tmp_path: Path) -> None:
    """Its record is the newer one; a later run tries again what has no other."""
    root, cache = write_speakers(tmp_path / "corpus", 2), tmp_path / "cache"
    run(root, cache)
    before = read_records(cache)
    for record in before.values():
        row = record["row"] | {"status": "refused", "reason": "killed", "cache_file": ""}
        append_record(
            cache / "records" / "late.jsonl", record | {"row": row, "again": True, "time": record["time"] + 9}
        )
    assert read_records(cache) == before
    assert run(root, cache).skipped == 2


def test_a_read_error_refuses_a_clip_for_this_run_alone(tmp_path: Path) -> None:
    """Reading another process' memory at 0 fails as a bad disk does."""
    root, cache = write_speakers(tmp_path / "corpus", 1), tmp_path / "cache"
    (root / "speaker0" / "bad.mp4").symlink_to("/proc/self/mem")
    assert run(root, cache).refused == 1
    assert rows(cache)["speaker0/bad"].reason == "bad.mp4 cannot be read: Input/output error"
    assert read_records(cache)["speaker0/bad"]["again"]
    assert run(root, cache).skipped == 1  # the other


def test_a_damaged_manifest_has_a_way_out(tmp_path: Path) -> None:
    root, cache = write_speakers(tmp_path / "corpus", 2), tmp_path / "cache"
    run(root, cache)
    whole = (cache / "manifest.csv").read_text()
    for damaged in (whole[: len(whole) - 20], ""):
        (cache / "manifest.csv").write_text(damaged)
        with pytest.raises(
            InputError, match=r"manifest\.csv is damaged, .* delete the file; the clips stay$"
        ):
            run(root, cache)
    (cache / "manifest.csv").unlink()
    assert run(root, cache).skipped == 2
    assert (cache / "manifest.csv").read_text() == whole
