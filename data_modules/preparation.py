"""Preparation: every clip of a corpus decoded once, into a cache and its manifest."""

import threading
import time
import uuid
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import joblib

from data_modules.clip_cache import cache_file_of, read_clip
from data_modules.clip_manifest import MANIFEST_NAME, ManifestRow, read_manifest
from data_modules.clip_refused import kind_of_reason, refused_row
from data_modules.consent import answer_of, read_consent
from data_modules.dask_cluster import workplace
from data_modules.gender import find_genders
from data_modules.growing_manifest import GrowingManifest, SaidAnew
from data_modules.layouts import FoundClip, find_clips
from data_modules.preparation_job import PreparationJob, close_children, prepare_in_child
from data_modules.preparation_progress import PreparationProgress
from data_modules.preparation_records import RECORDS_FOLDER, Record, read_records, still_true, thrown_away
from data_modules.preparation_settings import PreparationSettings, checked_settings
from data_modules.unfinished import being_filled
from s2v.errors import InputError
from s2v.files.whole_file import remove_partial_files

_SECONDS_BETWEEN_MANIFESTS = 30.0


@dataclass(frozen=True)
class PreparationSummary:
    found: int
    ok: int
    refused: int
    skipped: int
    """Clips that an earlier run had finished, ok or refused: nothing was done for them now."""
    manifest: Path
    reasons: dict[str, int] = field(default_factory=dict)
    """How many clips were refused for which kind of reason."""
    unasked: int = 0
    """Clips of speakers who did not agree that lie in the cache from before."""
    unlisted: int = 0
    """Usable clips from before of no video that is there now: the manifest leaves them out."""


def prepare(
    root: Path,
    layout: str,
    cache: Path,
    size: int = 128,
    fps: int = 25,
    crop: str = "none",
    detector: Path | None = None,
    workers: int = 2,
    time_limit: float = 60.0,
    min_seconds: float = 1.0,
    max_seconds: float = 600.0,
    max_av_difference: float = 0.5,
    progress: bool = True,
    verify: bool = False,
    jpeg_quality: int = 0,
    consent: Path | None = None,
    without_consent: bool = False,
    dask: str = "",
    overwrite: bool = False,
) -> PreparationSummary:
    """Decodes every clip under `root` into `cache`, and writes `manifest.csv` with a row for each.

    Clips go through `workers` child processes; one that takes more than `time_limit` seconds, and as many again for
    each minute of the clip, is killed, its clip refused. Finished clips are skipped the next time unless their source
    or their cache file changed; `verify` reads every cache file, so that one is made anew whose bytes changed and
    whose size and time did not. Usable clips that were made with other settings are an error, before anything is
    changed; with `overwrite` they are made anew. May be stopped at any moment, and run several times at once. With a
    `jpeg_quality` of 1 to 100 frames are stored as JPEG, else as pixels.

    `dask`, the address of a Dask scheduler or the path of its file, has its workers do the same, `workers` unused;
    they must see `root` and `cache` at the same paths.

    `consent` is a table of who agreed (`read_consent`): clips of others are refused, or, `without_consent`,
    prepared all the same and marked in the manifest, whence the mark goes into checkpoints trained on them. What an
    earlier run had cached of the refused stays there, and is counted; `overwrite` deletes it.
    The speakers' gender goes into the manifest where the corpus has a table of it (`find_genders`), a clip's recording
    where the layout says it.

    Raises:
        InputError: wrong root, layout, settings, detector, table or cluster, usable clips that were made with other
            settings, or the cache cannot be written.
    """
    root, cache = Path(root).absolute(), Path(cache).absolute()
    if cache == root:
        raise InputError(
            f"--cache {cache} is the corpus' own folder: give another, what is made is not to lie in it"
        )
    if workers < 1:
        raise InputError(f"--workers must be at least 1, got {workers}")
    settings = checked_settings(
        size, fps, crop, detector, min_seconds, max_seconds, max_av_difference, jpeg_quality, time_limit
    )
    answers = _answers(consent, without_consent, cache)
    records = read_records(cache)
    clips = find_clips(root, layout, _known_ids(cache, records))
    recordings = {clip.clip_id: clip.recording for clip in clips if clip.recording}
    said = SaidAnew(answers, find_genders(root, [layout]), recordings)
    found = len(clips)
    gone = records.keys() - {clip.clip_id for clip in clips}
    unlisted = sum(records[clip_id]["row"]["status"] == "ok" for clip_id in gone)
    turned_away = {} if without_consent else _turned_away(clips, answers)
    clips = [clip for clip in clips if clip.clip_id not in turned_away]
    if not overwrite:
        _check_nothing_is_thrown_away(clips, records, cache, settings)
    _make_writable(cache)
    kept_back = [*turned_away, *_withdrawn(gone, records, None if without_consent else answers)]
    unasked = [path for path in (cache / cache_file_of(clip_id) for clip_id in kept_back) if path.is_file()]
    if overwrite:
        for path in unasked:
            path.unlink(missing_ok=True)
        unasked = []
    key = settings.key()

    def is_true(record: Record, clip: FoundClip) -> bool:
        return still_true(record, clip, root, cache, key, time_limit)

    def is_news(record: Record, clip: FoundClip) -> bool:
        return record != records.get(clip.clip_id) and is_true(record, clip)

    finished = {
        clip.clip_id: record
        for clip in clips
        if (record := records.get(clip.clip_id)) and is_true(record, clip)
    }
    begun = time.time()
    job = PreparationJob(uuid.uuid4().hex, str(root), str(cache), asdict(settings), time_limit)
    with workplace(dask, [root, cache]) as everywhere:
        if verify:
            finished = _undamaged(finished, cache, workers)
        todo = [clip for clip in clips if clip.clip_id not in finished]
        for folder in {(cache / cache_file_of(clip.clip_id)).parent for clip in clips}:
            remove_partial_files(folder)
        manifest = GrowingManifest(cache, clips, said, is_news, turned_away | finished)
        with being_filled(cache):
            manifest.write()
            with PreparationProgress(len(clips), len(finished), shown=progress) as bar:
                _run(todo, job, workers, manifest, bar, everywhere)
            _check_one_kind(todo, begun, cache, settings)
    rows = [ManifestRow(**record["row"]) for record in manifest.done.values()]
    reasons = Counter(kind_of_reason(row.reason) for row in rows if not row.ok)
    return PreparationSummary(
        found,
        ok=sum(row.ok for row in rows),
        refused=sum(not row.ok for row in rows),
        skipped=len(finished),
        manifest=cache / MANIFEST_NAME,
        reasons=dict(reasons.most_common()),
        unasked=len(unasked),
        unlisted=unlisted,
    )


