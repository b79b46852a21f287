import hashlib
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from unittest.mock import patch

import av
import numpy as np
import pytest
import torch

from s2v.batch import WITHOUT_CONSENT
from s2v.cli import main
from s2v.generation.mp4_writer import COMMENT, write_mp4
from s2v.generation.sidecar import names_this_video
from s2v.generation.speech_file import read_speech
from s2v.generation.streaming import StreamingGenerator, generate_clip
from s2v.modules.composer import ComposerModule
from tests.conftest import REPOSITORY, fill_disk
from tests.s2v.generation.composer_checkpoint import WINDOW_FRAMES
from tests.s2v.generation.exports import SPEECH, export, failure, pictures
from tests.s2v.generation.media import write_silent_video, write_sound


def test_a_recording_becomes_a_video(
    checkpoint: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / "video.mp4"
    assert export(checkpoint, "--speech", speech, "--output", output) == 0
    assert capsys.readouterr().out == f"wrote {output}: 33 frames, 1.32 s\n"
    assert sorted(os.listdir(output.parent)) == ["video.mp4", "video.mp4.json"]
    origin = json.loads((output.parent / "video.mp4.json").read_text())
    assert origin["synthetic"] is True and origin["mark"] == 1
    for key, file in [("model_sha256", checkpoint), ("speech_sha256", speech), ("video_sha256", output)]:
        assert origin[key] == hashlib.sha256(Path(file).read_bytes()).hexdigest()
    made = datetime.now(timezone.utc) - datetime.fromisoformat(origin["made_at"])
    assert timedelta(seconds=-1) < made < timedelta(minutes=10)
    with av.open(str(output)) as container:
        assert container.metadata["comment"] == COMMENT
        assert json.loads(container.metadata["description"]).items() <= origin.items()
    assert main(["detect", str(output)]) == 0
    assert "mark found" in capsys.readouterr().out
    assert export(checkpoint, "--speech", speech, "--output", output, "--overwrite", "--no-mark") == 0
    assert json.loads((output.parent / "video.mp4.json").read_text())["mark"] is None
    capsys.readouterr()
    assert main(["detect", str(output)]) == 1
    heard = read_speech(output).numpy()
    assert abs(len(heard) - len(SPEECH)) <= 2
    assert np.corrcoef(heard[200:20_000], SPEECH[200:20_000])[0, 1] > 0.95

    composer = ComposerModule.load_from_checkpoint(checkpoint, map_location="cpu", weights_only=True)
    expected = generate_clip(
        composer.representation, composer.generator, read_speech(speech), 33, WINDOW_FRAMES
    )
    write_mp4(tmp_path / "expected.mp4", [expected])
    assert expected.float().std(dim=0).mean() > 0.3  # untrained, it moves a little
    difference = pictures(output).astype(int) - pictures(tmp_path / "expected.mp4")
    assert difference.shape == (33, 32, 32, 3)
    assert np.abs(difference).mean() < 1


def test_a_checkpoint_trained_without_consent_is_used_only_when_told(
    checkpoint: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = torch.load(checkpoint, weights_only=True) | {"CremaD": {WITHOUT_CONSENT: ["1001", "1002"]}}
    torch.save(content, tmp_path / "some.ckpt")
    arguments = [str(tmp_path / "some.ckpt"), "--speech", speech, "--output", tmp_path / "new" / "a.mp4"]
    assert export(*arguments) == 2
    assert "was trained on 2 speakers who had not agreed to it (1001, 1002)" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    assert export(*arguments, "--without-consent") == 0
    origin = json.loads((tmp_path / "new" / "a.mp4.json").read_text())
    assert origin["trained_on_speakers_without_consent"] == 2


KILLED_BEFORE_NAMING = """
import os, signal, sys
from s2v.cli import main

def replace(old, new, rename=os.replace):
    if str(new).endswith(".mp4"):
        os.kill(os.getpid(), signal.SIGKILL)
    rename(old, new)

os.replace = replace
main(sys.argv[1:])
"""


def test_a_kill_leaves_no_video_without_its_sidecar(checkpoint: str, speech: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "video.mp4"
    arguments = [
        "--checkpoint",
        checkpoint,
        "--device",
        "cpu",
        "--speech",
        str(speech),
        "--output",
        str(output),
    ]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_BEFORE_NAMING, "export", *arguments], cwd=REPOSITORY
    )
    assert killed.returncode == -signal.SIGKILL
    names = os.listdir(output.parent)
    assert "video.mp4.json" in names and "video.mp4" not in names
    assert main(["export", *arguments]) == 0
    assert names_this_video(output)


def test_sigterm_leaves_nothing_half_written(
    checkpoint: str, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def stopped(*arguments: object) -> None:
        assert len(list(tmp_path.glob(".*.partial"))) == 1  # the whole video has yet to get its name
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("s2v.generation.sidecar.write_sidecar", stopped)
    with pytest.raises(SystemExit) as ended:
        export(checkpoint, "--speech", speech, "--output", tmp_path / "video.mp4")
    assert ended.value.code == 143 and signal.getsignal(signal.SIGTERM) is before
    assert not [*tmp_path.glob("*.mp4"), *tmp_path.glob(".*.partial")]


def test_where_the_sidecar_cannot_be_written_there_is_no_video(
    checkpoint: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "new" / "video.mp4.json").mkdir(parents=True)
    assert export(checkpoint, "--speech", speech, "--output", tmp_path / "new" / "video.mp4") == 1
    assert "failed: " in capsys.readouterr().err
    assert os.listdir(tmp_path / "new") == ["video.mp4.json"]


def test_an_output_that_nobody_reads_is_no_fault_of_the_videos(
    checkpoint: str, speech: Path, tmp_path: Path
) -> None:
    shutil.copy(speech, tmp_path / "more.wav")
    files = ["--speech", str(tmp_path / "*.wav"), "--output", str(tmp_path / "made")]
    process = subprocess.Popen(
        [sys.executable, "-m", "s2v", "export", "--checkpoint", checkpoint, "--device", "cpu", *files],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read().strip() == ""  # rich ends its bar with a newline
    assert process.wait() == 141
    assert sorted(os.listdir(tmp_path / "made")) == ["more.mp4", "more.mp4.json"]


def test_a_name_that_leaves_no_room_for_the_json_files_is_refused_before_the_work(
    checkpoint: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """255 bytes, of which letters may take several."""
    fits, too_long = "\N{LATIN SMALL LETTER U WITH DIAERESIS}" * 123, "a" * 247
    (tmp_path / "rec").mkdir()
    for name in (fits, too_long):
        shutil.copy(speech, tmp_path / "rec" / f"{name}.wav")
    assert export(checkpoint, "--speech", tmp_path / "rec", "--output", tmp_path / "out") == 1
    assert sorted(os.listdir(tmp_path / "out")) == [f"{fits}.mp4", f"{fits}.mp4.json"]
    line = failure(capsys.readouterr().err)
    assert f"{too_long}.mp4: the name of the JSON file beside it has 256 bytes, and 255 fit; rename" in line
    # nothing is made of it, not even the folder
    assert export(checkpoint, "--speech", speech, "--output", tmp_path / "new" / f"{too_long}.mp4") == 1
    assert not (tmp_path / "new").exists()


def test_videos_none_of_which_can_be_written_are_told_before_anything_is_loaded(
    checkpoint: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data.yaml").touch()
    folders = [tmp_path / "data.yaml", *[Path("/proc/s2v")][: Path("/proc").is_dir()]]
    with patch("s2v.generation.export_system.open_system", side_effect=AssertionError("loaded")):
        for folder in folders:
            assert export(checkpoint, "--speech", speech, "--output", folder / "video.mp4") == 2
            assert capsys.readouterr().err.startswith(f"s2v: error: --output {folder}: ")


def test_a_video_that_cannot_be_written_is_named_with_its_recording(
    checkpoint: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other is made."""
    for name in ("one", "two"):
        (tmp_path / "rec" / name).mkdir(parents=True)
        shutil.copy(speech, tmp_path / "rec" / name / "speech.wav")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "one").touch()
    assert export(checkpoint, "--speech", tmp_path / "rec", "--output", tmp_path / "out") == 1
    line = failure(capsys.readouterr().err)
    folder = tmp_path / "out" / "one"
    assert line == (
        f"{tmp_path}/rec/one/speech.wav can't be made into {folder}/speech.mp4: the folder {folder}: expected a "
        f"folder, but {folder} is a file; choose another --output"
    )
    assert (tmp_path / "out" / "two" / "speech.mp4").is_file()


def test_a_full_disk_is_named_with_the_recording(
    checkpoint: str, speech: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill_disk(small_disk, 20_000)
    output = small_disk / "video.mp4"
    assert export(checkpoint, "--speech", speech, "--output", output) == 1
    assert failure(capsys.readouterr().err) == (
        f"{speech} can't be made into {output}: the disk is full; make room, or choose another --output"
    )
    assert os.listdir(small_disk) == ["filler"]


@pytest.mark.parametrize(
    ("suffix", "codec", "rate", "layout"),
    [
        ("flac", "flac", 44_100, "stereo"),
        ("mp3", "libmp3lame", 48_000, "mono"),
        ("m4a", "aac", 44_100, "stereo"),
    ],
)
def test_other_formats(
    checkpoint: str, tmp_path: Path, suffix: str, codec: str, rate: int, layout: str
) -> None:
    tone = 0.2 * np.sin(np.arange(round(1.013 * rate)) / 20)
    samples = np.stack([tone] * (2 if layout == "stereo" else 1))
    path = write_sound(tmp_path / f"a.{suffix}", samples, rate, codec, layout)
    assert export(checkpoint, "--speech", path, "--output", tmp_path / "a.mp4", "--identity", "first") == 0
    assert len(pictures(tmp_path / "a.mp4")) == 25
    assert len(read_speech(tmp_path / "a.mp4")) == pytest.approx(1.013 * 16_000, abs=2)


def test_a_viewer_hears_what_was_recorded(checkpoint: str, tmp_path: Path) -> None:
    """Both channels of it, and what lies above the 8 kHz of the network's speech, in step with the frames."""
    time = np.arange(2 * 44_100) / 44_100
    left = 0.3 * np.sin(2 * np.pi * 12_000 * time) * (time >= 1)
    right = 0.3 * np.sin(2 * np.pi * 500 * time) * (time < 1)
    path = write_sound(tmp_path / "a.wav", np.stack([left, right]), 44_100, "pcm_s16le", "stereo")
    assert export(checkpoint, "--speech", path, "--output", tmp_path / "a.mp4") == 0
    with av.open(str(tmp_path / "a.mp4")) as container:  # decord 0.6 mixes two channels up
        sound = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
        assert container.streams.audio[0].rate == 48_000
    assert sound.shape[1] == pytest.approx(2 * 48_000, abs=1_024)  # AAC: frames of 1,024
    power = np.square(sound[:, : 19 * 4_800].reshape(2, 19, 4_800)).mean(axis=2)
    np.testing.assert_allclose(power[0], [0] * 10 + [0.045] * 9, atol=2e-3)
    np.testing.assert_allclose(power[1], [0.045] * 10 + [0] * 9, atol=2e-3)


def test_a_videos_track_is_speech_too(checkpoint: str, speech: Path, tmp_path: Path) -> None:
    assert export(checkpoint, "--speech", speech, "--output", tmp_path / "a.mp4", "--threads", "1") == 0
    assert export(checkpoint, "--speech", tmp_path / "a.mp4", "--output", tmp_path / "b.mp4") == 0
    assert len(pictures(tmp_path / "b.mp4")) == 33
    torch.set_num_threads(1)


def test_a_silent_recording_is_a_video_with_a_warning(
    checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).normal(0, 1, 16_000).astype(np.float32)
    (tmp_path / "rec").mkdir()
    for name, sound in {"zero": 0 * noise, "hiss": 5e-4 * noise, "quiet": 5e-3 * noise}.items():
        write_sound(tmp_path / "rec" / f"{name}.wav", sound, 16_000, "pcm_s16le")
    assert export(checkpoint, "--speech", tmp_path / "rec", "--output", tmp_path / "out") == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == "3 written, 0 kept, 0 failed"
    warnings = [line for line in said.err.splitlines() if "warning" in line]
    assert len(warnings) == 2
    for line, name in zip(warnings, ["hiss", "zero"], strict=True):
        assert f"{name}.wav is silent (no second of it is louder than -60 dBFS)" in line


def test_sound_that_a_wav_header_leaves_out_is_told(
    checkpoint: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytearray(speech.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", 16_000)  # half a second, of an earlier moment of the recording
    speech.write_bytes(content)
    assert export(checkpoint, "--speech", speech, "--output", tmp_path / "a.mp4") == 0
    said = capsys.readouterr()
    assert "13 frames" in said.out or "12 frames" in said.out
    (line,) = [line for line in said.err.splitlines() if "warning" in line]
    assert f"goes on for {2 * len(SPEECH) - 16_000:,} bytes where its header ends the sound" in line


def test_a_recording_that_is_cut_short_is_told(
    checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A download that stopped, whose beginning has the length of all."""
    noise = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
    whole = write_sound(tmp_path / "whole.flac", noise, 16_000, "flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    speech = [tmp_path / "cut.flac", tmp_path / "whole.flac"]
    assert export(checkpoint, "--speech", *speech, "--output", tmp_path / "out") == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert "cut.flac is cut short or damaged: 0." in line and "s of the 2.00 s that it states" in line


def test_one_bad_recording_does_not_stop_the_rest(
    checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rec" / "sub").mkdir(parents=True)
    for name in ["good.wav", "sub/[bold]also good.wav", "there.wav"]:
        write_sound(tmp_path / "rec" / name, SPEECH[:8_000], 16_000, "pcm_s16le")
    (tmp_path / "rec" / "bad.mp3").write_text("no sound at all\n" * 40)
    (tmp_path / "rec" / "empty.wav").touch()
    write_silent_video(tmp_path / "rec" / "mute.mp4")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "there.mp4").touch()

    assert export(checkpoint, "--speech", tmp_path / "rec", "--output", tmp_path / "out") == 1
    said = capsys.readouterr()
    made = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.mp4"))
    assert made == ["good.mp4", "sub/[bold]also good.mp4", "there.mp4"]
    assert said.out.splitlines()[0] == (
        "kept 1 of 6 videos, already there, 1 of them of unknown origin (no JSON file beside it is of this very file) "
        "(--overwrite makes them anew)"
    )
    assert said.out.splitlines()[-1] == "2 written, 1 kept, 3 failed"
    failures = [line for line in said.err.splitlines() if line.startswith("failed: ")]
    assert len(failures) == 3
    for line, name in zip(failures, ["bad.mp3", "empty.wav", "mute.mp4"], strict=True):
        assert str(tmp_path / "rec" / name) in line

    (tmp_path / "rec" / "bad.mp3").unlink()
    (tmp_path / "rec" / "empty.wav").unlink()
    (tmp_path / "rec" / "mute.mp4").unlink()
    assert export(checkpoint, "--speech", tmp_path / "rec", "--output", tmp_path / "out") == 0
    assert capsys.readouterr().out.startswith(
        "kept 3 of 3 videos, already there, 1 of them of unknown origin ("
    )


def test_wrong_checkpoints_are_one_line(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.ckpt").touch()
    (tmp_path / "text.ckpt").write_text("hello")
    (tmp_path / "lfs.ckpt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    torch.save({"state_dict": {"student.weight": torch.zeros(2)}}, tmp_path / "other.ckpt")
    torch.save([1, 2], tmp_path / "list.ckpt")
    torch.save(
        {"state_dict": {"representation.x": torch.zeros(1), "generator.x": torch.zeros(1)}},
        tmp_path / "foreign.ckpt",
    )
    torch.save({"state_dict": {}, "code": subprocess.Popen}, tmp_path / "code.ckpt")
    for name, words in {
        "missing.ckpt": "no file",
        ".": "is a folder",
        "empty.ckpt": "0 bytes",
        "text.ckpt": "is no checkpoint",
        "lfs.ckpt": "git lfs pull",
        "other.ckpt": "holds student",
        "list.ckpt": "no state_dict",
        "foreign.ckpt": "can't be loaded as ComposerModule",
        "code.ckpt": "no readable checkpoint",
    }.items():
        path = tmp_path / name
        assert export(str(path), "--speech", speech, "--output", tmp_path / "a.mp4") == 2, name
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and error.startswith("s2v: error: ")
        assert words in error and str(path) in error
    assert not (tmp_path / "a.mp4").exists()


def test_wrong_arguments_are_one_line(
    checkpoint: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, words in [
        (["--speech", tmp_path / "none.wav", "--output", tmp_path / "a.mp4"], "none.wav"),
        (["--speech", speech, "--output", speech], "videos are MP4"),
        (["--speech", speech, "--output", tmp_path / "a.mp4", "--threads", "0"], "--threads"),
        (["--speech", speech, "--output", tmp_path / "a.mp4", "--threads", "100000"], "1 to 1024"),
        (["--speech", speech], "--output"),
    ]:
        assert export(checkpoint, *arguments) == 2  # type: ignore[misc]
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and words in error


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_a_device(
    checkpoint: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "export",
        "--checkpoint",
        checkpoint,
        "--speech",
        str(speech),
        "--output",
        str(tmp_path / "a.mp4"),
    ]
    assert main([*arguments, "--device", "cuda"]) == 2
    assert "--device cpu" in capsys.readouterr().err
    assert main([*arguments, "--device", "auto"]) == 0


def test_help_needs_no_network_library() -> None:
    code = (
        "import sys; from s2v.cli import main\n"
        "try: main(['export', '--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'av', 'lightning', 'rich'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--identity" in done.stdout


def test_a_composers_own_networks_need_no_lightning(checkpoint: str, speech: Path, tmp_path: Path) -> None:
    """Start-up: Lightning and what it imports take twice as long as PyTorch."""
    code = (
        "import sys; from s2v.cli import main\n"
        f"assert main(['export', '--checkpoint', {checkpoint!r}, '--speech', {str(speech)!r},"
        f" '--output', {str(tmp_path / 'a.mp4')!r}, '--device', 'cpu']) == 0\n"
        "assert not {'lightning', 'torchmetrics', 'torchvision', 'jsonargparse'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert (tmp_path / "a.mp4").exists()


def test_memory_that_is_full_fails_one_recording(
    checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = StreamingGenerator.frames
    calls = []

    def second_is_too_much(self: StreamingGenerator, *arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return frames(self, *arguments)

    monkeypatch.setattr(StreamingGenerator, "frames", second_is_too_much)
    for name in "abc":
        write_sound(tmp_path / "rec" / f"{name}.wav", SPEECH, 16_000, "pcm_s16le")
    assert export(checkpoint, "--speech", tmp_path / "rec", "--output", tmp_path / "out") == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == "2 written, 0 kept, 1 failed"
    assert "b.wav can't be made into" in said.err and "memory is full; end what else uses it" in said.err
    assert sorted(os.listdir(tmp_path / "out")) == ["a.mp4", "a.mp4.json", "c.mp4", "c.mp4.json"]


def test_diverged_and_damaged_checkpoints_make_no_videos(
    checkpoint: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = torch.load(checkpoint, weights_only=True)
    weight = content["state_dict"]["generator.frame_decoder.to_rgb.0.weight"]
    intact = weight.clone()
    weight[0, 0, 0, 0] = float("nan")
    torch.save(content, tmp_path / "diverged.ckpt")
    assert export(str(tmp_path / "diverged.ckpt"), "--speech", speech, "--output", tmp_path / "a.mp4") == 2
    assert (
        "not finite in generator.frame_decoder.to_rgb.0.weight: its training diverged"
        in capsys.readouterr().err
    )
    rotten = bytearray(Path(checkpoint).read_bytes())
    at = rotten.index(intact.numpy().tobytes())
    rotten[at + 2] ^= 0x10
    (tmp_path / "rotten.ckpt").write_bytes(rotten)
    assert export(str(tmp_path / "rotten.ckpt"), "--speech", speech, "--output", tmp_path / "a.mp4") == 2
    assert "rotten.ckpt is damaged (" in capsys.readouterr().err
    assert not (tmp_path / "a.mp4").exists()
