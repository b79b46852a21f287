"""A cache that holds clips made with other settings: lost to no wrong option, mixed by no run beside another."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from data_modules import preparation
from s2v.errors import InputError
from tests.data_modules.media import write_clip, write_speakers
from tests.data_modules.preparing import rows, run


def test_finished_clips_are_not_thrown_away_unasked(tmp_path: Path) -> None:
    root, cache = write_speakers(tmp_path / "corpus", 3), tmp_path / "cache"
    write_clip(root / "speaker0" / "short.mp4", 0.6)
    assert run(root, cache).ok == 3

    def state() -> dict[str, tuple[int, bytes]]:
        files = [path for path in cache.rglob("*") if path.is_file()]
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    before = state()
    others: list[tuple[dict[str, object], str, str]] = [
        ({"size": 24}, "--size 24", "--size 16"),
        ({"min_seconds": 0.5}, "--min-seconds 0.5", "--min-seconds 1.0"),
        ({"fps": 20, "crop": "center"}, "--fps 20 --crop center", "--fps 25 --crop none"),
    ]
    for given, asked, made in others:
        with pytest.raises(InputError) as caught:
            run(root, cache, **given)
        assert str(caught.value) == (
            f"{cache} holds 3 finished clips made with {made}, but {asked} is asked: give another --cache, or what it "
            "was made with, or --overwrite to make them anew"
        )
        assert state() == before
    os.utime(root / "speaker1" / "1.mp4")  # as a copy of the corpus has it: still the same recording
    with pytest.raises(InputError, match="3 finished clips"):
        run(root, cache, size=24)
    assert run(root, cache).ok == 3
    for name in ("speaker0/0", "speaker1/1"):
        (cache / rows(cache)[name].cache_file).unlink()
    with pytest.raises(InputError, match="1 finished clips"):
        run(root, cache, size=24)
    (cache / rows(cache)["speaker2/2"].cache_file).unlink()
    assert run(root, cache, size=24).ok == 3  # nothing finished is left to lose


def test_a_copied_cache_is_as_safe_from_a_wrong_option(tmp_path: Path) -> None:
    root, cache = write_speakers(tmp_path / "corpus", 2), tmp_path / "cache"
    run(root, cache)
    shutil.copytree(cache, tmp_path / "copy", copy_function=shutil.copyfile)  # with other times
    with pytest.raises(InputError, match="holds 2 finished clips made with --size 16"):
        run(root, tmp_path / "copy", size=24)


def test_another_run_at_once_with_other_settings_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, cache = write_speakers(tmp_path / "corpus", 2), tmp_path / "cache"
    decode = preparation._run

    def meanwhile(*arguments: Any) -> None:
        decode(*arguments)
        monkeypatch.setattr(preparation, "_run", decode)
        run(root, cache, size=24, overwrite=True)

    monkeypatch.setattr(preparation, "_run", meanwhile)
    with pytest.raises(
        InputError, match=r"has made 2 of these clips meanwhile with other settings \(speaker0/0"
    ):
        run(root, cache)
    assert run(root, cache, size=24).skipped == 2


def test_a_clip_that_cannot_be_read_while_all_are_made_anew_is_no_other_run(
    tmp_path: Path,
) -> None:
    root, cache = write_speakers(tmp_path / "corpus", 2), tmp_path / "cache"
    run(root, cache)
    (root / "speaker0" / "0.mp4").unlink()
    (root / "speaker0" / "0.mp4").symlink_to("/proc/self/mem")  # a disk that fails
    made = run(root, cache, size=24, overwrite=True)
    assert (made.ok, made.refused) == (1, 1)
