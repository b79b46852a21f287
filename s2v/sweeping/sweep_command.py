"""`s2v sweep FILE`: a W&B sweep file's search on this machine, without an account."""

from __future__ import annotations

import argparse
import itertools
import json
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from s2v.errors import InputError, warn
from s2v.files.held_folder import held_folder

if TYPE_CHECKING:
    import optuna

    from s2v.sweeping.sweep_file import SweepFile

JOURNAL = "trials.journal"
_LAST_SEED = 2**31 - 1
"""NumPy's generator takes one twice as large: every trial's is one more than the one's before."""
HOPELESS = 3
"""So many failed trials and none that ended well: something else than the drawn values is wrong."""


def add_sweep_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `s2v sweep` to `parser`."""
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="a W&B sweep file, such as experiments/sweeps/distill.yaml (Optuna: pip install optuna)",
    )
    parser.add_argument(
        "--trials",
        type=int,
        required=True,
        metavar="N",
        help="trials in all; the same command resumes a sweep that was stopped, a larger N adds to it",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="the sweep's own folder (default: runs/sweeps/<name of FILE>)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="random seed of the search (default: %(default)s)"
    )


def run_sweep(args: argparse.Namespace) -> int:
    """Run what is left to do, print the table, write trials.csv and best.yaml; 1 if no trial has a value."""
    try:
        import optuna
    except ImportError as error:
        raise InputError("s2v sweep needs Optuna: pip install optuna") from error
    from s2v.sweeping.sweep_file import read_sweep_file

    if args.trials < 1:
        raise InputError(f"--trials: expected 1 or more, got {args.trials}")
    if not 0 <= args.seed <= _LAST_SEED:
        raise InputError(f"--seed: expected 0 to {_LAST_SEED}, got {args.seed}")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sweep = read_sweep_file(args.file)
    output: Path = args.output or Path("runs") / "sweeps" / args.file.stem
    for note in sweep.notes:
        print(f"note: {note}")
    with held_folder(output, "another `s2v sweep` runs there"):
        mend_journal(output / JOURNAL)
        study = open_study(sweep, output)
        take_up_stopped(study)
        try:
            run_trials(sweep, study, output, args.trials, args.seed)
        finally:
            write_results(sweep, study, output)
    return print_results(sweep, study, output)


def mend_journal(journal: Path) -> None:
    """Clears away what a kill in the middle of a write leaves: Optuna reads no line that was cut short.

    The trial that the line was of counts as stopped, and is tried again. Only while nobody else writes the journal.
    """
    # its lock, which it waits for; without end where the link's path leads nowhere from its own folder
    journal.with_name(f"{JOURNAL}.lock").unlink(missing_ok=True)
    if not journal.is_file():
        return
    with open(journal, "rb+") as stream:
        lines = stream.readlines()
        if lines and not lines[-1].endswith(b"\n"):
            stream.truncate(sum(map(len, lines[:-1])))
            warn(f"{journal}: its last line was cut short, and is left out")


def open_study(sweep: SweepFile, output: Path) -> optuna.Study:
    """The study of `output`, new or as it was left.

    Raises:
        InputError: it was begun with another search, or its journal is damaged.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    direction: Literal["minimize", "maximize"] = "maximize" if sweep.maximize else "minimize"
    try:
        storage = JournalStorage(JournalFileBackend(str(output / JOURNAL)))
        study = optuna.create_study(
            study_name="sweep", storage=storage, direction=direction, load_if_exists=True
        )
    except ValueError as error:
        raise InputError(
            f"{output / JOURNAL} is damaged ({error}): name another --output, or remove it"
        ) from error
    space = {name: repr(one) for name, one in sweep.space.items()}
    search = json.dumps([sweep.metric, direction, space, sweep.command])
    begun = study.user_attrs.get("search")
    if begun is None:
        study.set_user_attr("search", search)
    elif begun != search:
        raise InputError(f"{output} was begun with another search: name another --output, or remove it")
    return study


def _mark(study: optuna.Study) -> str:
    """Of this sweep alone, in its runs' names: one of the same name, removed or elsewhere, may have left its runs."""
    if "mark" not in study.user_attrs:
        study.set_user_attr("mark", secrets.token_hex(3))
    return str(study.user_attrs["mark"])


def take_up_stopped(study: optuna.Study) -> None:
    """Trials that a kill has left unfinished count as failed, and their values come next."""
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        # killed before it had taken up all values that it was queued with, it has them there alone
        values = trial.system_attrs.get("fixed_params", {}) | trial.params
        study.enqueue_trial(values, user_attrs={"instead_of": trial.number})
        print(f"trial {trial.number} was stopped: its values are tried again")


def run_trials(sweep: SweepFile, study: optuna.Study, output: Path, total: int, seed: int) -> None:
    """Run trials until `total` have ended, well or not, or nothing of a grid is left.

    What trial n draws depends on the seed, on n and on the trials before it alone: a sweep that was stopped goes on
    as if it had not been.
    """
    from optuna.trial import TrialState

    from s2v.sweeping.trial import run_trial

    (output / "logs").mkdir(exist_ok=True)
    if sweep.method == "grid":
        enqueue_grid(sweep, study)
    while len(_ended(study)) < total:
        waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        if sweep.method == "grid" and not waiting:
            return
        study.sampler = _sampler(sweep, [seed, len(_ended(study))])
        trial = study.ask(sweep.space)
        run_id = f"{output.name}-{_mark(study)}-{trial.number:04d}"
        print(f"trial {trial.number}: {_listed(trial.params)}", flush=True)
        trial.set_user_attr("run_id", run_id)
        outcome = run_trial(sweep, trial.params, run_id, output / "logs" / f"{run_id}.log")
        if outcome.value is None:
            trial.set_user_attr("reason", outcome.reason)
            study.tell(trial, state=TrialState.FAIL)
            print(f"  failed: {outcome.reason}")
            _give_up_if_hopeless(study, output)
        else:
            study.tell(trial, outcome.value)
            print(f"  {sweep.metric} {outcome.value:.6g}", flush=True)


