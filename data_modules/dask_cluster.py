"""A Dask cluster for joblib's work; `distributed` (extra `dask`) is imported only where one is asked for."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib

from s2v.errors import InputError, one_line

SECONDS_TO_ANSWER = 10.0


@contextlib.contextmanager
def workplace(address: str, folders: list[Path]) -> Iterator[Callable[..., None]]:
    """As `dask_cluster`; without an address joblib works on this machine, and `everywhere` has nowhere to go."""
    if address:
        with dask_cluster(address, folders) as everywhere:
            yield everywhere
    else:
        yield lambda function, *arguments: None


@contextlib.contextmanager
def dask_cluster(address: str, folders: list[Path]) -> Iterator[Callable[..., None]]:
    """Within it joblib works on the cluster of `address` (tcp://host:8786, or the path of a scheduler file).

    Yields `everywhere(function, *arguments)`, which calls the function once in each worker process. `folders`
    must be there for every worker that is connected now.

    Raises:
        InputError: Dask is not installed, no scheduler or worker answers, a worker lacks s2v or a folder, or
            one clip's workers died again and again.
    """
    try:
        from distributed import Client, KilledWorker
    except ImportError as error:
        raise InputError(
            "--dask needs Dask: pip install distributed, here and where the workers run"
        ) from error
    where = {"scheduler_file": address} if Path(address).is_file() else {"address": address}
    # it tells of every attempt to connect; the error below says it once
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = Client(**where, timeout=SECONDS_TO_ANSWER, set_as_default=False)
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:  # the last: an odd file
        raise InputError(
            f"no Dask scheduler answered at {address!r} within {SECONDS_TO_ANSWER:g} s; "
            "its address looks like tcp://host:8786"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=SECONDS_TO_ANSWER)
        except OSError as error:
            raise InputError(
                f"the Dask scheduler at {address!r} has no workers: start some, dask worker {address}"
            ) from error
        _check_workers(client, folders)

        def everywhere(function: Callable[..., object], *arguments: object) -> None:
            client.run(function, *arguments, on_error="ignore")  # a worker that is gone has nothing to do

        try:
            with joblib.parallel_config(backend="dask", client=client):
                yield everywhere
        except KilledWorker as error:
            raise InputError(
                "the Dask workers died again and again at the same clip: have they memory enough? What `s2v prepare` "
                "and `s2v cache-targets` have finished is kept, and the same command goes on from there"
            ) from error


def first_missing(folders: list[str]) -> str:
    """The first that is no folder on this machine; empty: all are there."""
    return next((folder for folder in folders if not Path(folder).is_dir()), "")


def _check_workers(client: Any, folders: list[Path]) -> None:
    answers = client.run(first_missing, [str(folder) for folder in folders], on_error="return")
    for worker, answer in answers.items():
        if isinstance(answer, Exception):
            raise InputError(
                f"the Dask worker {worker} cannot run s2v ({one_line(answer)}): install the same s2v there"
            )
        if answer:
            raise InputError(
                f"the Dask worker {worker} does not see the folder {answer}: it must be on a disk "
                "that all workers see, at the same path"
            )
