"""The completion scripts: asked by bash as it does when Tab is pressed, and by real shells at a terminal."""

import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from s2v.cli import COMMANDS, TRAINING, main


@pytest.fixture
def script(capsys: pytest.CaptureFixture[str]) -> str:
    if shutil.which("bash") is None:
        pytest.skip("no bash on this machine")
    assert main(["completion", "bash"]) == 0
    return capsys.readouterr().out


def offered(script: str, *words: str) -> set[str]:
    """What is offered where the last of `words`, which follow `s2v`, is being typed."""
    typed = " ".join(map(shlex.quote, ["s2v", *words]))
    asking = f'COMP_WORDS=({typed}); COMP_CWORD={len(words)}; _s2v; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(
        ["bash", "--norc", "-u", "-c", f"{script}\n{asking}"], capture_output=True, text=True, timeout=20
    )
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.split())


def test_commands_options_and_choices(script: str) -> None:
    every = {name.split()[0] for name in (*TRAINING, *COMMANDS)}
    assert offered(script, "") == every | {"--help", "--version"}
    assert offered(script, "sy") == {"synthesize"}
    assert offered(script, "prepare", "--la") == {"--layout"}
    assert offered(script, "prepare", "--layout", "v") == {"voxceleb2"}
    assert offered(script, "prepare", "--layout", "=", "fo") == {"folder"}
    assert offered(script, "prepare", "--layout", "=") == {"crema_d", "voxceleb2", "folder"}
    assert offered(script, "prepare", "--layout=fo") == {"--layout=folder"}
    assert offered(script, "fit", "--c") == {"--config", "--ckpt_path"}
    assert offered(script, "fit", "--test_after_fit", "") == {"best", "last"}
    assert "--test_after_fit" not in offered(script, "test", "--")
    assert offered(script, "completion", "") == {"bash", "zsh"}


def test_a_group_s_commands_and_their_options(script: str) -> None:
    assert offered(script, "study", "") == {"create", "analyze"}
    assert offered(script, "study", "a") == {"analyze"}
    assert offered(script, "study", "create", "--tr") == {"--trials"}
    assert offered(script, "study", "analyze", "--tr") == set()


@pytest.mark.parametrize(
    "words", [("prepare", "--root", "d"), ("detect", "v"), ("unknown", "-"), ("unknown", "x")]
)
def test_elsewhere_the_shell_completes_files(script: str, words: tuple[str, ...]) -> None:
    assert offered(script, *words) == set()
    assert "complete -o default" in script


def test_every_option_is_offered(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        with pytest.raises(SystemExit):
            main([*name.split(), "--help"])
        options = capsys.readouterr().out.split("example:")[0]
        stated = {word.strip(",") for word in options.split() if word.startswith("--")}
        assert offered(script, *name.split(), "--") >= {"--help"}
        assert {option for option in offered(script, *name.split(), "--") if option not in stated} == set()


FUNCTION = "s2v() { printf '[%s]' got \"$@\"; printf '\\n'; }\n"
"""Stands for the program: what Tab made of the line is what the shell calls it with."""
PREPARED = {
    "bash": "PS1='$ '\n",
    "zsh": "PS1='$ '\n",
    "zsh that has compinit": "autoload -U compinit && compinit -u\n",
}


@pytest.fixture(params=PREPARED)
def typed(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[[str], list[str]]]:
    """`typed(line)`: the arguments that `line`, with its Tabs, becomes in a shell that someone sits at.

    Its start-up file is what `s2v completion --help` says to append to it.
    """
    shell = request.param.split()[0]
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} on this machine")
    assert main(["completion", shell]) == 0
    setup = PREPARED[request.param] + FUNCTION + capsys.readouterr().out
    (tmp_path / f".{shell}rc").write_text(setup)
    folder = tmp_path / "files"
    (folder / "two words").mkdir(parents=True)
    (folder / "video.mp4").touch()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        start = ["bash", "--rcfile", str(tmp_path / ".bashrc"), "-i"] if shell == "bash" else ["zsh", "-i"]
        where = {"HOME": str(tmp_path), "ZDOTDIR": str(tmp_path), "TERM": "dumb"}
        os.execvpe(shell, start, os.environ | where)

    def answer(line: str) -> list[str]:
        os.write(terminal, f"{line}\n".encode())
        output, deadline = "", time.monotonic() + 240
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.2)[0]:
                output += os.read(terminal, 65536).decode(errors="replace")
            if found := re.search(r"^\[got\]((?:\[.*?\])*)\r?\n", output, re.MULTILINE):
                return re.findall(r"\[(.*?)\]", found[1])
        raise AssertionError(f"{line!r} was not run; the terminal has:\n{output}")

    try:
        answer("s2v")  # the start-up file is read, the first prompt is there
        yield answer
    finally:
        os.close(terminal)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_tab_in_a_real_shell(typed: Callable[[str], list[str]]) -> None:
    for line, arguments in {
        "s2v sy\t": ["synthesize"],
        "s2v study a\t": ["study", "analyze"],
        "s2v prepare --la\tv\t": ["prepare", "--layout", "voxceleb2"],
        "s2v prepare --layout=v\t": ["prepare", "--layout=voxceleb2"],
        "s2v fit --test_after_fit b\t": ["fit", "--test_after_fit", "best"],
        "s2v detect vi\t": ["detect", "video.mp4"],
        "s2v fit --config vi\t": ["fit", "--config", "video.mp4"],
        "s2v fit --config=vi\t": ["fit", "--config=video.mp4"],
        "s2v prepare --root tw\t": ["prepare", "--root", "two words"],
        "s2v prepare --root=tw\t": ["prepare", "--root=two words"],
        "s2v completion zs\t": ["completion", "zsh"],
    }.items():
        # zsh takes a folder's slash away when the line is done
        assert [word.rstrip("/") for word in typed(line)] == arguments, line
