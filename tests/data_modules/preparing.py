"""Preparations of small folders, and what their manifests say."""

from pathlib import Path

from data_modules.clip_manifest import ManifestRow, read_manifest
from data_modules.preparation import PreparationSummary, prepare


def run(root: Path, cache: Path, **arguments: object) -> PreparationSummary:
    return prepare(root, "folder", cache, **{"size": 16, "workers": 2, "progress": False, **arguments})  # type: ignore[arg-type]


def rows(cache: Path) -> dict[str, ManifestRow]:
    return {row.clip_id: row for row in read_manifest(cache / "manifest.csv")}
