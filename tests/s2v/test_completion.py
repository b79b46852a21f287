"""The completion script, run by bash as it does when Tab is pressed."""

import shlex
import shutil
import subprocess

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
    assert offered(script, "fit", "--c") == {"--config", "--ckpt_path"}
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


def test_zsh_runs_the_same_through_bashcompinit(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "zsh"]) == 0
    text = capsys.readouterr().out
    assert "bashcompinit" in text
    assert text.split("_s2v() {")[1] == script.split("_s2v() {")[1]
    if shutil.which("zsh"):
        subprocess.run(["zsh", "-n", "-c", text], check=True, timeout=20)
