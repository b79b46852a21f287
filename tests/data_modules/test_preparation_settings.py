"""Settings of a preparation: what a cache knows them by, and those that can not be."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data_modules.preparation_settings import PreparationSettings, checked_settings
from s2v.errors import InputError

SETTINGS = PreparationSettings(size=32)


def checked(**settings: Any) -> PreparationSettings:
    usual: dict[str, Any] = {"size": 32, "fps": 25, "crop": "none", "detector": None, "min_seconds": 1.0}
    usual |= {"max_seconds": 600.0, "max_av_difference": 0.5, "jpeg_quality": 0, "time_limit": 60.0}
    return checked_settings(**usual | settings)


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        ("fps must divide 16000", {"fps": 30}),
        ("fps must divide 16000", {"fps": 0}),
        ("8 to 2048 pixels was expected, 4 came", {"size": 4}),
        ("8 to 2048 pixels was expected, 2049 came", {"size": 2049}),
        ("crop 'nose' is unknown", {"crop": "nose"}),
        ("--min-seconds 5 --max-seconds 2: 0 or more", {"min_seconds": 5.0, "max_seconds": 2.0}),
        ("--min-seconds nan", {"min_seconds": float("nan")}),
        (
            "--max-av-difference: 0 seconds or more was expected, nan",
            {"max_av_difference": float("nan")},
        ),
        ("--max-av-difference: 0 seconds or more was expected, -1", {"max_av_difference": -1.0}),
        (
            "--time-limit: more than 0 and at most 1,000,000 seconds was expected, 0 ",
            {"time_limit": 0.0},
        ),
        ("--time-limit: .* nan came", {"time_limit": float("nan")}),
        ("--time-limit: .* inf came", {"time_limit": float("inf")}),
        ("JPEG quality of 1 to 100 was expected, 101 came", {"jpeg_quality": 101}),
        ("no face detector at", {"crop": "face", "detector": Path("none.onnx")}),
        ("only used with crop face", {"detector": Path("none.onnx")}),
    ],
)
def test_what_can_not_be_is_one_line(words: str, settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=words) as raised:
        checked(**settings)
    assert "\n" not in str(raised.value)


def test_what_can_be_is_taken_as_it_is() -> None:
    assert checked() == SETTINGS
    assert checked(size=8, min_seconds=2.0, max_seconds=2.0, time_limit=1e6, jpeg_quality=100) == (
        PreparationSettings(8, min_seconds=2.0, max_seconds=2.0, jpeg_quality=100)
    )
    # the format of caches from before there were two
    assert (
        "jpeg" not in PreparationSettings().key() and '"jpeg_quality": 90' in checked(jpeg_quality=90).key()
    )


def test_a_detector_is_known_by_its_content() -> None:
    here, there, other = (
        replace(SETTINGS, crop="face", detector=path, detector_sha256=digest * 32)
        for path, digest in (("/a/yunet.onnx", "ab"), ("/b/yunet.onnx", "ab"), ("/a/yunet.onnx", "cd"))
    )
    assert here.key() == there.key() != other.key() and "/a" not in here.key()
    assert PreparationSettings.of_key(here.key()).unlike(there) == ""
    assert PreparationSettings.of_key(here.key()).unlike(other) == "--detector (SHA-256 abababababab)"
