"""What a generated video was made of: in the container's description, and in a JSON file beside the video."""

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from s2v import __version__
from s2v.files.file_hash import sha256_of_file
from s2v.files.whole_file import write_whole_file
from s2v.generation.provenance_mark import MARK_VERSION


def sidecar_of(video: Path) -> Path:
    """`talk.mp4` -> `talk.mp4.json`."""
    return video.with_name(video.name + ".json")


def describe_origin(
    model_sha256: str, speech: Path, marked: bool, without_consent: int = 0
) -> dict[str, Any]:
    """What is known before a video is made of the recording `speech` (a readable file).

    `without_consent`: of the speakers the model was trained on, how many are known not to have agreed.
    """
    return {
        "synthetic": True,
        "made_by": f"s2v {__version__}",
        "made_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "model_sha256": model_sha256,
        "speech_sha256": sha256_of_file(str(speech)),
        "mark": MARK_VERSION if marked else None,
        **({"trained_on_speakers_without_consent": without_consent} if without_consent else {}),
    }


def write_sidecar(video: Path, origin: dict[str, Any], finished: Path) -> None:
    """Write `origin` and the video's own hash beside it, whole or not at all.

    `finished` is the video's file before it gets its name: with the sidecar first, a kill leaves no video without.
    """
    content = {**origin, "video": video.name, "video_sha256": sha256_of_file(str(finished))}
    text = json.dumps(content, indent=2) + "\n"
    write_whole_file(sidecar_of(video), text.encode("utf-8", "surrogateescape"))


def names_this_video(video: Path) -> bool:
    """Whether there is a sidecar that says so of this very file, by its hash."""
    return bool(_said_of(video))


def model_of(video: Path) -> str | None:
    """SHA-256 of the checkpoint that made a video, as its sidecar says; None where none says so of this very file."""
    return _said_of(video).get("model_sha256")


def _said_of(video: Path) -> dict[str, Any]:
    """What the sidecar says of this very file, by its hash; nothing where there is none."""
    try:
        content = json.loads(sidecar_of(video).read_text(encoding="utf-8", errors="surrogateescape"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict) or content.get("synthetic") is not True:
        return {}
    return content if content.get("video_sha256") == sha256_of_file(str(video)) else {}
