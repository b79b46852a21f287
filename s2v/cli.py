"""The `s2v` command: every subcommand, imported only when it is asked for, so that `--help` is instant."""

import argparse
import errno
import importlib
import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from s2v import __version__
from s2v.errors import InputError
from s2v.evaluation.markdown_text import printable
from s2v.files.home_paths import with_home
from s2v.nearest_name import did_you_mean
from s2v.process.sigterm import ended_by_sigterm

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141

_OF_A_PATH = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG}
"""Errors of the system's that are about a path that was given, not about this program."""


def _filled_path(text: str) -> Path:
    """A shell variable that is not set would mean the current folder: a corpus to read, a cache to fill."""
    if not text:
        raise argparse.ArgumentTypeError("expected a path, but it is empty (. is the current folder)")
    return Path(text)


class OneLineParser(argparse.ArgumentParser):
    """argparse whose errors are one line, with the nearest option's name where an option is misspelt.

    An empty path is one of them.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register("type", Path, _filled_path)

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} ({self.prog} --help lists what there is)")

    def parse_strictly(self, args: list[str]) -> argparse.Namespace:
        """Parse `args`, all of them; raises InputError naming the first option that there is not."""
        for argument in args[: args.index("--")] if "--" in args else args:
            name = argument.split("=")[0]
            if name.startswith("--") and name not in self._option_string_actions:
                self.error(f"unknown option {name}{did_you_mean(name, self._option_string_actions)}")
        return self.parse_args(args)


@dataclass(frozen=True)
class Command:
    """A subcommand whose options are argparse's.

    Attributes:
        summary: its line in `s2v --help`.
        example: shown by its own --help.
        code: "module:name", where the module has `add_NAME_arguments(parser)` and `run_NAME(args)`; imported only
            when the subcommand is called.
    """

    summary: str
    example: str
    code: str

    @property
    def add_arguments(self) -> Callable[[argparse.ArgumentParser], Any]:
        return self._function("add_{}_arguments")

    @property
    def run(self) -> Callable[[argparse.Namespace], int | None]:
        return self._function("run_{}")

    def _function(self, pattern: str) -> Callable[..., Any]:
        module, name = self.code.split(":")
        function: Callable[..., Any] = getattr(importlib.import_module(module), pattern.format(name))
        return function


TRAINING = {
    "fit": "train a stage, or what it stands on, from YAML configs",
    "validate": "run a checkpoint over the validation split",
    "test": "run a checkpoint over the test split and write the report",
    "predict": "hand the test split's generated clips to callbacks of your own (`s2v export` writes videos)",
}
"""LightningCLI's subcommands; their options come from the configs' classes."""

COMMANDS = {
    "synthesize": Command(
        "write a synthetic corpus of talking faces to try things on",
        "s2v synthesize --output data/synthetic --layout crema_d --speakers 6 --clips-per-speaker 24",
        "s2v.synthesize:synthesize",
    ),
    "prepare": Command(
        "decode a corpus once into a cache of clips, with a manifest",
        "s2v prepare --root data/CREMA-D --layout crema_d --cache data/cache/crema_d --crop face",
        "data_modules.preparation_command:prepare",
    ),
    "clips": Command(
        "write prepared clips as videos, sound and pictures, for another system to be scored on them",
        "s2v clips --cache data/cache/crema_d --split seen --part test --output data/real",
        "data_modules.clips_command:clips",
    ),
    "cache-targets": Command(
        "cache face teachers' features of prepared clips: stage 1 then loads the teachers, but does not run them",
        "s2v cache-targets --cache data/cache/crema_d --identity-teacher vggface:weights/vgg_face_dag.pth "
        "--emotion-teacher senet:weights/senet50_ferplus_dag.pth --output data/cache/targets --workers 4",
        "s2v.modules.target_command:targets",
    ),
    "export": Command(
        "turn speech files into talking-face videos with a checkpoint",
        "s2v export --checkpoint runs/crema_d/compose/best.ckpt --speech speech.wav --output speech.mp4",
        "s2v.generation.export:export",
    ),
    "detect": Command(
        "find the invisible mark in videos: were they made by s2v?",
        "s2v detect --json speech.mp4",
        "s2v.generation.detect:detect",
    ),
    "doctor": Command(
        "check this machine: what is wrong, and the command that mends it",
        "s2v doctor --cache data/cache/crema_d --weights weights/cpc_60k.pt",
        "s2v.doctor:doctor",
    ),
    "score": Command(
        "score any system's videos against the real ones and write a report",
        "s2v score --real data/real --generated runs/videos --syncnet weights/syncnet_v2.model --output score",
        "s2v.evaluation.score_command:score",
    ),
    "report": Command(
        "compare runs on one web page: curves, test results, videos in step, what their configs differ in",
        "s2v report runs/crema_d/compose runs/crema_d/compose_without_similarity --output comparison.html",
        "s2v.reporting.report_command:report",
    ),
    "study create": Command(
        "write a web page that asks people which system's videos look better",
        "s2v study create --systems ours=runs/videos other=runs/other --real data/real --output study",
        "s2v.evaluation.study_create:create",
    ),
    "study analyze": Command(
        "turn the participants' answers into strengths, preferences and agreement",
        "s2v study analyze results/*.json --key study/key.json --output study/analysis",
        "s2v.evaluation.study_analyze:analyze",
    ),
    "sweep": Command(
        "search for the best settings with a W&B sweep file, on this machine and without an account",
        "s2v sweep experiments/sweeps/distill.yaml --trials 20",
        "s2v.sweeping.sweep_command:sweep",
    ),
    "table1": Command(
        "test all systems on the same clips and print the paper's table, training what is missing",
        "s2v table1 --config experiments/table1/crema_d.yaml",
        "s2v.table1:table1",
    ),
    "completion": Command(
        "print a script with which the shell's Tab completes s2v",
        "s2v completion bash >> ~/.bashrc  # from the next shell on\n"
        "  s2v completion zsh >> ~/.zshrc    # after compinit, where the file has it\n"
        '  eval "$(s2v completion zsh)"      # in this shell alone',
        "s2v.completion:completion",
    ),
}
"""Subcommands whose options are argparse's; a name of two words is a group's subcommand."""

GROUPS = {name.split()[0] for name in COMMANDS if " " in name}


def _listing(names: dict[str, str]) -> str:
    width = max(map(len, names))
    return "\n".join(f"  {name:<{width}}  {summary}" for name, summary in names.items())


def _top_parser() -> OneLineParser:
    names = {**TRAINING, **{name: command.summary for name, command in COMMANDS.items()}}
    parser = OneLineParser(
        prog="s2v",
        usage="s2v [--help] [--version] COMMAND ...",
        description="A talking face from speech alone, in the voice's own identity and emotion.",
        epilog=f"commands:\n{_listing(names)}\n\n`s2v COMMAND --help` tells about one, with an example.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"s2v {__version__}")
    return parser


def _sentence(summary: str) -> str:
    text = f"{summary[0].upper()}{summary[1:]}"
    return text if text.endswith("?") else f"{text}."


def parser_of(name: str) -> OneLineParser:
    command = COMMANDS[name]
    parser = OneLineParser(
        prog=f"s2v {name}",
        description=_sentence(command.summary),
        epilog=f"example:\n  {command.example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    return parser


def _full_name(group: str, rest: list[str]) -> str:
    """The two-word name of a group's subcommand; shows which there are for `--help`, raises InputError otherwise."""
    members = {name: command.summary for name, command in COMMANDS.items() if name.split()[0] == group}
    if rest and f"{group} {rest[0]}" in members:
        return f"{group} {rest[0]}"
    if rest and rest[0] in ("-h", "--help"):
        print(
            f"commands:\n{_listing(members)}\n\n`s2v {group} COMMAND --help` tells about one, with an example."
        )
        raise SystemExit(0)
    names = [name.split()[1] for name in members]
    what = f"unknown command '{group} {rest[0]}'{did_you_mean(rest[0], names)}" if rest else f"{group} what?"
    raise InputError(f"{what} (there are {', '.join(sorted(members))})")


