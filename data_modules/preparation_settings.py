"""How clips are prepared: what decides the bytes of a cache file."""

import json
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from data_modules.face_crop import load_detector
from data_modules.speech_track import SPEECH_RATE
from s2v.errors import InputError
from s2v.files.file_hash import sha256_of_file

_LONGEST_LIMIT = 1e6
"""Seconds: eleven days; poll(2) takes no more than twice as many."""


@dataclass(frozen=True)
class PreparationSettings:
    """What decides the bytes of a cache file; with others every clip must be made anew."""

    size: int = 128
    """Frames are size x size pixels."""
    fps: int = 25
    crop: str = "none"
    """none, center: the largest central square (all of a square video); face: one box round the face."""
    detector: str = ""
    """YuNet's .onnx file; empty: OpenCV's Haar cascade."""
    min_seconds: float = 1.0
    max_seconds: float = 600.0
    """Longer videos are refused: they want cutting into clips first."""
    max_av_difference: float = 0.5
    """Seconds by which sound and picture may differ in extent before the clip is refused."""
    jpeg_quality: int = 0
    """Frames are stored as JPEG of this quality, 1 to 100; 0: as pixels."""
    detector_sha256: str = ""
    """Of the detector's file: what the cache knows it by, wherever it lies."""

    def as_stored(self) -> dict[str, Any]:
        """What the cache keeps of them; caches made before there was a JPEG cache stay valid."""
        settings = asdict(self)
        settings["detector"] = settings.pop("detector_sha256") or self.detector
        if not self.jpeg_quality:
            del settings["jpeg_quality"]
        return settings

    def key(self) -> str:
        return json.dumps(self.as_stored(), sort_keys=True)

    @classmethod
    def of_key(cls, key: str) -> "PreparationSettings":
        """What `key` came from; settings that another version had are left out."""
        stored, known = json.loads(key), {field.name for field in fields(cls)}
        if re.fullmatch("[0-9a-f]{64}", stored.get("detector", "")):
            stored["detector_sha256"] = stored["detector"]
        return cls(**{name: value for name, value in stored.items() if name in known})

    def unlike(self, other: "PreparationSettings") -> str:
        """Those that `other` has otherwise, as options of `s2v prepare`."""
        others = other._as_options()
        return " ".join(option for option in self._as_options() if option not in others)

    def _as_options(self) -> list[str]:
        plain = {
            name: value
            for name, value in asdict(self).items()
            if name not in ("detector", "detector_sha256", "jpeg_quality")
        }
        detector = f"(SHA-256 {self.detector_sha256[:12]})" if self.detector_sha256 else self.detector
        return [
            *(f"--{name.replace('_', '-')} {value}" for name, value in plain.items()),
            f"--detector {detector}" if detector else "no --detector",
            f"--cache-format jpeg --jpeg-quality {self.jpeg_quality}"
            if self.jpeg_quality
            else "--cache-format raw",
        ]


def checked_settings(
    size: int,
    fps: int,
    crop: str,
    detector: Path | None,
    min_seconds: float,
    max_seconds: float,
    max_av_difference: float,
    jpeg_quality: int,
    time_limit: float,
) -> PreparationSettings:
    """`prepare`'s settings, with the detector's file read.

    Raises:
        InputError: one is out of its range, or the detector's file is missing or damaged.
    """
    if not 8 <= size <= 2048:
        raise InputError(f"a frame size of 8 to 2048 pixels was expected, {size} came")
    if fps < 1 or SPEECH_RATE % fps:
        raise InputError(
            f"fps must divide {SPEECH_RATE} (20, 25, 32, 40, 50), so that a frame is a whole number "
            f"of speech samples; {fps} came"
        )
    if crop not in ("none", "center", "face"):
        raise InputError(f"crop {crop!r} is unknown: none, center or face was expected")
    if detector is not None and crop != "face":
        raise InputError(f"a detector is only used with crop face, not with crop {crop}")
    if not 0 <= min_seconds <= max_seconds:
        raise InputError(
            f"--min-seconds {min_seconds:g} --max-seconds {max_seconds:g}: 0 or more was expected, and the second "
            "no smaller than the first"
        )
    if not max_av_difference >= 0:
        raise InputError(f"--max-av-difference: 0 seconds or more was expected, {max_av_difference:g} came")
    if not 0 < time_limit <= _LONGEST_LIMIT:
        raise InputError(
            f"--time-limit: more than 0 and at most {_LONGEST_LIMIT:,.0f} seconds was expected, {time_limit:g} came"
        )
    if not 0 <= jpeg_quality <= 100:
        raise InputError(f"a JPEG quality of 1 to 100 was expected, {jpeg_quality} came")
    weights = str(Path(detector).absolute()) if detector is not None else ""
    if crop == "face":
        load_detector(weights)
    return PreparationSettings(
        size,
        fps,
        crop,
        weights,
        min_seconds,
        max_seconds,
        max_av_difference,
        jpeg_quality,
        sha256_of_file(weights) if weights else "",
    )
