"""`s2v cache-targets` on several processes, here and on a Dask cluster: what a fit would have cached."""

import os
import shutil
import signal
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from data_modules.clip_manifest import read_manifest, write_manifest
from s2v.cli import main
from s2v.errors import InputError
from s2v.modules import target_caching
from s2v.modules.face_teacher import FaceTeacher
from s2v.modules.target_caching import cache_targets
from tests.dask_processes import Processes, start_worker, wait_for_workers
from tests.joblib_processes import joblib_processes
from tests.s2v.modules.small_faces import trainer
from tests.s2v.modules.small_modules import distill
from tests.s2v.modules.test_teacher_cache import faces

CLIPS = 36


def content(folder: Path) -> dict[str, bytes]:
    """Relative path -> bytes of every feature file; fails where anything else lies there."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert all(path.suffix == ".safetensors" for path in files)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def command(cache: Path, folder: Path, teachers: dict[str, Any], *options: str) -> list[str]:
    return [
        *("cache-targets", "--cache", str(cache), "--output", str(folder)),
        *(
            "--identity-teacher",
            teachers["identity_teacher"],
            "--emotion-teacher",
            teachers["emotion_teacher"],
        ),
        *options,
    ]


@pytest.mark.slow
def test_two_workers_write_the_files_of_one(
    teachers: dict[str, Any], crema_d_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    threads = torch.get_num_threads()
    assert main(command(crema_d_cache, one, teachers, "--workers", "1")) == 0
    assert capsys.readouterr().out == (
        f"{CLIPS} clips, {CLIPS} cached now, 0 from before; for a fit: --model.init_args.teacher_cache {one}\n"
    )
    assert main(command(crema_d_cache, two, teachers, "--workers", "2")) == 0
    assert torch.get_num_threads() == threads
    assert content(two) == content(one)
    assert len(content(one)) == CLIPS
    capsys.readouterr()
    assert main(command(crema_d_cache, two, teachers, "--workers", "2")) == 0
    assert f"{CLIPS} clips, 0 cached now, {CLIPS} from before" in capsys.readouterr().out


def test_a_fit_finds_them_wherever_its_teachers_lie(
    teachers: dict[str, Any], crema_d_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = {name: str(shutil.copy(path, tmp_path / f"{name}.ckpt")) for name, path in teachers.items()}
    kept = tmp_path / "kept"
    cache_targets(crema_d_cache, kept, moved["identity_teacher"], moved["emotion_teacher"])
    before = content(kept)

    def no_pictures(*_: Any) -> None:
        raise AssertionError("a teacher looked at pictures although its features are cached")

    monkeypatch.setattr(FaceTeacher, "forward", no_pictures)
    fit = trainer(tmp_path, max_steps=1, use_distributed_sampler=False)
    made = distill(teacher_cache=str(kept), frames_per_clip=4, **teachers)
    fit.fit(made, datamodule=faces(crema_d_cache))
    assert content(kept) == before


@pytest.mark.slow
def test_what_can_not_be_read_is_named_and_the_rest_is_cached(
    teachers: dict[str, Any], crema_d_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(crema_d_cache, cache)
    damaged = sorted(cache.glob("clips/**/*.safetensors"))[5]
    damaged.write_bytes(damaged.read_bytes()[:-100])
    assert main(command(cache, tmp_path / "kept", teachers, "--workers", "2")) == 2
    told = capsys.readouterr()
    assert f"{CLIPS} clips, {CLIPS - 1} cached now, 0 from before" in told.out
    assert "1 clips have no features:" in told.err and damaged.name in told.err
    assert told.err.count("\n") == 1
    assert len(content(tmp_path / "kept")) == CLIPS - 1


def test_clips_of_no_use_are_left_out(teachers: dict[str, Any], crema_d_cache: Path, tmp_path: Path) -> None:
    """They have no frames, and a run with some is no failure."""
    rows = read_manifest(crema_d_cache / "manifest.csv")[:3]
    (tmp_path / "clips").symlink_to(crema_d_cache / "clips")
    refused = [replace(row, status="refused", reason="silent", cache_file="") for row in rows]
    write_manifest(tmp_path / "manifest.csv", [rows[0], *refused[1:]])
    done = cache_targets(tmp_path, tmp_path / "kept", **_sources(teachers))
    assert (done.found, done.cached, done.unreadable) == (1, 1, {})
    write_manifest(tmp_path / "manifest.csv", refused)
    with pytest.raises(InputError, match=r"none of the clips in .* is usable; its column `reason` says why"):
        cache_targets(tmp_path, tmp_path / "kept", **_sources(teachers))


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"--workers": "0"}, "--workers must be at least 1, got 0"),
        ({"--cache": "nowhere"}, "no prepared clips in nowhere"),
        ({"--identity-teacher": "nowhere.ckpt"}, "nowhere.ckpt"),
        ({"--output": "file/folder"}, "the folder file/folder cannot be made"),
        ({"--device": "nonsense"}, "--device nonsense: "),
    ],
)
def test_wrong_arguments_are_one_line(
    changed: dict[str, str],
    line: str,
    teachers: dict[str, Any],
    crema_d_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    options = [word for pair in changed.items() for word in pair]
    assert main(command(crema_d_cache, tmp_path / "kept", teachers, *options)) == 2
    error = capsys.readouterr().err
    assert line in error and error.count("\n") == 1


def test_a_teacher_without_that_output(
    teachers: dict[str, Any], crema_d_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FaceTeacher, "forward", lambda *_: {"logits": torch.zeros(1, 2)})
    target_caching._loaded.cache_clear()
    with pytest.raises(InputError, match="the identity teacher gives no embedding, only logits"):
        cache_targets(crema_d_cache, tmp_path / "kept", **_sources(teachers))


def _sources(teachers: dict[str, Any]) -> dict[str, Any]:
    return {kind: teachers[f"{kind}_teacher"] for kind in ("identity", "emotion")}


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
def test_a_killed_process_is_one_line_and_the_next_run_goes_on(
    teachers: dict[str, Any], crema_d_cache: Path, tmp_path: Path
) -> None:
    def kill_a_child(items: Iterable[tuple[str, str]], total: int) -> Iterator[tuple[str, str]]:
        for number, item in enumerate(items):
            if number == 2:
                os.kill(next(joblib_processes()), signal.SIGKILL)
            yield item

    kept = tmp_path / "kept"
    with pytest.raises(InputError, match=r"a process that cached targets was killed.* try fewer --workers"):
        cache_targets(crema_d_cache, kept, **_sources(teachers), workers=2, watch=kill_a_child)
    before = len(list(kept.rglob("*.safetensors")))
    assert 3 <= before < CLIPS
    done = cache_targets(crema_d_cache, kept, **_sources(teachers))
    assert (done.skipped, done.cached, done.unreadable) == (before, CLIPS - before, {})


@pytest.mark.slow
def test_a_killed_dask_worker_costs_no_clip(
    start: Processes, scheduler_file: Path, teachers: dict[str, Any], crema_d_cache: Path, tmp_path: Path
) -> None:
    """Killed after the third clip: every clip has its file, once, with the bytes of a local run."""
    victim = start_worker(start, scheduler_file)
    start_worker(start, scheduler_file)
    wait_for_workers(scheduler_file, tmp_path, 2)
    told: list[str] = []

    def kill_half_way(items: Iterable[tuple[str, str]], total: int) -> Iterator[tuple[str, str]]:
        for item in items:
            told.append(item[0])
            if len(told) == 3:
                victim.send_signal(signal.SIGKILL)
            yield item

    there, here = tmp_path / "there", tmp_path / "here"
    done = cache_targets(
        crema_d_cache, there, **_sources(teachers), dask=str(scheduler_file), watch=kill_half_way
    )
    assert victim.wait(timeout=10) == -signal.SIGKILL
    assert (done.found, done.cached, done.skipped, done.unreadable) == (CLIPS, CLIPS, 0, {})
    assert len(told) == len(set(told)) == CLIPS
    cache_targets(crema_d_cache, here, **_sources(teachers))
    # the killed worker may have left the file it was writing
    whole = {str(path.relative_to(there)): path for path in there.rglob("*.safetensors")}
    assert {name: path.read_bytes() for name, path in whole.items()} == content(here)
    assert all(load_file(path)["mu"].shape[1] for path in whole.values())
