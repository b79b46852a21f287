import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import s2v
from s2v.cli import COMMANDS, TRAINING, main
from s2v.errors import one_line
from s2v.files.whole_file import whole_file
from s2v.nearest_name import did_you_mean
from tests.conftest import REPOSITORY


def test_help_lists_every_command_at_once_and_imports_no_torch() -> None:
    probe = (
        "import atexit, sys; from s2v.cli import main; heavy = {'torch', 'numpy', 'lightning'};"
        "atexit.register(lambda: print(heavy & set(sys.modules))); main(['--help'])"
    )
    started = time.monotonic()
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert time.monotonic() - started < 5  # 0.1 s on an idle machine
    assert result.returncode == 0
    for name in (*TRAINING, *COMMANDS):
        assert f"\n  {name} " in result.stdout
    assert result.stdout.rstrip().endswith("set()")


def test_python_m_s2v_is_the_command_and_tells_its_version() -> None:
    result = subprocess.run([sys.executable, "-m", "s2v", "--version"], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, f"s2v {s2v.__version__}\n")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_of_a_command_has_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main([*name.split(), "--help"])
    assert exit.value.code == 0
    text = capsys.readouterr().out
    assert f"example:\n  s2v {name} " in text and "?." not in text


def test_cached_targets_still_take_the_teachers(capsys: pytest.CaptureFixture[str]) -> None:
    """A fit finds them by a hash of the teachers' weights."""
    with pytest.raises(SystemExit):
        main(["cache-targets", "--help"])
    assert "stage 1 then loads the teachers, but does not run them" in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_an_example_is_made_of_options_there_are(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*name.split(), "--help"])
    text = capsys.readouterr().out
    options, example = text.split("example:")
    for word in example.split():
        if word.startswith("--"):
            assert f"  {word} " in options


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ("fti", "unknown command 'fti': did you mean fit?"),
        ("qqqq", "unknown command 'qqqq' (s2v --help lists them)"),
        ("--verion", "unknown option --verion: did you mean --version?"),
        ("synthesize --output x --speaker 3", "unknown option --speaker: did you mean --speakers?"),
        ("synthesize --output x --size large", "argument --size: invalid int value: 'large'"),
        ("synthesize", "the following arguments are required: --output"),
        ("synthesize --output x --speakers 0", "speakers must be from 1 to 9000, not 0"),
        ("synthesize --output x --seed -1", "seed must be 0 or more, not -1"),
        (
            "study analyze x --key y --least-seconds nan",
            "--wrong-checks and --least-seconds: expected 0 or more",
        ),
        ("study", "study what? (there are study analyze, study create)"),
        ("study crate --seed 1", "unknown command 'study crate': did you mean create?"),
        ("study create --systems a --real x --output y", "--systems: expected NAME=DIR, got 'a'"),
        ("study create --systems a=x --real x --output y", "no folder x: expected the videos of a"),
        ("prepare --root nowhere --layout crema_d --cache x", "nowhere"),
    ],
)
def test_bad_input_is_one_line_on_stderr_and_status_2(
    args: str, line: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(args.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("s2v: error: ") and err.count("\n") == 1
    assert line in err


@pytest.mark.parametrize(
    "args",
    [
        ["prepare", "--root", "", "--layout", "folder", "--cache", "c"],
        ["prepare", "--root", "r", "--layout", "folder", "--cache="],
        ["score", "--real", "r", "--generated", ""],
        ["detect", ""],
    ],
)
def test_an_empty_path_is_not_the_current_folder(
    args: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(args) == 2
    assert "expected a path, but it is empty" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_without_a_command_help_is_shown_and_the_status_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "commands:" in capsys.readouterr().out


@pytest.mark.parametrize(
    "args", ["--help", "synthesize --output {} --speakers 1 --clips-per-speaker 1 --size 32 --workers 1"]
)
def test_a_reader_who_leaves_early_gets_no_traceback(args: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "s2v", *args.format(tmp_path).split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 141


def ended(command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """A line of a shell's, with s2v as `s2v`."""
    shell = ["bash", "-c", f's2v() {{ "{sys.executable}" -m s2v "$@"; }}; {command}']
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **environment}
    return subprocess.run(shell, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_is_full_is_one_line(unbuffered: str) -> None:
    result = ended("s2v completion bash > /dev/full", PYTHONUNBUFFERED=unbuffered)
    assert result.returncode == 2
    assert result.stderr == "s2v: error: standard output can't be written: No space left on device\n"
    result = ended("s2v fti > /dev/full", PYTHONUNBUFFERED=unbuffered)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1) and "did you mean fit?" in result.stderr


@pytest.mark.parametrize("closed", [">&-", "<&-", ">&- 2>&-", ">&- 2>&- <&-"])
def test_what_is_printed_where_streams_are_closed_is_in_no_file(closed: str, tmp_path: Path) -> None:
    """The first file that is opened would take the closed stream's number."""
    code = (
        "import os, s2v.doctor\n"
        "from s2v.cli import main\n"
        "def run(args):\n"
        "    with open('made', 'w') as file:\n"
        "        os.write(1, b'from a library'), os.write(2, b'from a library'), print('from Python')\n"
        "        file.write('whole')\n"
        "s2v.doctor.run_doctor = run\n"
        "raise SystemExit(main(['doctor']))\n"
    )
    (tmp_path / "code.py").write_text(code)
    result = ended(f'cd "{tmp_path}" && "{sys.executable}" code.py {closed}')
    assert result.returncode == 0
    assert (tmp_path / "made").read_text() == "whole"


def test_a_letter_that_the_output_lacks_is_written_otherwise(tmp_path: Path) -> None:
    """The work is done by then."""
    options = "--speakers 1 --clips-per-speaker 1 --size 32 --workers 1"
    result = ended(f'cd "{tmp_path}" && s2v synthesize --output ä {options}', PYTHONIOENCODING="ascii")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "1 clips of 1 speakers in \\xe4\n"


def test_arrows_and_names_in_the_c_locale(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(
        "import os, s2v.doctor\n"
        "from s2v.cli import main\n"
        "s2v.doctor.run_doctor = lambda args: print('\\u2191', os.fsdecode('ä'.encode()))\n"
        "raise SystemExit(main(['doctor']))\n"
    )
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": ""}
    result = ended(f'"{sys.executable}" "{tmp_path}/code.py"', **plain)
    assert (result.returncode, result.stdout, result.stderr) == (0, "\u2191 ä\n", "")


def test_an_error_is_one_line_whatever_a_name_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--real", "no\nwhere\x1b[2J", "--generated", "x"]) == 2
    assert capsys.readouterr().err.startswith("s2v: error: no file or folder no\ufffdwhere\ufffd[2J: give")


@pytest.mark.parametrize(
    "args",
    [
        "export --checkpoint {} --speech a.wav --output a.mp4",
        "export --checkpoint sdfa:{} --speech a.wav --output a.mp4",
        "export --checkpoint a.ckpt --speech {} --output a.mp4",
        "export --checkpoint a.ckpt --speech a.wav --output {}.mp4",
        "detect {}",
        "synthesize --output {}/x",
        "prepare --root {} --layout folder --cache c",
    ],
)
def test_a_name_that_is_too_long_is_one_line(
    args: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text in a file's place."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.ckpt").write_bytes(b"PK\x03\x04")
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    assert main(args.format("word" * 70).split()) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "wordword" in error and "File name too long" in error


def test_a_file_that_may_not_be_read_is_one_line(tmp_path: Path) -> None:
    """Somebody else's; root loses its right to read every file first."""
    for name in ("a.ckpt", "b.mp4", "a.wav"):
        (tmp_path / name).write_bytes(b"PK\x03\x04")
    (tmp_path / "a.ckpt").chmod(0)
    (tmp_path / "b.mp4").chmod(0)
    (tmp_path / "locked").mkdir(mode=0)
    for name in ("c.ckpt", "folder/a.mp4"):
        (tmp_path / "folder").mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"PK\x03\x04")
    (tmp_path / "folder" / "locked").mkdir(mode=0)
    setpriv = shutil.which("setpriv")
    if os.geteuid() == 0 and not setpriv:
        pytest.skip("root reads every file, and there is no setpriv to take that away")
    without_rights = [str(setpriv), "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    for args, words in {
        "export --checkpoint a.ckpt --speech a.wav --output x.mp4": "a.ckpt can't be used (Permission denied)",
        "detect b.mp4": "b.mp4 can't be read as a video (b.mp4 cannot be opened: Permission denied)",
        "detect locked/b.mp4": "locked/b.mp4 can't be used (Permission denied): check the path",
        "detect folder": "folder/locked can't be read (Permission denied): check who may",
        "export --checkpoint c.ckpt --speech folder --output out": "folder/locked can't be read (Permission",
    }.items():
        command = [*without_rights, sys.executable, "-m", "s2v", *args.split()]
        ended = subprocess.run(
            command,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        assert ended.returncode in (1, 2)
        assert ended.stderr.count("\n") == 1 and words in ended.stderr


def test_sigterm_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(args: object) -> int:
        with whole_file(tmp_path / "report.json") as partial:
            partial.write_text("{")
            signal.raise_signal(signal.SIGTERM)
        return 0

    monkeypatch.setattr("s2v.doctor.run_doctor", stopped)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        main(["doctor"])
    assert ended.value.code == 143 and signal.getsignal(signal.SIGTERM) == before
    assert not list(tmp_path.iterdir())


def test_synthesize_writes_the_corpus_it_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["synthesize", "--output", str(tmp_path), "--speakers", "2", "--clips-per-speaker", "1"]
    assert main([*args, "--size", "32", "--workers", "1"]) == 0
    assert capsys.readouterr().out == f"2 clips of 2 speakers in {tmp_path}\n"
    assert len(list((tmp_path / "VideoFlash").glob("*.flv"))) == 2
    assert len(list((tmp_path / "AudioWAV").glob("*.wav"))) == 2


def test_a_config_that_is_not_there_is_told_before_pytorch_is_imported() -> None:
    code = (
        "import sys; from s2v.cli import main\n"
        "status = main(['fit', '-c', 'nope.yaml'])\n"
        "assert not {'torch', 'lightning'} & set(sys.modules)\n"
        "sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "s2v: error: --config nope.yaml: no such file\n")


def test_what_an_exception_says_is_cut_between_words() -> None:
    assert one_line(ValueError("a few\nwords  here"), 15) == "a few words ..."
    assert one_line(ValueError("a few\nwords here"), 16) == one_line(ValueError("a few words here"))
    assert one_line(ValueError("x" * 30), 10) == "xxxxxx ..."


def test_nearest_name() -> None:
    assert did_you_mean("spekers", ["speakers", "seed"]) == ": did you mean speakers?"
    assert did_you_mean("xyz", ["speakers", "seed"]) == ""
