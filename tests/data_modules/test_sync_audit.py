"""The offset audit: found offsets reach the manifest, stay there, and are measured once."""

from pathlib import Path

import numpy as np
import pytest
import torch

from data_modules.clip_cache import read_clip
from data_modules.clip_manifest import read_manifest
from data_modules.preparation import prepare
from data_modules.preparation_command import run_prepare
from data_modules.sync_audit import AuditSummary, audit_sync
from s2v.errors import InputError
from s2v.evaluation.judges import load_sync_judge
from s2v.files.file_hash import sha256_of_file
from s2v.metrics.sync_confidence import sync_scores
from tests.data_modules.media import tone, write_clip, write_media
from tests.data_modules.test_preparation_command import parsed
from tests.s2v.evaluation.judge_checkpoints import save_mouth_syncnet, save_syncnet
from tests.s2v.evaluation.talking_squares import LoudnessSyncNet, loudness, speech_of, talking_square


def corpus(root: Path, cache: Path) -> None:
    for name in ("a", "b", "c"):
        write_clip(root / "ann" / f"{name}.mp4")
    (root / "ann" / "broken.mp4").touch()
    prepare(root, "folder", cache, size=16, workers=1, progress=False)


def test_offsets_reach_the_manifest_and_are_measured_once(tmp_path: Path) -> None:
    root, cache = tmp_path / "corpus", tmp_path / "cache"
    corpus(root, cache)
    seen: list[tuple[int, ...]] = []

    def score(frames: np.ndarray, speech: np.ndarray) -> tuple[float, float]:
        seen.append((*frames.shape, len(speech)))
        if len(seen) == 3:
            raise InputError("too short for SyncNet's score")
        return (-5.0, 2.5) if len(seen) == 2 else (3.0, 7.123456)

    assert audit_sync(cache, score, "net") == AuditSummary(audited=2, flagged=2)
    assert seen == [(50, 3, 16, 16, 32000)] * 3
    a, b, broken, c = sorted(read_manifest(cache / "manifest.csv"), key=lambda row: row.clip_id)
    assert (a.sync_offset, a.sync_confidence, a.sync_flag, a.status) == (3.0, 7.1235, "", "ok")
    assert (b.sync_offset, b.sync_flag, b.status) == (-5.0, "speech comes 5 frames late", "ok")
    assert (broken.sync_offset, broken.sync_flag) == (None, "")
    assert (c.sync_offset, c.sync_flag) == (None, "not audited: too short for SyncNet's score")

    # preparing again keeps it, and only the clip that changed is looked at again
    write_clip(root / "ann" / "a.mp4", seconds=3.0)
    prepare(root, "folder", cache, size=16, workers=1, progress=False)
    assert [row.sync_offset for row in read_manifest(cache / "manifest.csv")] == [None, -5.0, None, None]
    assert audit_sync(cache, score, "net", max_offset=2) == AuditSummary(audited=2, flagged=3)
    assert seen[3:] == [(75, 3, 16, 16, 48000)]
    assert audit_sync(cache, score, "net", max_offset=5) == AuditSummary(audited=2, flagged=1)
    assert len(seen) == 4
    audit_sync(cache, score, "another net")
    assert len(seen) == 7


def test_what_is_prepared_during_an_audit_stays(tmp_path: Path) -> None:
    """Clips that came, changed or went while offsets were measured, and what their speakers answered."""
    root, cache = tmp_path / "corpus", tmp_path / "cache"
    corpus(root, cache)
    told = tmp_path / "consent.csv"
    told.write_text("speaker,consent\nann,yes\nben,no\n")

    def score(frames: np.ndarray, speech: np.ndarray) -> tuple[float, float]:
        if not (root / "ben").exists():
            write_clip(root / "ben" / "new.mp4")
            write_clip(root / "ann" / "b.mp4", seconds=3.0)
            prepare(root, "folder", cache, size=16, workers=1, progress=False, consent=told)
        return 3.0, 7.0

    audit_sync(cache, score, "net")
    rows = {row.clip_id: row for row in read_manifest(cache / "manifest.csv")}
    assert {name: row.consent for name, row in rows.items()} == {
        "ann/a": "yes",
        "ann/b": "yes",
        "ann/broken": "yes",
        "ann/c": "yes",
        "ben/new": "no",
    }
    assert rows["ben/new"].status == "refused"
    assert [rows[f"ann/{name}"].sync_offset for name in "abc"] == [3.0, None, 3.0]


