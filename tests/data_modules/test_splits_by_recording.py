"""Split `recordings`: known speakers, no recording in two parts, and the manifest that says which clip is of which."""

import random
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from data_modules import VoxCeleb2
from data_modules.clip_manifest import ManifestRow, read_manifest, write_manifest
from data_modules.splits import PARTS, Split, make_split
from data_modules.sync_audit import audit_sync
from s2v.cli import main
from s2v.errors import InputError
from tests.data_modules.media import tone, write_clip


def clips_of(speaker: str, recordings: int, draw: random.Random) -> list[ManifestRow]:
    """One to six clips of each recording, named as VoxCeleb2's are."""
    return [
        ManifestRow(
            f"{speaker}/v{video}/{clip:05d}",
            "ok",
            speaker=speaker,
            recording=f"{speaker}/v{video}",
            sha256=f"bytes of {speaker}/v{video}/{clip}",
        )
        for video in range(recordings)
        for clip in range(draw.randint(1, 6))
    ]


def corpus(seed: int, speakers: int = 12) -> list[ManifestRow]:
    draw = random.Random(seed)
    return [row for who in range(speakers) for row in clips_of(f"id{who:05d}", draw.randint(1, 12), draw)]


def parts_of(split: Split) -> dict[str, str]:
    """Clip id -> part; a clip in two parts is an error."""
    found = [(name, part) for part in PARTS for name in split[part]]
    assert len(dict(found)) == len(found)
    return dict(found)


@pytest.mark.parametrize("seed", range(20))
def test_each_recording_in_one_part_and_each_speaker_of_three_in_all(seed: int) -> None:
    rows = corpus(seed)
    split = make_split(rows, "recordings")
    part = parts_of(split)
    assert sorted(part) == sorted(row.clip_id for row in rows)
    parts_of_recording, recordings, parts_of_speaker = defaultdict(set), defaultdict(set), defaultdict(set)
    for row in rows:
        parts_of_recording[row.recording].add(part[row.clip_id])
        recordings[row.speaker].add(row.recording)
        parts_of_speaker[row.speaker].add(part[row.clip_id])
    assert {len(where) for where in parts_of_recording.values()} == {1}
    for speaker, found in recordings.items():
        assert parts_of_speaker[speaker] == (set(PARTS) if len(found) >= 3 else {"train"})
    random.Random(seed).shuffle(rows)
    assert make_split(rows, "recordings") == split


def test_shares_are_of_recordings() -> None:
    rows = clips_of("ann", 20, random.Random(0))
    part = {row.recording: parts_of(make_split(rows, "recordings"))[row.clip_id] for row in rows}
    assert [list(part.values()).count(name) for name in PARTS] == [14, 3, 3]


@pytest.mark.parametrize("seed", range(5))
def test_another_speaker_moves_nobodys_clips(seed: int) -> None:
    rows = corpus(seed)
    before = parts_of(make_split(rows, "recordings"))
    after = parts_of(make_split([*clips_of("a newcomer", 9, random.Random(seed)), *rows], "recordings"))
    assert before == {name: part for name, part in after.items() if name in before}


def test_recordings_that_share_a_file_are_one() -> None:
    """Another speaker's too, and a recording of several people; the parts of all others stay."""
    rows = [row for who in ("ann", "bob", "cem") for row in clips_of(who, 8, random.Random(1))]
    recordings_by_part: dict[str, list[ManifestRow]] = defaultdict(list)
    part = parts_of(make_split(rows, "recordings"))
    for row in rows:
        recordings_by_part[part[row.clip_id]].append(row)
    one, other = recordings_by_part["train"][0], recordings_by_part["test"][-1]
    copy = replace(one, clip_id="copy", speaker=other.speaker, recording=other.recording)
    guest = replace(one, clip_id="guest", speaker="dan", sha256="bytes of guest")
    split = make_split([*rows, copy, guest], "recordings")
    assert split == make_split([guest, copy, *reversed(rows)], "recordings")
    now = parts_of(split)
    together = {one.recording, other.recording}
    assert len({now[row.clip_id] for row in (*rows, copy, guest) if row.recording in together}) == 1
    assert {now[row.clip_id] for row in rows if row.speaker == "bob"} == set(PARTS)


def test_who_is_not_tested_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    draw = random.Random(0)
    rows = [row for who, count in (("ann", 3), ("bob", 2), ("cem", 1)) for row in clips_of(who, count, draw)]
    with caplog.at_level("INFO"):
        split = make_split(rows, "recordings")
    (line,) = caplog.messages
    assert "2 of 3 speakers have no test clip" in line and "\n" not in line
    assert {name.split("/")[0] for name in split["test"]} == {"ann"}
    caplog.clear()
    with caplog.at_level("INFO"):
        make_split(clips_of("ann", 5, draw), "recordings")
    assert not caplog.messages


def test_clips_without_a_recording_are_refused() -> None:
    rows = [*corpus(0), ManifestRow("loose", "ok", speaker="ann")]
    with pytest.raises(
        InputError, match=r"needs a recording for every clip; 1 of .* 'loose'; run .*s2v prepare"
    ):
        make_split(rows, "recordings")
    # one that is refused needs none
    make_split([*corpus(0), ManifestRow("loose", "refused", "silent")], "recordings")


def test_an_older_cache_takes_recordings_in_without_decoding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, cache = tmp_path / "corpus", tmp_path / "cache"
    for video in range(3):
        for clip in range(2):
            sound = tone(1.2, pitch=200 + 20 * video + 10 * clip)
            write_clip(root / "mp4" / "id00012" / f"v{video}" / f"{clip:05d}.mp4", 1.2, sound=sound)
    command = ["prepare", "--root", str(root), "--layout", "voxceleb2", "--cache", str(cache)]
    command += ["--size", "16", "--no-progress"]
    assert main(command) == 0
    manifest = cache / "manifest.csv"
    written = read_manifest(manifest)
    assert [row.recording for row in written] == [f"id00012/v{video}" for video in (0, 0, 1, 1, 2, 2)]
    write_manifest(manifest, [replace(row, recording="") for row in written])
    data = {"image_size": 16, "window_frames": 20, "num_workers": 0, "split": "recordings"}
    with pytest.raises(InputError, match="needs a recording"):
        VoxCeleb2(str(cache), **data).setup()  # type: ignore[arg-type]
    capsys.readouterr()
    assert main(command) == 0
    assert "6 from before" in capsys.readouterr().out
    assert read_manifest(manifest) == written
    audit_sync(cache, lambda frames, speech: (0.0, 5.0), "net")
    assert [row.recording for row in read_manifest(manifest)] == [row.recording for row in written]
    module = VoxCeleb2(str(cache), **data)  # type: ignore[arg-type]
    found = [{row.recording for row in module.clips(part)} for part in PARTS]
    assert sorted(map(len, found)) == [1, 1, 1] and len(set.union(*found)) == 3
    assert (cache / "splits" / "recordings" / "test.txt").is_file()
    out = tmp_path / "out"
    assert main(["clips", "--cache", str(cache), "--split", "recordings", "--output", str(out)]) == 0
    assert len(list(out.rglob("*.mp4"))) == 2
