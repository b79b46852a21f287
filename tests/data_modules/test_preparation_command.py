"""`s2v prepare` from the command line's side: arguments, the summary line, quick imports."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from data_modules.clip_manifest import read_manifest
from data_modules.preparation_command import add_prepare_arguments, run_prepare
from s2v.cli import main
from s2v.errors import InputError
from tests.conftest import REPOSITORY
from tests.dask_processes import start_worker
from tests.data_modules.media import write_clip


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_prepare_arguments(parser)
    return parser.parse_args(arguments)


def test_summary_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip(tmp_path / "corpus" / "ann" / "a.mp4")
    (tmp_path / "corpus" / "ann" / "b.mp4").touch()
    arguments = ("--root", str(tmp_path / "corpus"), "--layout", "folder", "--cache", str(tmp_path / "cache"),
                 "--size", "16", "--workers", "1", "--no-progress")  # fmt: skip
    for before in ("", ", 2 from before"):
        assert run_prepare(parsed(*arguments)) == 0
        assert capsys.readouterr().out == (
            f"2 clips found, 1 ok, 1 refused (zero-byte: 1){before}; "
            f"manifest: {tmp_path / 'cache' / 'manifest.csv'}\n"
        )
    assert [row.speaker for row in read_manifest(tmp_path / "cache" / "manifest.csv")] == ["ann", "ann"]


def test_clips_of_another_corpus_that_leave_the_manifest_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where VoxCeleb2's dev/ and test/ are prepared one after the other into one cache."""
    for part, name in (("dev", "a"), ("dev", "b"), ("test", "c")):
        write_clip(tmp_path / part / "ann" / f"{name}.mp4")
    (tmp_path / "dev" / "ann" / "empty.mp4").touch()
    said = []
    for part in ("dev", "test", "dev"):
        arguments = ("--root", str(tmp_path / part), "--layout", "folder", "--cache", str(tmp_path / "cache"),
                     "--size", "16", "--workers", "1", "--no-progress")  # fmt: skip
        assert run_prepare(parsed(*arguments)) == 0
        said.append(capsys.readouterr().out)
    assert "from before" not in said[0]
    assert (
        f"2 clips in {tmp_path / 'cache'} from before are of no video in {tmp_path / 'test'}, and" in said[1]
    )
    assert "3 from before" in said[2] and "\n1 clips in" in said[2]


def test_no_usable_clip_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        write_clip(tmp_path / "corpus" / "ann" / f"{name}.mp4", 1.2)
    arguments = ["prepare", "--root", str(tmp_path / "corpus"), "--layout", "folder", "--size", "16",
                 "--cache", str(tmp_path / "cache"), "--no-progress"]  # fmt: skip
    assert main([*arguments, "--min-seconds", "5"]) == 2
    assert capsys.readouterr() == (
        "",
        "s2v: error: none of the 2 clips found is usable (too short: 2): "
        f"{tmp_path / 'cache' / 'manifest.csv'} says why of each\n",
    )
    assert len(read_manifest(tmp_path / "cache" / "manifest.csv")) == 2
    assert main(arguments) == 0  # refused ones are nothing to lose
    assert main([*arguments, "--size", "24"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main([*arguments, "--size", "24", "--overwrite"]) == 0
    assert main([*arguments, "--min-seconds", "5", "--max-seconds", "2"]) == 2


OWN_LAYOUT = """
from data_modules.layouts import FoundClip

def find_takes(root):
    return [FoundClip(path.stem, path.name, speaker=path.stem[:3]) for path in root.glob("*.mp4")]
"""


@pytest.mark.parametrize("where", ["processes", "dask"])
def test_a_layout_of_ones_own_in_the_working_folder(
    where: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The `s2v` script's path has no working folder; workers run elsewhere and have none of its modules."""
    for name in ("ann1", "bob1"):
        write_clip(tmp_path / "corpus" / f"{name}.mp4")
    (tmp_path / "mine.py").write_text(OWN_LAYOUT)
    arguments = ["prepare", "--root", "corpus", "--layout", "mine.find_takes", "--cache", "cache", "--size", "16",
                 "--workers", "2", "--no-progress"]  # fmt: skip
    if where == "dask":
        scheduler = request.getfixturevalue("scheduler_file")
        start_worker(request.getfixturevalue("start"), scheduler)
        arguments += ["--dask", str(scheduler)]
    script = f"import sys; sys.path[:] = [{str(REPOSITORY)!r}, *filter(None, sys.path)]\n"
    script += "from s2v.cli import main; sys.exit(main(sys.argv[1:]))"
    ran = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("2 clips found, 2 ok, 0 refused")
    assert [row.speaker for row in read_manifest(tmp_path / "cache" / "manifest.csv")] == ["ann", "bob"]


def test_jpeg_is_an_option(tmp_path: Path) -> None:
    write_clip(tmp_path / "corpus" / "ann" / "a.mp4")
    arguments = ("--root", str(tmp_path / "corpus"), "--layout", "folder", "--size", "64", "--workers", "1",
                 "--no-progress")  # fmt: skip
    sizes = {}
    for name, given in {
        "raw": (),
        "jpeg": ("--cache-format", "jpeg"),
        "coarse": ("--cache-format", "jpeg", "--jpeg-quality", "20"),
    }.items():
        assert run_prepare(parsed(*arguments, "--cache", str(tmp_path / name), *given)) == 0
        sizes[name] = (tmp_path / name / "clips" / "ann" / "a.safetensors").stat().st_size
    assert sizes["raw"] > sizes["jpeg"] > sizes["coarse"]
    for wrong in (("--jpeg-quality", "90"), ("--cache-format", "jpeg", "--jpeg-quality", "0")):
        with pytest.raises(InputError, match="--jpeg-quality"):
            run_prepare(parsed(*arguments, "--cache", str(tmp_path / "wrong"), *wrong))
    assert not (tmp_path / "wrong").exists()


def test_arguments_import_nothing_heavy() -> None:
    code = (
        "import sys, argparse\n"
        "from data_modules.preparation_command import add_prepare_arguments\n"
        "add_prepare_arguments(argparse.ArgumentParser())\n"
        "heavy = {'torch', 'lightning', 'cv2', 'av', 'decord', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )


def test_workers_import_no_torch() -> None:
    modules = "data_modules.clip_preparation, data_modules.preparation_worker"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "False\n"
    )
