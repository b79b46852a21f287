"""Names for the frames that a cache serves, by which what was computed from them is found again."""

import json
from pathlib import Path

from data_modules.clip_cache import read_header
from data_modules.clip_manifest import ManifestRow


def pixel_names(cache_dir: Path, rows: list[ManifestRow]) -> dict[str, str]:
    """Clip id -> a name for its frames: they are the same as long as it is.

    Args:
        cache_dir: folder that `prepare` filled.
        rows: its usable clips, all prepared with the same settings.
    """
    settings = read_header(cache_dir / rows[0].cache_file).settings if rows else {}
    return {row.clip_id: f"{row.sha256} {json.dumps(settings, sort_keys=True)}" for row in rows}
