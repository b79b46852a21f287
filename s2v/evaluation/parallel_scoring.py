"""`s2v score` on several processes, of this machine or of a Dask cluster: the rows and files of one process."""

from collections.abc import Callable, Iterable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import Any

import joblib

from data_modules.dask_cluster import workplace
from s2v.errors import InputError
from s2v.evaluation.held_pictures import HeldPictures
from s2v.evaluation.scoring import Scoring
from s2v.evaluation.scoring_job import ScoringJob, look_at_pair, measure_pair
from s2v.evaluation.video_pairs import VideoPair

Watch = Callable[[Iterable[Any], str], Iterable[Any]]


def score_in_parallel(
    scoring: Scoring, pairs: list[VideoPair], job: ScoringJob, workers: int, dask: str, watch: Watch
) -> None:
    """Have every pair measured, and `scoring` take the measurements in the pairs' order.

    Args:
        scoring: whose protocol has the same judges as `job`.
        pairs: what to score.
        job: with weights as given here; workers get whole paths.
        workers: processes, one thread each, unless `dask` is given.
        dask: a Dask scheduler's address or file.
        watch: shows progress: called with an iterable and what it is.

    Raises:
        InputError: no such cluster, a process was killed, or what a worker's own reading says.
    """
    job = job.with_whole_paths()
    pairs = [
        replace(
            pair,
            real=pair.real and pair.real.absolute(),
            generated=pair.generated and pair.generated.absolute(),
        )
        for pair in pairs
    ]
    folders = {path.parent for pair in pairs for path in (pair.real, pair.generated) if path}
    try:
        with workplace(dask, sorted(folders)):
            _score(scoring, pairs, job, workers, watch)
    except BrokenProcessPool as error:
        raise InputError(
            "a process that scored was killed, for want of memory perhaps: try fewer --workers"
        ) from error


def _score(scoring: Scoring, pairs: list[VideoPair], job: ScoringJob, workers: int, watch: Watch) -> None:
    parallel = joblib.Parallel(
        n_jobs=max(1, min(workers, len(pairs))), batch_size=1, return_as="generator", pre_dispatch="2*n_jobs"
    )
    held = HeldPictures()
    looks = parallel(joblib.delayed(look_at_pair)(pair, job) for pair in pairs)
    for pair, look in zip(pairs, watch(looks, "looking through the real videos"), strict=True):
        if look is not None:
            held.add_seen(pair.clip_id, pair.speaker, *look)
    scoring.protocol.hold(held)
    wanted = scoring.max_strips > 0
    found = parallel(
        joblib.delayed(measure_pair)(
            pair, job, held.for_speaker(pair.speaker) if held.speakers else None, wanted
        )
        for pair in pairs
    )
    for pair, measurement in zip(pairs, watch(found, "scoring"), strict=True):
        if isinstance(measurement, str):
            scoring.refuse(pair.clip_id, pair.speaker, measurement)
        else:
            scoring.take(measurement, pair.emotion)
