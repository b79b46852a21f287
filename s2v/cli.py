"""The `s2v` command: every subcommand, imported only when it is asked for, so that `--help` is instant."""

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from s2v import __version__
from s2v.errors import InputError
from s2v.nearest_name import did_you_mean

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


class OneLineParser(argparse.ArgumentParser):
    """argparse whose errors are one line, with the nearest option's name where an option is misspelt."""

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
    """A subcommand whose options are argparse's."""

    summary: str
    example: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int | None]


def _add_synthesize_arguments(parser: argparse.ArgumentParser) -> None:
    from s2v.synthesize import add_synthesize_arguments

    add_synthesize_arguments(parser)


def _synthesize(args: argparse.Namespace) -> int | None:
    from s2v.synthesize import run_synthesize

    return run_synthesize(args)


def _add_prepare_arguments(parser: argparse.ArgumentParser) -> None:
    from data_modules.preparation_command import add_prepare_arguments

    add_prepare_arguments(parser)


def _prepare(args: argparse.Namespace) -> int | None:
    from data_modules.preparation_command import run_prepare

    return run_prepare(args)


def _add_export_arguments(parser: argparse.ArgumentParser) -> None:
    from s2v.generation.export import add_export_arguments

    add_export_arguments(parser)


def _export(args: argparse.Namespace) -> int | None:
    from s2v.generation.export import run_export

    return run_export(args)


def _add_table1_arguments(parser: argparse.ArgumentParser) -> None:
    from s2v.table1 import add_table1_arguments

    add_table1_arguments(parser)


def _table1(args: argparse.Namespace) -> int | None:
    from s2v.table1 import run_table1

    return run_table1(args)


TRAINING = {
    "fit": "train a stage, or what it stands on, from YAML configs",
    "validate": "run a checkpoint over the validation split",
    "test": "run a checkpoint over the test split and write the report",
    "predict": "generate the predict split's clips from a checkpoint",
}
"""LightningCLI's subcommands; their options come from the configs' classes."""

COMMANDS = {
    "synthesize": Command(
        "write a synthetic corpus of talking faces to try things on",
        "s2v synthesize --output data/synthetic --layout crema_d --speakers 6 --clips-per-speaker 24",
        _add_synthesize_arguments,
        _synthesize,
    ),
    "prepare": Command(
        "decode a corpus once into a cache of clips, with a manifest",
        "s2v prepare --root data/CREMA-D --layout crema_d --cache data/cache/crema_d --size 128 --workers 4",
        _add_prepare_arguments,
        _prepare,
    ),
    "export": Command(
        "turn speech files into talking-face videos with a checkpoint",
        "s2v export --checkpoint runs/compose/last.ckpt --speech speech.wav --output speech.mp4",
        _add_export_arguments,
        _export,
    ),
    "table1": Command(
        "test all systems on the same clips and print the paper's table, training what is missing",
        "s2v table1 --config experiments/table1/crema_d.yaml",
        _add_table1_arguments,
        _table1,
    ),
}


def _top_parser() -> OneLineParser:
    names = {**TRAINING, **{name: command.summary for name, command in COMMANDS.items()}}
    width = max(map(len, names))
    listing = "\n".join(f"  {name:<{width}}  {summary}" for name, summary in names.items())
    parser = OneLineParser(
        prog="s2v",
        usage="s2v [--help] [--version] COMMAND ...",
        description="A talking face from speech alone, in the voice's own identity and emotion.",
        epilog=f"commands:\n{listing}\n\n`s2v COMMAND --help` tells about one, with an example.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"s2v {__version__}")
    return parser


def _dispatch(args: list[str]) -> int:
    name, rest = (args[0], args[1:]) if args and not args[0].startswith("-") else (None, args)
    if name is None:
        parser = _top_parser()
        parser.parse_strictly(rest)
        parser.print_help()
        return EXIT_BAD_INPUT
    if name in TRAINING:
        from s2v import training_cli

        return training_cli.run(args)
    if name not in COMMANDS:
        hint = did_you_mean(name, [*TRAINING, *COMMANDS])
        raise InputError(f"unknown command {name!r}{hint} (s2v --help lists them)")
    command = COMMANDS[name]
    parser = OneLineParser(
        prog=f"s2v {name}",
        description=f"{command.summary[0].upper()}{command.summary[1:]}.",
        epilog=f"example:\n  {command.example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    return command.run(parser.parse_strictly(rest)) or 0


def main(args: list[str] | None = None) -> int:
    """Run one subcommand; returns the exit status: 0, 2 (bad input, one line on stderr), 130 (Ctrl-C)."""
    try:
        try:
            return _dispatch(sys.argv[1:] if args is None else args)
        finally:
            sys.stdout.flush()
    except InputError as error:
        print(f"s2v: error: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("s2v: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has left: whatever the interpreter still flushes at exit must go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
