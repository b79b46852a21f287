"""README.md: what it shows in Python runs as it is written."""

import re
from pathlib import Path

import pytest
import torch

from data_modules.synthetic.encode import write_wav
from s2v.generation.export_system import open_system
from s2v.generation.speech_file import SpeechFile
from tests.experiments.combinations import REPOSITORY
from tests.s2v.generation.composer_checkpoint import write_composer_checkpoint
from tests.s2v.generation.networks import speech_like


def test_frames_from_a_program_are_the_exports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, live = re.findall(r"^```python\n(.*?)^```", (REPOSITORY / "README.md").read_text(), re.M | re.S)
    monkeypatch.chdir(tmp_path)
    Path("runs/demo/compose").mkdir(parents=True)
    checkpoint = write_composer_checkpoint(Path("runs/demo/compose/last.ckpt"))
    write_wav(Path("my_voice.wav"), (speech_like(2.03) * 32767).numpy())
    names: dict[str, object] = {}
    exec(clip, names)
    frames = names["frames"]
    assert isinstance(frames, torch.Tensor)
    assert frames.shape == (51, 3, 32, 32) and frames.dtype == torch.uint8
    exported = torch.cat(list(open_system(str(checkpoint), "cpu").frames(SpeechFile("my_voice.wav"))))
    torch.testing.assert_close(frames, exported, atol=1, rtol=0)
    exec(live, names)
    counts = [int(line.split("[")[1].split(",")[0]) for line in capsys.readouterr().out.splitlines()]
    assert sum(counts) == 51 and len(counts) > 1
