"""`make real-faces` keeps to the corpus that it began with."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def make(target: str, **variables: object) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    given = [f"{name}={value}" for name, value in variables.items()]
    command = ["make", "--no-print-directory", target, *given]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("size", ["REAL", "REAL_GPU"])
def test_another_corpus_does_not_get_the_first_ones_faces(size: str, tmp_path: Path) -> None:
    first, other, runs = tmp_path / "first", tmp_path / "other", tmp_path / "runs"
    for folder in (first, other, runs):
        folder.mkdir()
    prepared = tmp_path / "prepared" / "cache" / "manifest.csv"
    prepared.parent.mkdir(parents=True)
    prepared.write_text("clip_id\n")
    folders = {"REAL": tmp_path / "prepared", "REAL_GPU": tmp_path / "none"} | {size: runs}
    if size == "REAL":
        (runs / "cache").mkdir()
        (runs / "cache" / "manifest.csv").write_text("clip_id\n")
    assert make("real-faces-corpus", CORPUS=other, **folders).returncode == 0  # nothing is prepared yet
    (runs / "corpus.txt").write_text(f"{first}\n")
    assert make("real-faces-corpus", CORPUS=first, **folders).returncode == 0
    assert make("real-faces-corpus", CORPUS=f"{other}/../first/", **folders).returncode == 0
    assert make("real-faces-corpus", **folders).returncode == 0
    for target in ("real-faces-corpus", f"{runs}/cache/manifest.csv"):
        refused = make(target, CORPUS=other, WEIGHTS=tmp_path, INSTALLED=first, **folders)
        assert refused.returncode == 2
        assert f"{runs} is of the corpus {first}, got CORPUS='{other}'" in refused.stderr
    assert (runs / "cache").exists() == (size == "REAL")


def test_what_is_missing_is_said_before_anything_is_installed(tmp_path: Path) -> None:
    folders = {"REAL": tmp_path / "runs", "INSTALLED": tmp_path / "installed"}
    for variables in ({}, {"CORPUS": tmp_path}, {"CORPUS": tmp_path / "no", "WEIGHTS": tmp_path}):
        refused = make("real-faces", **variables, **folders)
        assert refused.returncode == 2 and "real-faces needs CORPUS=DIR" in refused.stderr, refused.stderr
    assert not list(tmp_path.iterdir())


def test_a_finished_stage_that_is_trained_anew_is_kept_aside(tmp_path: Path) -> None:
    """Its configs are newer, as after a pull; a stage that was stopped before its end has nothing to keep."""
    runs, installed, commands = tmp_path / "runs", tmp_path / "installed", tmp_path / "bin"
    for folder in (runs / "cache", runs / "cpc", installed, commands):
        folder.mkdir(parents=True)
    (runs / "cache" / "manifest.csv").write_text("clip_id\n")
    (commands / "s2v").write_text("#!/bin/sh\necho no such option; exit 2\n")
    (commands / "s2v").chmod(0o755)
    (runs / "cpc" / "last.ckpt").write_text("weights")
    os.utime(runs / "cpc" / "last.ckpt", (0, 0))
    for _ in range(2):  # the second time there is nothing finished, and what is aside stays
        ran = make(f"{runs}/cpc/last.ckpt", REAL=runs, INSTALLED=installed, BIN=commands)
        assert ran.returncode == 2 and "no such option" in ran.stderr, ran.stderr
        assert (runs / "cpc.before" / "last.ckpt").read_text() == "weights"
        assert not (runs / "cpc" / "last.ckpt").exists()
    assert "the old one is in" not in ran.stdout
