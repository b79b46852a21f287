"""`s2v prepare` killed, out of disk, refused by the disk: what it leaves is whole, and the next run completes it."""

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import safe_open

from data_modules.clip_cache import read_clip
from data_modules.clip_manifest import read_manifest
from data_modules.prepared_clips import is_prepared
from tests.conftest import REPOSITORY, BuildOnce
from tests.data_modules.media import write_speakers
from tests.full import FULL

CLIPS = 24
KILLS = 20 if FULL else 4


@pytest.fixture(scope="module")
def corpus(build_once: BuildOnce) -> Path:
    return build_once("interrupted_corpus", lambda root: write_speakers(root, CLIPS))


@pytest.fixture(scope="module")
def uninterrupted(corpus: Path, build_once: BuildOnce) -> dict[str, object]:
    """The content of a cache made in one go."""

    def fill(cache: Path) -> None:
        assert start(corpus, cache).wait() == 0

    return content(build_once("uninterrupted_cache", fill))


def start(corpus: Path, cache: Path, before: Callable[[], None] | None = None) -> "subprocess.Popen[str]":
    """`s2v prepare` in a process group of its own."""
    command = [sys.executable, "-m", "s2v", "prepare", "--root", str(corpus), "--layout", "folder"]
    return subprocess.Popen(
        [*command, "--cache", str(cache), "--size", "16", "--workers", "2", "--no-progress"],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=before,
    )


def refusal(process: "subprocess.Popen[str]") -> str:
    """The one line with which it ends."""
    _, errors = process.communicate()
    assert process.returncode == 2
    (line,) = errors.splitlines()
    return line


def content(cache: Path) -> dict[str, object]:
    """Manifest and clips; every clip is read whole, by its checksums. (safetensors orders its header at random.)"""
    found: dict[str, object] = {"manifest": (cache / "manifest.csv").read_bytes()}
    for path in sorted(cache.glob("clips/**/*.safetensors")):
        with safe_open(str(path), framework="numpy") as file:
            header = file.metadata()
        found[str(path.relative_to(cache))] = (header, *(part.tobytes() for part in read_clip(path)))
    return found


def finished_clips(cache: Path) -> set[str]:
    """Clips whose record is written."""
    lines = [line for file in (cache / "records").glob("*.jsonl") for line in file.read_text().splitlines()]
    return {json.loads(line)["row"]["clip_id"] for line in lines if line.endswith("}")}


def stopped_on_the_way(corpus: Path, cache: Path) -> "subprocess.Popen[str]":
    """A preparation that stands still (SIGSTOP) before its last clips; a busy machine may notice its start too late."""

    def mind_ctrl_c() -> None:  # a background job inherits that it is ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    for _ in range(10):
        process = start(corpus, cache, mind_ctrl_c)
        while not (cache / "manifest.csv").exists():
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGSTOP)
        if len(finished_clips(cache)) < CLIPS / 2:
            return process
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        shutil.rmtree(cache)
    raise AssertionError("ten preparations were over before they could be stopped")


def test_a_slower_run_that_is_stopped_takes_nothing_of_a_finished_one_away(
    corpus: Path, uninterrupted: dict[str, object], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    slower = stopped_on_the_way(corpus, cache)
    assert start(corpus, cache).wait() == 0
    assert content(cache) == uninterrupted
    for number in (signal.SIGINT, signal.SIGCONT):
        os.killpg(slower.pid, number)
    slower.communicate()
    assert slower.returncode == 130
    assert content(cache) == uninterrupted
    assert is_prepared(cache)


@pytest.mark.slow
def test_killed_at_random_moments_the_cache_is_that_of_an_uninterrupted_run(
    corpus: Path, uninterrupted: dict[str, object], tmp_path: Path
) -> None:
    """Each time the whole process group is killed, so that clips, records and the manifest are caught half-written."""
    expected, draw = uninterrupted, random.Random(0)
    cache, caught = tmp_path / "cache", 0
    for _ in range(KILLS):
        process = start(corpus, cache)
        goal = draw.randrange(-CLIPS // 2, CLIPS)  # below 0: while it starts
        while process.poll() is None and len(finished_clips(cache)) < goal:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.5 if goal < 0 else 0.1))
        with contextlib.suppress(ProcessLookupError):  # it came to its end
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        before = finished_clips(cache)
        caught += 0 < len(before) < CLIPS
        for path in cache.glob("clips/**/*.safetensors"):
            assert str(path.relative_to(cache)) in expected
            read_clip(path)
        if (cache / "manifest.csv").exists():
            read_manifest(cache / "manifest.csv")
        if len(before) == CLIPS:
            shutil.rmtree(cache)
    assert caught >= KILLS / 5, f"{caught} of {KILLS} kills came between the first clip and the last"
    assert start(corpus, cache).wait() == 0
    assert content(cache) == expected


def test_a_file_size_limit_is_one_line_and_the_next_run_completes(
    corpus: Path, uninterrupted: dict[str, object], tmp_path: Path
) -> None:
    """What a quota does: a write stops half-way (EFBIG)."""
    limit = 20_000  # bytes; a clip has 61,000
    line = refusal(start(corpus, tmp_path, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))))
    assert line.startswith("s2v: error: the cache folder") and "File too large" in line
    assert list(tmp_path.glob("clips/**/*.safetensors")) == list(tmp_path.glob("clips/**/.*")) == []
    assert start(corpus, tmp_path).wait() == 0
    assert content(tmp_path) == uninterrupted


def test_disk_full_is_one_line_and_with_room_the_next_run_completes(
    corpus: Path, uninterrupted: dict[str, object], small_disk: Path
) -> None:
    line = refusal(start(corpus, small_disk))
    assert line.startswith("s2v: error: ") and "No space left on device" in line
    made = set(small_disk.glob("clips/**/*.safetensors"))
    assert 0 < len(made) < CLIPS
    for path in made:
        read_clip(path)
    before = {path: path.stat().st_ino for path in made if "speaker" in str(path)}
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    assert start(corpus, small_disk).wait() == 0
    assert content(small_disk) == uninterrupted
    assert all(path.stat().st_ino == inode for path, inode in before.items()), "made twice"


def test_a_disk_that_became_read_only_is_one_line(corpus: Path, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    line = refusal(start(corpus, small_disk))
    assert line.endswith(f"the cache folder {small_disk} cannot be written: Read-only file system")


def test_a_folder_without_write_permission_is_one_line(corpus: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o555)
    try:
        assert refusal(start(corpus, tmp_path)).endswith("cannot be written: Permission denied")
    finally:
        tmp_path.chmod(0o755)