def test_a_known_shift_is_found(tmp_path: Path) -> None:
    """Squares that brighten with loudness, their speech 0 and 6 frames late, through mp4 and the cache."""
    root, cache, levels = tmp_path / "corpus", tmp_path / "cache", loudness(75, seed=1)
    frames = [
        np.ascontiguousarray(one.permute(1, 2, 0).numpy()) for one in talking_square("ann", "anger", levels)
    ]
    for name, late in (("in_step", 0), ("late", 6)):
        speech = speech_of(levels.roll(late)).float().numpy()[None] / 32768
        write_media(root / "ann" / f"{name}.mov", frames, sound=speech, sound_codec="pcm_s16le")
    prepare(root, "folder", cache, size=32, workers=1, progress=False)
    network = LoudnessSyncNet().eval()

    def score(frames: np.ndarray, speech: np.ndarray) -> tuple[float, float]:
        found = sync_scores(network, torch.from_numpy(frames), torch.from_numpy(speech))
        return float(found.offset), found.confidence

    assert audit_sync(cache, score, "net") == AuditSummary(audited=2, flagged=1)
    in_step, late = read_manifest(cache / "manifest.csv")
    assert in_step.sync_offset == 0 and in_step.sync_flag == ""
    assert late.sync_offset == -6 and late.sync_flag == "speech comes 6 frames late"
    assert in_step.sync_confidence is not None and in_step.sync_confidence > 0.1


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip(tmp_path / "corpus" / "ann" / "a.mp4")
    arguments = ("--root", str(tmp_path / "corpus"), "--layout", "folder", "--cache", str(tmp_path / "cache"),
                 "--size", "16", "--workers", "1", "--no-progress", "--sync-audit")  # fmt: skip
    assert run_prepare(parsed(*arguments)) == 0
    assert "sync audit: off, no SyncNet weights" in capsys.readouterr().out
    syncnet = save_syncnet(tmp_path / "syncnet.ckpt")
    assert run_prepare(parsed(*arguments, "--syncnet", syncnet, "--sync-max-offset", "15")) == 0
    assert "sync audit: 1 clips have an offset, 0 are flagged" in capsys.readouterr().out
    (row,) = read_manifest(tmp_path / "cache" / "manifest.csv")
    assert row.sync_offset is not None and abs(row.sync_offset) <= 15
    with pytest.raises(InputError, match="no file at"):
        run_prepare(parsed(*arguments, "--syncnet", str(tmp_path / "none.ckpt")))
    with pytest.raises(InputError, match="needs --fps 25"):
        run_prepare(parsed(*arguments, "--syncnet", syncnet, "--fps", "20"))


@pytest.mark.parametrize("option", [("--syncnet", "none.ckpt"), ("--sync-max-offset", "3")])
def test_what_is_for_an_audit_alone_is_refused_without(option: tuple[str, str], tmp_path: Path) -> None:
    write_clip(tmp_path / "corpus" / "ann" / "a.mp4")
    where = ("--root", str(tmp_path / "corpus"), "--layout", "folder", "--cache", str(tmp_path / "cache"))
    with pytest.raises(InputError, match=f"{option[0]} is for --sync-audit: give both, or neither"):
        run_prepare(parsed(*where, "--size", "16", "--no-progress", *option))
    assert not (tmp_path / "cache").exists()


def test_offsets_that_came_of_padding_are_measured_again(tmp_path: Path) -> None:
    """A network whose embeddings have length 1 was scored as publicly evaluated before."""
    cache = tmp_path / "cache"
    write_clip(tmp_path / "corpus" / "ann" / "a.mp4")
    prepare(tmp_path / "corpus", "folder", cache, size=16, workers=1, progress=False)
    mouth = save_mouth_syncnet(tmp_path / "mouth.ckpt")
    audit_sync(cache, lambda frames, speech: (15.0, 99.0), sha256_of_file(mouth))
    arguments = ("--root", str(tmp_path / "corpus"), "--layout", "folder", "--cache", str(cache),
                 "--size", "16", "--workers", "1", "--no-progress", "--sync-audit", "--syncnet", mouth)  # fmt: skip
    assert run_prepare(parsed(*arguments)) == 0
    (row,) = read_manifest(cache / "manifest.csv")
    frames, speech = map(torch.from_numpy, read_clip(cache / row.cache_file))
    expected = sync_scores(load_sync_judge(mouth).network, frames, speech, mode="valid_only")
    assert (row.sync_offset, row.sync_confidence) == (expected.offset, round(expected.confidence, 4))


def test_other_rates_are_refused(tmp_path: Path) -> None:
    write_media(
        tmp_path / "corpus" / "ann" / "a.mp4", [np.zeros((32, 32, 3), np.uint8)] * 50, sound=tone(2.0)
    )
    prepare(tmp_path / "corpus", "folder", tmp_path / "cache", size=16, fps=20, workers=1, progress=False)
    with pytest.raises(InputError, match="needs clips of 25 fps"):
        audit_sync(tmp_path / "cache", lambda frames, speech: (0.0, 0.0), "net")