def _turned_away(clips: list[FoundClip], answers: Mapping[str, bool] | None) -> dict[str, Record]:
    """Clip id -> record, of the clips whose speakers have not agreed."""
    return {
        clip.clip_id: {"row": asdict(_not_agreed(clip))}
        for clip in clips
        if answer_of(clip.speaker, answers) == "no"
    }


def _withdrawn(
    gone: Iterable[str], records: Mapping[str, Record], answers: Mapping[str, bool] | None
) -> list[str]:
    """Clips of an earlier run whose videos are gone, of speakers who have not agreed: who withdraws takes both."""
    return [name for name in gone if answer_of(records[name]["row"]["speaker"], answers) == "no"]


def _undamaged(done: dict[str, Record], cache: Path, workers: int) -> dict[str, Record]:
    """Those whose cache files, read whole, are as their checksums say; refused clips have none."""
    files = {name: record["row"]["cache_file"] for name, record in done.items()}
    parallel = joblib.Parallel(n_jobs=workers, prefer="threads")
    sound = parallel(joblib.delayed(_is_sound)(cache / file) for file in files.values() if file)
    whole = dict(zip([name for name, file in files.items() if file], sound, strict=True))
    return {name: record for name, record in done.items() if whole.get(name, True)}


def _is_sound(path: Path) -> bool:
    try:
        read_clip(path)
    except InputError:
        return False
    return True


