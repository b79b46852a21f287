from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BuildOnce
from tests.s2v.modules.small_modules import write_teachers


@pytest.fixture(scope="session")
def teachers_dir(build_once: BuildOnce) -> Path:
    """A folder with `identity.ckpt` and `emotion.ckpt`, trained on the small faces. Not to be written to."""
    return build_once("small_teachers", write_teachers)


@pytest.fixture(scope="session")
def teachers(teachers_dir: Path) -> dict[str, Any]:
    """The two teachers as DistillModule's arguments."""
    return {
        "identity_teacher": str(teachers_dir / "identity.ckpt"),
        "emotion_teacher": str(teachers_dir / "emotion.ckpt"),
    }


@pytest.fixture(scope="session")
def face_file(teachers_dir: Path) -> str:
    """The identity teacher, a VGGFace: a composer's `feature_network`."""
    return str(teachers_dir / "identity.ckpt")
