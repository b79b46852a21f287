"""What `s2v doctor` says of good and bad machines."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from s2v.cli import main
from s2v.doctor import check_cache, check_disk, check_media, check_python, check_wandb, check_weights
from tests.conftest import REPOSITORY


def test_a_working_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 and all(line.split()[0] in ("ok", "warning") for line in lines)


def test_a_machine_without_torch_and_decoder(tmp_path: Path) -> None:
    for package in ("torch", "decord"):
        (tmp_path / f"{package}.py").write_text(f"raise ImportError('lib{package}.so: cannot open')")
    done = subprocess.run(
        [sys.executable, "-m", "s2v", "doctor"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{REPOSITORY}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    lines = {line.split()[1].rstrip(":"): line for line in done.stdout.splitlines()}
    assert (
        lines["torch"] == "wrong   torch: does not work (libtorch.so: cannot open) -> make distclean install"
    )
    assert "libtorch.so: cannot open" in lines["devices"] and lines["devices"].endswith(
        "-> make distclean install"
    )
    assert "libdecord.so: cannot open" in lines["decoder"] and lines["decoder"].endswith("-> make install")
    assert lines["Python"].startswith("ok") and lines["disk"].split()[0] in ("ok", "warning")


def test_a_python_that_is_too_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    check = check_python()
    assert check.state == "wrong" and check.mend == "make distclean install PYTHON=python3.11"


def test_a_disk_with_little_room(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:  # left again before it is unmounted
        patch.chdir(small_disk)
        check = check_disk()
    assert (check.state, check.found) == ("warning", "0.0 GiB free, 10 are wise") and check.mend


@pytest.mark.parametrize(
    ("content", "found", "mend"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git-LFS pointer", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "web page", "direct link"),
        (b"", "empty", "download it again"),
    ],
)
def test_weights_that_are_none(
    content: bytes, found: str, mend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    check = check_weights(path)
    assert check.state == "wrong" and found in check.found and mend in check.mend
    assert main(["doctor", "--weights", str(path)]) == 1
    assert main(["doctor", "--weights", str(path), "--weights", __file__]) == 1  # each counts
    assert f"-> {check.mend}" in capsys.readouterr().out


def test_weights_with_a_flipped_bit(tmp_path: Path) -> None:
    torch.save({"a": torch.arange(1000)}, path := tmp_path / "w.pth")
    assert check_weights(path).state == "ok"
    data = path.read_bytes()
    place = data.index(torch.arange(1000).numpy().tobytes())
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    check = check_weights(path)
    assert check.state == "wrong" and "fails its checksum" in check.found and check.mend == "copy it again"


def test_a_cache_with_a_flipped_bit(crema_d_cache: Path, tmp_path: Path) -> None:
    assert check_cache(crema_d_cache).state == "ok"
    copy = shutil.copytree(crema_d_cache, tmp_path / "cache")
    for clip in copy.rglob("*.safetensors"):
        data = bytearray(clip.read_bytes())
        data[-1] ^= 1
        clip.write_bytes(data)
    assert "checksums" in check_cache(copy).found
    none = check_cache(tmp_path / "none")
    assert none.found.count("s2v prepare") == 1 and not none.mend  # once


def test_a_clip_that_was_changed_is_looked_at_whichever_it_is(
    crema_d_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sample of some would not always have it."""
    monkeypatch.setattr("s2v.doctor._SAMPLE", 0)
    copy = shutil.copytree(crema_d_cache, tmp_path / "cache")
    clips = sorted(copy.rglob("*.safetensors"))
    os.utime(clips[0])
    assert check_cache(copy).state == "ok" and "1 read whole" in check_cache(copy).found
    data = bytearray(clips[-1].read_bytes())
    data[-1] ^= 1
    clips[-1].write_bytes(data)
    assert "checksums" in check_cache(copy).found


def test_codecs_and_disk() -> None:
    assert check_media().state == "ok"
    assert "GiB free" in check_disk().found


def test_wandb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert check_wandb().state == "ok"  # tests run offline
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    assert check_wandb().mend == "wandb login"
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert check_wandb().state == "ok"
