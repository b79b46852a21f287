"""What a generated video was made of: in the container's description, and in a JSON file beside the video."""

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from s2v import __version__
from s2v.files.file_hash import sha256_of_file
from s2v.files.whole_file import write_whole_file
from s2v.generation.watermark import MARK_VERSION

OF_ANOTHER_RECORDING = "made of another recording"
_OPTIONS = {
    "model_sha256": "checkpoint",
    "mark": "choice of --no-mark",
    "identity": "--identity",
    "image_sha256": "--image",
}


def sidecar_of(video: Path) -> Path:
    """`talk.mp4` -> `talk.mp4.json`."""
    return video.with_name(video.name + ".json")


@dataclass(frozen=True)
class Provenance:
    """What every video of one export says about its origin, and whether the picture itself says it too."""

    model_sha256: str
    mark: bool
    without_consent: int = 0
    """Speakers that the model was trained on and who had not agreed to it."""
    identity: str = "mean"
    """Which of the recording's windows tell who speaks: `--identity`."""
    image_sha256: str | None = None
    """Of the picture that is animated: `--image`."""

    @property
    def settings(self) -> dict[str, Any]:
        """What makes another video of the same recording."""
        return {
            "model_sha256": self.model_sha256,
            "mark": MARK_VERSION if self.mark else None,
            "identity": self.identity,
            "image_sha256": self.image_sha256,
        }


def describe_origin(provenance: Provenance, speech: Path) -> dict[str, Any]:
    """What is known before a video is made of the recording `speech` (a readable file)."""
    without = provenance.without_consent
    return {
        "synthetic": True,
        "made_by": f"s2v {__version__}",
        "made_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "speech_sha256": sha256_of_file(str(speech)),
        **provenance.settings,
        **({"trained_on_speakers_without_consent": without} if without else {}),
    }


def what_differs(video: Path, speech: Path, provenance: Provenance) -> str | None:
    """In words, how a video that is there is not the one to be made now; None where it is, as far as is known."""
    said = _said_of(video)
    if not said:
        return "of unknown origin (no JSON file beside it is of this very file)"
    if said.get("speech_sha256") != sha256_of_file(str(speech)):
        return OF_ANOTHER_RECORDING
    # older sidecars say nothing of the last two
    others = [key for key, value in provenance.settings.items() if key in said and said[key] != value]
    return f"made with another {' and '.join(_OPTIONS[key] for key in others)}" if others else None


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
