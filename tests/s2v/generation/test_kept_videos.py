"""What lies where a video is to be made: kept and said to be so, or in its way."""

import shutil
from pathlib import Path

import pytest
import torch

from tests.s2v.generation.exports import SPEECH, export, failure, pictures
from tests.s2v.generation.media import write_sound


def test_existing_videos_are_kept_unless_told(
    checkpoint: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "a.mp4"
    output.write_bytes(b"mine")
    assert export(checkpoint, "--speech", speech, "--output", output) == 0
    assert output.read_bytes() == b"mine"
    assert f"kept {output}, already there, of unknown origin" in capsys.readouterr().out
    assert export(checkpoint, "--speech", speech, "--output", output, "--overwrite") == 0
    assert len(pictures(output)) == 33
    other = shutil.copy(checkpoint, tmp_path / "other.ckpt")
    content = torch.load(other, weights_only=True)
    torch.save({**content, "global_step": 7}, other)
    capsys.readouterr()
    for model, said in ((checkpoint, ""), (str(other), ", made with another checkpoint")):
        assert export(model, "--speech", speech, "--output", output) == 0
        expected = f"kept {output}, already there{said} (--overwrite makes them anew)\n"
        assert capsys.readouterr().out == expected


def test_a_video_of_another_recording_is_neither_kept_nor_lost(
    checkpoint: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    other = write_sound(tmp_path / "other" / "speech.wav", SPEECH[::-1], 16_000, "pcm_s16le")
    assert export(checkpoint, "--speech", speech, "--output", out) == 0
    before = (out / "speech.mp4").read_bytes()
    capsys.readouterr()
    assert export(checkpoint, "--speech", other, "--output", out) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"failed: {other} can't be made into {out / 'speech.mp4'}: that is made")
    assert (out / "speech.mp4").read_bytes() == before
    third = write_sound(tmp_path / "third.wav", SPEECH, 16_000, "pcm_s16le")
    assert export(checkpoint, "--speech", other, third, "--output", out) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 written, 0 kept, 1 failed"
    assert export(checkpoint, "--speech", other, "--output", out, "--overwrite") == 0
    assert (out / "speech.mp4").read_bytes() != before


def test_a_kept_video_that_was_made_otherwise_says_so(
    checkpoint: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "a.mp4"
    assert export(checkpoint, "--speech", speech, "--output", output) == 0
    capsys.readouterr()
    assert export(checkpoint, "--speech", speech, "--output", output, "--no-mark", "--identity", "first") == 0
    said = ", made with another choice of --no-mark and --identity (--overwrite"
    assert said in capsys.readouterr().out


def test_a_folder_in_a_videos_place_is_no_video_that_is_kept(
    checkpoint: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out" / "speech.mp4").mkdir(parents=True)
    (tmp_path / "out" / "speech.mp4.json").write_text('{"synthetic": true}')
    assert export(checkpoint, "--speech", speech, "--output", tmp_path / "out") == 1
    said = capsys.readouterr()
    assert "speech.mp4 is a folder" in failure(said.err)
    assert said.out == "0 written, 0 kept, 1 failed\n"
