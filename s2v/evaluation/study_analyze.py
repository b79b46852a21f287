"""`s2v study analyze`: the participants' result files into JSON, Markdown and tables."""

import argparse
import json
from pathlib import Path

from s2v.errors import InputError

NOBODY_COUNTS = 2


def add_analyze_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `s2v study analyze` to `parser`."""
    parser.add_argument(
        "results", nargs="+", type=Path, metavar="FILE", help="the files that participants downloaded"
    )
    parser.add_argument(
        "--key", type=Path, required=True, metavar="FILE", help="key.json, as study create wrote it"
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="where study.json and study.md go (default: printed only)"
    )
    parser.add_argument(
        "--least-seconds",
        type=float,
        default=2.0,
        metavar="S",
        help="participants with a lower median time an item are left out (default: %(default)s)",
    )
    parser.add_argument(
        "--wrong-checks",
        type=int,
        default=0,
        metavar="N",
        help="participants with more wrong attention checks are left out (default: %(default)s)",
    )
    parser.add_argument(
        "--bootstrap",
        type=int,
        default=1000,
        metavar="N",
        help="bootstrap resamples for the intervals (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="random seed of the bootstrap (default: %(default)s)"
    )


def run_analyze(args: argparse.Namespace) -> int:
    """Reads, leaves out, counts, writes and prints; 0 if anybody's answers count, otherwise 2."""
    from rich.console import Console

    from s2v.evaluation.study_analysis import analyze
    from s2v.evaluation.study_key import read_study_key
    from s2v.evaluation.study_report import markdown, sections
    from s2v.evaluation.study_results import ExclusionRules, collect
    from s2v.files.whole_file import write_whole_file

    if args.bootstrap < 0 or args.seed < 0:
        raise InputError("--bootstrap and --seed: expected 0 or more")
    if args.wrong_checks < 0 or not args.least_seconds >= 0:
        raise InputError("--wrong-checks and --least-seconds: expected 0 or more")
    key = read_study_key(args.key)
    rules = ExclusionRules(args.least_seconds, args.wrong_checks)
    collected = collect(args.results, key, rules)
    if not collected.kept:
        for file, reason in collected.left_out:
            print(f"{file!r}: {reason}")
        print("nobody's answers count: nothing to analyze")
        return NOBODY_COUNTS
    analysis = {
        "study": key.study,
        "kept": len(collected.kept),
        "left_out": [{"file": file, "reason": reason} for file, reason in collected.left_out],
        "rules": rules.sentences(),
        **analyze(key, collected.kept, args.bootstrap, args.seed),
    }
    if args.output is not None:
        text = json.dumps(analysis, indent=1, allow_nan=False) + "\n"
        try:
            write_whole_file(args.output / "study.json", text.encode("utf-8"))
            write_whole_file(args.output / "study.md", markdown(analysis).encode("utf-8", "replace"))
        except OSError as error:
            raise InputError(f"{args.output} can't be written: {error.strerror or error}") from error
    console = Console()
    for section in sections(analysis):
        if section.rows:
            console.print(section.rich_table())
        print(*section.notes, "", sep="\n")
    return 0
