"""What a cache holds for a request: splits, subsets, labels as numbers, and refusals in words."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data_modules import CremaD, VideoFolder, VoxCeleb2
from data_modules.clip_cache import read_clip, read_header, write_clip
from data_modules.clip_manifest import read_manifest, write_manifest
from data_modules.prepared_clips import ClipRequest, PreparedClips, is_prepared, read_prepared
from s2v.errors import InputError


def prepared(cache: Path, **asked: Any) -> PreparedClips:
    plain: dict[str, Any] = {
        "root": None,
        "layout": "crema_d",
        "split": "seen",
        "image_size": 64,
        "crop": "none",
    }
    return read_prepared(ClipRequest(cache, **{**plain, "speakers": None, "max_clips": None, **asked}))


@pytest.mark.parametrize("split", ["seen", "sentences"])
def test_split_lists_lie_beside_the_cache(crema_d_cache: Path, split: str) -> None:
    found = prepared(crema_d_cache, split=split)
    for part in ("train", "val", "test"):
        names = [row.clip_id for row in found.clips(part)]
        assert (crema_d_cache / "splits" / split / f"{part}.txt").read_text().split() == names


def test_lists_by_hand(crema_d_cache: Path, tmp_path: Path) -> None:
    names = [row.clip_id for row in read_manifest(crema_d_cache / "manifest.csv")]
    for part, chosen in (("train", names[:6]), ("val", names[6:8]), ("test", names[8:9])):
        (tmp_path / f"{part}.txt").write_text("\n".join(chosen) + "\n")
    found = prepared(crema_d_cache, split=str(tmp_path))
    assert [row.clip_id for row in found.clips("train")] == sorted(names[:6])


def test_subsets(crema_d_cache: Path) -> None:
    one = prepared(crema_d_cache, speakers=["1002"])
    assert one.speakers == ["1002"]
    assert {row.speaker for row in one.clips("train")} == {"1002"}
    few = prepared(crema_d_cache, max_clips=3)
    assert len(few.clips("train")) == 3
    assert len({row.speaker for row in few.clips("train")}) == 3
    with pytest.raises(InputError, match="speakers 8888, 9999 are not in"):
        prepared(crema_d_cache, speakers=["9999", "1002", "8888"])


def test_labels_are_places_in_the_sorted_names(crema_d_cache: Path, tmp_path: Path) -> None:
    rows = read_manifest(crema_d_cache / "manifest.csv")
    (tmp_path / "clips").symlink_to(crema_d_cache / "clips")
    names = [row.clip_id for row in rows]
    for part, chosen in (("train", names), ("val", []), ("test", [])):
        (tmp_path / f"{part}.txt").write_text("".join(f"{name}\n" for name in chosen))
    write_manifest(tmp_path / "manifest.csv", [replace(rows[0], speaker="", emotion=""), *rows[1:]])
    found = prepared(tmp_path, split=str(tmp_path))
    assert found.speakers == ["1001", "1002", "1003"] and found.fps == 25
    assert found.emotions == ["anger", "disgust", "fear", "happiness", "neutral", "sadness"]
    clips = found.columns("train")
    assert [clip.clip_id for clip in clips] == names
    assert (clips[0].speaker, clips[0].emotion) == (-1, -1)
    for row, clip in zip(rows[1:], clips[1:], strict=True):
        assert (found.speakers[clip.speaker], found.emotions[clip.emotion]) == (row.speaker, row.emotion)
        assert (clip.path, clip.frames, clip.fps) == (tmp_path / row.cache_file, row.frames, 25)


def test_short_clips_are_left_out_with_a_notice(
    crema_d_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = prepared(crema_d_cache)
    lengths = sorted(row.frames for row in found.clips("train"))
    window = lengths[len(lengths) // 2] + 1
    with caplog.at_level("INFO"):
        served = len(found.columns("train", window))
    assert served == sum(length >= window for length in lengths)
    assert f"{len(lengths) - served} of {len(lengths)} train clips are shorter" in caplog.text
    assert len(found.columns("train")) == len(lengths)
    assert len(found.columns("train", lengths[-1])) == lengths.count(lengths[-1])
    with pytest.raises(InputError, match=rf"all {len(lengths)} clips .*the longest has {lengths[-1]}\)"):
        found.columns("train", lengths[-1] + 1)


def test_empty_parts_and_no_usable_clip(crema_d_cache: Path, tmp_path: Path) -> None:
    rows = read_manifest(crema_d_cache / "manifest.csv")
    (tmp_path / "clips").symlink_to(crema_d_cache / "clips")
    write_manifest(tmp_path / "manifest.csv", rows[:1])
    found = prepared(tmp_path)
    assert len(found.columns("train")) == 1
    with pytest.raises(
        InputError, match=r"the val part of split 'seen' .* is empty \(1 usable clips, 1 spea"
    ):
        found.columns("val")
    write_manifest(tmp_path / "manifest.csv", [replace(rows[0], status="refused", reason="silent")])
    with pytest.raises(InputError, match="none of the 1 clips"):
        prepared(tmp_path)
    write_manifest(tmp_path / "manifest.csv", [])  # as prepare leaves it when it begins
    with pytest.raises(InputError, match=r"manifest\.csv has no clip yet; let `s2v prepare .*` finish"):
        prepared(tmp_path)


def test_a_missing_cache_names_the_command(tmp_path: Path) -> None:
    assert not is_prepared(tmp_path / "none")
    with pytest.raises(InputError, match=r"s2v prepare --root CORPUS --layout crema_d --cache .*none"):
        CremaD(str(tmp_path / "none")).setup()
    with pytest.raises(InputError, match="--layout voxceleb2"):
        VoxCeleb2(str(tmp_path / "none")).setup()
    with pytest.raises(InputError, match=r"--layout folder .*none --crop face`$"):
        VideoFolder(str(tmp_path / "none"), crop="face").setup()


def test_a_cache_of_another_crop_is_refused(crema_d_cache: Path, crema_d_corpus: Path) -> None:
    assert is_prepared(crema_d_cache)
    with pytest.raises(InputError) as raised:
        prepared(crema_d_cache, root=crema_d_corpus, crop="face")
    assert str(raised.value) == (
        f"the clips in {crema_d_cache} were prepared with --crop none, data.init_args.crop is face; set "
        f"data.init_args.crop=none, or run `s2v prepare --root {crema_d_corpus} --layout crema_d --cache "
        f"{crema_d_cache} --size 64 --crop face --overwrite`"
    )
    assert prepared(crema_d_cache, crop="center").crop == "none"  # the same pixels under another name


@pytest.mark.parametrize(("kept", "asked"), [("face", "none"), (None, "face"), (None, "none")])
def test_the_crop_is_the_clips_own_word(
    kept: str | None, asked: str, crema_d_cache: Path, tmp_path: Path
) -> None:
    """A cache made before headers said it is taken as the config has it."""
    rows = read_manifest(crema_d_cache / "manifest.csv")[:2]
    for row in rows:
        path = crema_d_cache / row.cache_file
        settings = {key: value for key, value in read_header(path).settings.items() if key != "crop"}
        header = {
            "fps": "25",
            "source_sha256": row.sha256,
            "settings": json.dumps(settings if kept is None else settings | {"crop": kept}),
            "clip_id": row.clip_id,
        }
        write_clip(tmp_path / row.cache_file, *read_clip(path), header)
    write_manifest(tmp_path / "manifest.csv", rows)
    if kept is None:
        found = prepared(tmp_path, crop=asked)
        assert found.crop is None and len(found.clips("train")) > 0
    else:
        with pytest.raises(InputError, match=r"with --crop face, data.* is none; .*--size 64 --overwrite`$"):
            prepared(tmp_path, crop=asked)


def test_a_cache_that_can_not_be_written_gives_the_same(
    crema_d_cache: Path, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    shutil.copytree(crema_d_cache, small_disk / "cache", ignore=shutil.ignore_patterns("splits"))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with caplog.at_level("INFO"):
        there = prepared(small_disk / "cache")
    assert there.rows == prepared(crema_d_cache).rows and there.parts == prepared(crema_d_cache).parts
    assert (
        f"the split's lists are not written to {small_disk / 'cache'} (Read-only file system)" in caplog.text
    )
