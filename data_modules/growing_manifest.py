"""`manifest.csv` while clips are prepared: what this run has finished, and what others on the same cache have."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from data_modules.clip_manifest import MANIFEST_NAME, ManifestRow, read_manifest, write_manifest
from data_modules.composed_name import composed
from data_modules.consent import answer_of
from data_modules.layouts import FoundClip
from data_modules.preparation_records import Record, read_records
from s2v.errors import InputError


@dataclass(frozen=True)
class SaidAnew:
    """What tables say of speakers, and the layout of recordings: read by each preparation, kept in the manifest alone.

    Records do not have it, so that a cache from before takes it in without decoding.
    """

    consent: Mapping[str, bool] | None
    genders: Mapping[str, str]
    recordings: Mapping[str, str]
    """Clip id -> recording, of those whose layout says it."""

    def add_to(self, row: ManifestRow) -> ManifestRow:
        return replace(
            row,
            consent=answer_of(row.speaker, self.consent),
            gender=self.genders.get(composed(row.speaker), ""),
            recording=self.recordings.get(row.clip_id, ""),
        )


class GrowingManifest:
    """The manifest of a run's clips, written whole whenever it is asked for.

    Several runs may fill one cache. Each writes the whole file, so one that was slower, or is stopped, would take out
    what the others have finished since it began; their records are read before. Of who consented the run that began
    last was told: one before it that was told otherwise stops.

    Args:
        cache: the cache folder.
        clips: what the manifest lists once all are done.
        said: what goes into rows beside the records.
        is_news: whether a record was written since the run began, and holds for the clip by the run's settings.
        done: clip id -> record, of what is done to begin with; it grows.
    """

    def __init__(
        self,
        cache: Path,
        clips: list[FoundClip],
        said: SaidAnew,
        is_news: Callable[[Record, FoundClip], bool],
        done: dict[str, Record],
    ) -> None:
        self.cache, self.clips, self.said, self.is_news, self.done = cache, clips, said, is_news, done
        self._begun = False

    def add(self, record: Record) -> None:
        self.done[record["row"]["clip_id"]] = record

    def write(self) -> None:
        """Writes the file in one piece.

        Raises:
            InputError: it can't be written, or says otherwise who consented than this run wrote into it.
        """
        if self._begun:
            self._check_consent()
        self._begun = True
        self._learn_of_others()
        rows = (ManifestRow(**record["row"]) for record in self.done.values())
        try:
            write_manifest(self.cache / MANIFEST_NAME, map(self.said.add_to, rows))
        except OSError as error:
            raise InputError(f"the manifest in {self.cache} cannot be written: {error.strerror}") from error

    def _check_consent(self) -> None:
        path = self.cache / MANIFEST_NAME
        try:
            rows = read_manifest(path)
        except (InputError, OSError):  # gone or damaged: written anew
            return
        others = {row.speaker for row in rows if row.consent != answer_of(row.speaker, self.said.consent)}
        if others:
            raise InputError(
                f"another preparation has written into {path} who consented, otherwise than this one was told "
                f"(speaker {min(others) or 'unknown'}, for one): what is finished is kept; start again with the table "
                "that holds, --consent FILE"
            )

    def _learn_of_others(self) -> None:
        missing = [clip for clip in self.clips if self._is_open(clip)]
        if not missing:
            return
        records = read_records(self.cache)
        for clip in missing:
            record = records.get(clip.clip_id)
            if record and self.is_news(record, clip):
                self.add(record)

    def _is_open(self, clip: FoundClip) -> bool:
        """Whether this run has nothing of the clip, or something that is to be tried again."""
        record = self.done.get(clip.clip_id)
        return record is None or record.get("again", False)