def _run(
    todo: list[FoundClip],
    job: PreparationJob,
    workers: int,
    manifest: GrowingManifest,
    bar: PreparationProgress,
    everywhere: Callable[..., None],
) -> None:
    """Prepares clips in parallel, and writes the manifest now and then, and at any end."""
    parallel = joblib.Parallel(
        n_jobs=min(workers, len(todo) or 1),
        prefer="threads",
        batch_size=1,
        return_as="generator_unordered",
    )
    replies = parallel(joblib.delayed(prepare_in_child)(clip, job) for clip in todo)
    due = time.monotonic() + _SECONDS_BETWEEN_MANIFESTS
    try:
        for answer in replies:
            if "fatal" in answer:
                raise InputError(
                    f"the cache folder {job.cache_dir} cannot be written: {answer['fatal']}; what is "
                    "finished is kept, and the same command goes on from there"
                )
            record = answer["record"]
            manifest.add(record)
            bar.advance(ok=record["row"]["status"] == "ok")
            if time.monotonic() > due:
                begun = time.monotonic()
                manifest.write()
                # of a long manifest's time, at most a twentieth goes into writing it
                due = time.monotonic() + max(_SECONDS_BETWEEN_MANIFESTS, 20 * (time.monotonic() - begun))
    finally:
        close_children(job.run)
        everywhere(close_children, job.run)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # joblib counts aloud what is left when a run is stopped
            replies.close()
        manifest.write()


def _make_writable(cache: Path) -> None:
    try:
        (cache / RECORDS_FOLDER).mkdir(parents=True, exist_ok=True)
        probe = cache / RECORDS_FOLDER / f".probe-{threading.get_ident()}-{time.monotonic_ns()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(f"the cache folder {cache} cannot be written: {error.strerror}") from error


def _known_ids(cache: Path, records: Mapping[str, Record]) -> dict[str, str]:
    """Clip id -> source of an earlier preparation: as the manifest says, or a run that did not come to write it."""
    try:
        rows = read_manifest(cache / MANIFEST_NAME)
    except (InputError, OSError):  # there is none yet, or it is damaged and written anew
        rows = []
    sources = {row.source for row in rows}
    known = {name: record["row"]["source"] for name, record in records.items()}
    known = {name: source for name, source in known.items() if source not in sources}
    return known | {row.clip_id: row.source for row in rows}


def _check_nothing_is_thrown_away(
    clips: list[FoundClip], records: Mapping[str, Record], cache: Path, settings: PreparationSettings
) -> None:
    """A wrong option may cost days of decoding: usable clips with other settings are not made anew unasked."""
    key = settings.key()
    found = [records.get(clip.clip_id) for clip in clips]
    others = Counter(record["settings"] for record in found if record and thrown_away(record, cache, key))
    if not others:
        return
    theirs = PreparationSettings.of_key(others.most_common(1)[0][0])
    made = theirs.unlike(settings) or "settings of another version"
    asked = settings.unlike(theirs) or "those of this version"
    raise InputError(
        f"{cache} holds {others.total()} finished clips made with {made}, but {asked} is asked: give another --cache, "
        "or what it was made with, or --overwrite to make them anew"
    )


def _check_one_kind(made: list[FoundClip], begun: float, cache: Path, settings: PreparationSettings) -> None:
    """Another preparation that ran at the same time may have had other settings, unseen by either at its start.

    What is older was to be made anew, but may be there still, where a clip could not be read this time.
    """
    if not made:
        return
    records, key = read_records(cache), settings.key()
    new = {name: record for name, record in records.items() if record["time"] > begun}
    others = [clip.clip_id for clip in made if thrown_away(new.get(clip.clip_id), cache, key)]
    if others:
        raise InputError(
            f"another preparation of {cache} has made {len(others)} of these clips meanwhile with other settings "
            f"({others[0]}, for one): run the one that holds again, with --overwrite"
        )


def _answers(consent: Path | None, without_consent: bool, cache: Path) -> dict[str, bool] | None:
    """Who agreed; what an earlier preparation was told is not forgotten unnoticed."""
    if consent is not None:
        return read_consent(consent)
    manifest = cache / MANIFEST_NAME
    try:
        asked = manifest.is_file() and any(row.consent for row in read_manifest(manifest))
    except InputError:
        raise InputError(
            f"{manifest} is damaged, and may have said who consented: give the table, --consent FILE, or, where nobody "
            "was asked, delete the file; the clips stay"
        ) from None
    if asked:
        raise InputError(f"{manifest} says who consented: give the table again, --consent FILE")
    if without_consent:
        raise InputError("--without-consent is for --consent FILE: give both, or neither")
    return None


def _not_agreed(clip: FoundClip) -> ManifestRow:
    return refused_row(clip, f"no consent: speaker {clip.speaker or 'unknown'} is not down with a yes")
