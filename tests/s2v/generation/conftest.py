from pathlib import Path

import pytest

from tests.s2v.generation.composer_checkpoint import write_composer_checkpoint
from tests.s2v.generation.exports import SPEECH
from tests.s2v.generation.media import write_sound


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_composer_checkpoint(tmp_path_factory.mktemp("checkpoint") / "composer.ckpt"))


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    return write_sound(tmp_path / "speech.wav", SPEECH, 16_000, "pcm_s16le")
