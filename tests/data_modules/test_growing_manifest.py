"""Two preparations of one cache, of which the one that began first was told otherwise who consented."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from data_modules.clip_manifest import MANIFEST_NAME, ManifestRow, read_manifest
from data_modules.growing_manifest import GrowingManifest, SaidAnew
from data_modules.layouts import FoundClip
from data_modules.preparation_records import RECORDS_FOLDER, append_record
from s2v.errors import InputError


def manifest(cache: Path, consent: Mapping[str, bool] | None) -> GrowingManifest:
    row = ManifestRow("ann/1", "refused", "too short", speaker="ann")
    done = {row.clip_id: {"row": row.__dict__}, "bob/1": {"row": replace(row, clip_id="bob/1").__dict__}}
    return GrowingManifest(cache, [], SaidAnew(consent, {}, {}), lambda record, clip: False, done)


@pytest.mark.parametrize("older", [None, {"ann": True}])
def test_what_a_later_run_was_told_of_consent_stands(
    older: Mapping[str, bool] | None, tmp_path: Path
) -> None:
    first, second = manifest(tmp_path, older), manifest(tmp_path, {"ann": False})
    first.write()
    second.write()
    for _ in range(2):  # while it runs, and where it ends
        with pytest.raises(InputError, match=r"otherwise than this one was told \(speaker ann, for one\)"):
            first.write()
    second.write()
    assert [row.consent for row in read_manifest(tmp_path / MANIFEST_NAME)] == ["no", "no"]
    assert not list(tmp_path.glob("*.partial*"))


def test_runs_that_were_told_the_same_write_in_turns(tmp_path: Path) -> None:
    first, second = (manifest(tmp_path, {"ann": True}) for _ in range(2))
    for turn in (first, second, first, second):
        turn.write()
    (tmp_path / MANIFEST_NAME).write_text("damaged")
    first.write()
    assert [row.consent for row in read_manifest(tmp_path / MANIFEST_NAME)] == ["yes", "yes"]


@pytest.mark.parametrize(("again", "status"), [(True, "ok"), (False, "refused")])
def test_what_is_to_be_tried_again_gives_way_to_another_runs_result(
    again: bool, status: str, tmp_path: Path
) -> None:
    clip = FoundClip("ann/1", "ann/1.mp4", speaker="ann")
    row = ManifestRow("ann/1", "refused", "decoder failed", speaker="ann")
    done = {"ann/1": {"row": asdict(row), "again": again}}
    better = replace(row, status="ok", reason="")
    append_record(
        tmp_path / RECORDS_FOLDER / "other.jsonl", {"row": asdict(better), "again": False, "time": 1.0}
    )
    GrowingManifest(tmp_path, [clip], SaidAnew(None, {}, {}), lambda record, clip: True, done).write()
    assert [row.status for row in read_manifest(tmp_path / MANIFEST_NAME)] == [status]