def _dispatch(args: list[str]) -> int:
    args = [with_home(argument) for argument in args]
    name, rest = (args[0], args[1:]) if args and not args[0].startswith("-") else (None, args)
    if name is None:
        parser = _top_parser()
        parser.parse_strictly(rest)
        parser.print_help()
        return EXIT_BAD_INPUT
    if name in TRAINING:
        from s2v.training.config_errors import read_configs

        read_configs(args)  # what is misspelt there is told before the seconds that the libraries take
        from s2v.training import training_cli

        return training_cli.run(args)
    if name in GROUPS:
        name, rest = _full_name(name, rest), rest[1:]
    if name not in COMMANDS:
        hint = did_you_mean(name, [*TRAINING, *COMMANDS, *GROUPS])
        raise InputError(f"unknown command {name!r}{hint} (s2v --help lists them)")
    arguments = parser_of(name).parse_strictly(rest)
    with ended_by_sigterm():  # half-written files and other processes are cleared away as after Ctrl-C
        return COMMANDS[name].run(arguments) or 0


def main(args: list[str] | None = None) -> int:
    """Run one subcommand; returns the exit status.

    0, 2 (bad input, or a standard output that can't be written: one line on stderr), 130 (Ctrl-C), 141 (nobody reads
    standard output any more), or what the subcommand says.
    """
    _mend_streams()
    try:
        try:
            return _status(sys.argv[1:] if args is None else args)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()
        return EXIT_BROKEN_PIPE
    except OSError as error:
        if _takes_output():  # the error is of something else
            raise
        _forget_output()
        print(f"s2v: error: standard output can't be written: {error.strerror or error}", file=sys.stderr)
        return EXIT_BAD_INPUT


def _status(args: list[str]) -> int:
    try:
        return _dispatch(args)
    except InputError as error:
        print(f"s2v: error: {printable(str(error))}", file=sys.stderr)  # a file's name may hold a newline
        return EXIT_BAD_INPUT
    except OSError as error:
        if error.errno not in _OF_A_PATH or error.filename is None:
            raise
        fault = (
            f"{error.filename} can't be used ({error.strerror}): check the path and who may read or write it"
        )
        print(f"s2v: error: {printable(fault)}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("s2v: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _mend_streams() -> None:
    """Closed streams (`>&-`) lead nowhere; a letter that standard output's encoding lacks is written as `\\xe4`.

    In the C locale without Python's UTF-8 mode it is UTF-8 nevertheless, as that mode has it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # else the next file that is opened gets this number, and what a library prints is in it
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w")
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
    elif isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "surrogateescape":
        # what names lack there is escaped already, and comes out as the bytes it is
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")


def _takes_output() -> bool:
    """Whether standard output can be written now, which a flush alone doesn't tell where it has no buffer."""
    try:
        print(flush=True)
    except OSError:
        return False
    return True


def _forget_output() -> None:
    """Whatever the interpreter still flushes at exit goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