def enqueue_grid(sweep: SweepFile, study: optuna.Study) -> None:
    """Put every combination of the values in the queue once."""
    names = list(sweep.space)
    choices = [
        cast("optuna.distributions.CategoricalDistribution", sweep.space[name]).choices for name in names
    ]
    # asked once: optuna's own `skip_if_exists` looks through all trials for each
    there = set()
    for trial in study.get_trials(deepcopy=False):
        values = trial.system_attrs.get("fixed_params", trial.params)
        there.add(tuple((type(values.get(name)), values.get(name)) for name in names))
    for combination in itertools.product(*choices):
        if tuple((type(value), value) for value in combination) not in there:
            study.enqueue_trial(dict(zip(names, combination, strict=True)))


def write_results(sweep: SweepFile, study: optuna.Study, output: Path) -> None:
    """trials.csv, a row a trial; best.yaml, the best one's values as an overlay for `s2v fit --config`."""
    import yaml

    from s2v.files.spreadsheet_cell import csv_text
    from s2v.files.whole_file import write_whole_file

    rows: list[list[Any]] = [["trial", "state", sweep.metric, "run", "reason", *sweep.space]]
    for trial in study.get_trials(deepcopy=False):
        said = [trial.value, _run(sweep, trial), trial.user_attrs.get("reason")]
        values = [trial.params.get(name) for name in sweep.space]
        rows.append([trial.number, trial.state.name.lower(), *said, *values])
    write_whole_file(output / "trials.csv", csv_text(rows).encode())
    best = best_trial(study)
    if best is not None:
        head = f"# {sweep.metric} {best.value:.6g}: trial {best.number}, {_run(sweep, best)}\n"
        overlay = yaml.safe_dump(nested(best.params), sort_keys=False)
        write_whole_file(output / "best.yaml", (head + overlay).encode())


def print_results(sweep: SweepFile, study: optuna.Study, output: Path) -> int:
    """Print the table, best first; returns 1 if no trial has a value."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    trials = [trial for trial in study.get_trials(deepcopy=False) if trial.value is not None]
    trials.sort(key=lambda trial: trial.value or 0.0, reverse=sweep.maximize)
    # as Text: brackets in a value are no markup
    table = Table()
    for name in ("trial", sweep.metric, *short_names(sweep.space).values()):
        table.add_column(Text(name))
    for trial in trials:
        cells = [Text(_short(trial.params[name])) for name in sweep.space]
        table.add_row(str(trial.number), f"{trial.value:.6g}", *cells)
    Console().print(table)
    failed = len(_ended(study)) - len(trials)
    if failed:
        print(
            f"{failed} trials failed: {output / 'trials.csv'} says why, {output / 'logs'} has their output; a larger "
            f"--trials adds others, and without {output} all begin anew"
        )
    print(f"wrote {output / 'trials.csv'}" + (f" and {output / 'best.yaml'}" if trials else ""))
    return 0 if trials else 1


def best_trial(study: optuna.Study) -> optuna.trial.FrozenTrial | None:
    """None while no trial has a value."""
    try:
        return study.best_trial
    except ValueError:
        return None


def nested(values: dict[str, Any]) -> dict[str, Any]:
    """{"a.b": 1} -> {"a": {"b": 1}}."""
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *parents, last = name.split(".")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return tree


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Name -> its last words, as many as tell it from the others, without `init_args`."""
    words = {name: [word for word in name.split(".") if word != "init_args"] for name in names}
    short = {}
    for name, own in words.items():
        for length in range(1, len(own) + 1):
            tail = own[-length:]
            if sum(other[-length:] == tail for other in words.values()) == 1:
                break
        short[name] = ".".join(tail)
    return short


def _ended(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Trials that ran to an end; one that was stopped and is tried again is not counted twice."""
    again = {trial.user_attrs.get("instead_of") for trial in study.get_trials(deepcopy=False)}
    return [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state.is_finished() and trial.number not in again
    ]


def _give_up_if_hopeless(study: optuna.Study, output: Path) -> None:
    ended = _ended(study)
    if len(ended) >= HOPELESS and best_trial(study) is None:
        reason = ended[-1].user_attrs.get("reason", "")
        raise InputError(f"{len(ended)} trials failed and none ended well ({reason}); see {output / 'logs'}")


def _sampler(sweep: SweepFile, seeds: list[int]) -> optuna.samplers.BaseSampler:
    """Of a trial's own seed: sums of seed and number would be shared, shifted, by sweeps of neighbouring seeds."""
    import numpy as np
    from optuna.samplers import RandomSampler, TPESampler

    seed = int(np.random.SeedSequence(seeds).generate_state(1)[0])
    return TPESampler(seed=seed) if sweep.method == "bayes" else RandomSampler(seed=seed)


def _run(sweep: SweepFile, trial: optuna.trial.FrozenTrial) -> str:
    from s2v.sweeping.trial import run_folder

    run_id = trial.user_attrs.get("run_id")
    return str(run_folder(sweep, run_id)) if run_id else ""


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {_short(value)}"
        for name, value in zip(short_names(values).values(), values.values(), strict=True)
    )


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
