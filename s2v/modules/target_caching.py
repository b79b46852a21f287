"""The teacher cache filled before any fit, by several processes of this machine or of a Dask cluster."""

import warnings
from collections.abc import Callable, Iterable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import joblib
import torch
from torch import nn

from data_modules.clip_cache import read_clip
from data_modules.clip_manifest import MANIFEST_NAME, ManifestRow, read_manifest
from data_modules.dask_cluster import workplace
from data_modules.pixel_names import pixel_names
from s2v.errors import InputError
from s2v.files.whole_file import remove_partial_files
from s2v.modules.clip_tensors import fingerprint
from s2v.modules.face_source import load_face_network
from s2v.modules.teacher_cache import TeacherCache, clip_features
from s2v.process.freed_memory import give_back_freed_memory, keep_freed_memory
from s2v.process.one_thread_each import one_thread
from s2v.weight_files.weight_source import absolute_source, content_of_source

Watch = Callable[[Iterable[tuple[str, str]], int], Iterable[tuple[str, str]]]


@dataclass(frozen=True)
class TargetJob:
    """What a worker needs beside the clip; plain values, so that it travels to other machines.

    Args:
        identity: `load_face_network`'s, with whole paths.
        emotion: likewise.
        emotion_output: which of its outputs is kept.
        cache_dir: folder of the prepared clips.
        folder: of the `TeacherCache`.
        device: where the teachers work.
    """

    identity: str
    emotion: str
    emotion_output: str
    cache_dir: str
    folder: str
    device: str = "cpu"


@dataclass(frozen=True)
class TargetSummary:
    """What a run found and did, in clips."""

    found: int
    cached: int
    """By this run."""
    skipped: int
    """Cached before."""
    unreadable: dict[str, str]
    """Clip id -> why."""


def cache_targets(
    cache_dir: Path,
    folder: Path,
    identity: str,
    emotion: str,
    emotion_output: str = "logits",
    workers: int = 1,
    dask: str = "",
    device: str = "cpu",
    watch: Watch = lambda items, total: items,
) -> TargetSummary:
    """Keep the teachers' features of every usable clip in `cache_dir`, for `DistillModule(teacher_cache=folder)`.

    Clips that have them are skipped. May be stopped at any moment, and run several times at once.

    Args:
        cache_dir: folder that `prepare` filled.
        folder: see `TeacherCache`.
        identity: `load_face_network`'s.
        emotion: likewise.
        emotion_output: logits or embedding, see `DistillModule`.
        workers: processes, one thread each, unless `dask` is given.
        dask: a Dask scheduler's address or file; its workers must see clips, weights and `folder` at the same paths.
        device: where the teachers work.
        watch: shows progress: called with an iterable and its length.

    Raises:
        InputError: no prepared clips, wrong teachers, no such cluster or device, the folder can't be written, or a
            process was killed.
    """
    manifest = cache_dir / MANIFEST_NAME
    if not manifest.is_file():
        raise InputError(f"no prepared clips in {cache_dir}; `s2v prepare --cache {cache_dir}` makes them")
    rows = {row.clip_id: row for row in read_manifest(manifest) if row.ok}
    if not rows:
        raise InputError(f"none of the clips in {manifest} is usable; its column `reason` says why")
    job = TargetJob(
        absolute_source(identity),
        absolute_source(emotion),
        emotion_output,
        str(cache_dir.absolute()),
        str(folder.absolute()),
        device,
    )
    teachers = _loaded(job)
    names = pixel_names(cache_dir, list(rows.values()))
    settings = [content_of_source(identity), content_of_source(emotion), emotion_output]
    made_by = fingerprint(teachers, settings)
    missing = TeacherCache(job.folder, made_by).missing(names)
    _make(folder)
    for part in Path(job.folder, made_by).glob("*"):
        remove_partial_files(part)
    unreadable: dict[str, str] = {}
    with workplace(dask, [Path(job.cache_dir), Path(job.folder)]):
        parallel = joblib.Parallel(
            n_jobs=max(1, min(workers, len(missing))), batch_size=1, return_as="generator_unordered"
        )
        replies = parallel(
            joblib.delayed(cache_clip)(rows[name], names[name], made_by, job) for name in missing
        )
        try:
            unreadable |= {clip_id: fault for clip_id, fault in watch(replies, len(missing)) if fault}
        except BrokenProcessPool as error:
            raise InputError(
                "a process that cached targets was killed, for want of memory perhaps: try fewer --workers; what is "
                "finished is kept, and the same command goes on from there"
            ) from error
        finally:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # joblib counts aloud what is left when a run is stopped
                replies.close()
    return TargetSummary(
        len(rows), len(missing) - len(unreadable), len(rows) - len(missing), dict(sorted(unreadable.items()))
    )


def cache_clip(row: ManifestRow, name: str, made_by: str, job: TargetJob) -> tuple[str, str]:
    """One clip's features, in a joblib worker: nothing is done twice where a cluster hands the clip out again.

    Args:
        row: the clip.
        name: of its frames, see `pixel_names`.
        made_by: the teachers' `fingerprint`.
        job: the rest.

    Returns:
        The clip's id, and why it can't be read; empty if it could.
    """
    cache = TeacherCache(job.folder, made_by)
    if not cache.missing({row.clip_id: name}):
        return row.clip_id, ""
    try:
        frames, _ = read_clip(Path(job.cache_dir) / row.cache_file)
    except InputError as error:
        return row.clip_id, str(error)
    teachers = _loaded(job)
    keep_freed_memory()  # while the clip is looked at, or the maps of every few frames are fresh pages
    with one_thread():
        pictures = torch.from_numpy(frames).to(job.device)
        cache.write(
            row.clip_id,
            **clip_features(teachers["identity"], teachers["emotion"], job.emotion_output, pictures),
        )
    # or joblib takes what the C library keeps for a leak, and starts the process with its teachers anew
    give_back_freed_memory()
    return row.clip_id, ""


@lru_cache(maxsize=1)
def _loaded(job: TargetJob) -> dict[str, nn.Module]:
    """The two teachers, once a process."""
    teachers = {"identity": load_face_network(job.identity), "emotion": load_face_network(job.emotion)}
    try:
        return {name: network.to(job.device) for name, network in teachers.items()}
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {job.device}: {str(error).splitlines()[0]}") from error


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be made: {error.strerror}") from error
