"""The clips of a cache: what `s2v prepare` has left there, checked against what is asked of it, and split."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from data_modules.clip_cache import CachedClip, read_header
from data_modules.clip_columns import ClipColumns
from data_modules.clip_manifest import MANIFEST_NAME, ManifestRow, read_manifest
from data_modules.evenly_spaced import evenly_spaced
from data_modules.layouts import layout_for_prepare
from data_modules.splits import PARTS, Split, is_folder_of_lists, split_of, write_split
from data_modules.unfinished import is_unfinished
from s2v.errors import InputError


@dataclass(frozen=True)
class ClipRequest:
    """Which clips of a cache are asked for.

    Attributes:
        cache_dir: folder that `s2v prepare` filled.
        root: the corpus it was filled from, where it is known.
        layout: the corpus' layout, as `s2v prepare` is told it.
        split: as `TalkingFaceDataModule`'s.
        image_size: side that the cached frames must have, pixels.
        crop: how they must be cropped; none and center are the same central square.
        speakers: only these; None: all.
        max_clips: at most so many clips of each part, evenly spaced; None: all.
    """

    cache_dir: Path
    root: Path | None
    layout: str
    split: str
    image_size: int
    crop: str
    speakers: list[str] | None
    max_clips: int | None

    @property
    def prepare_command(self) -> str:
        """The command line that fills the cache, for error messages."""
        root = self.root if self.root is not None else "CORPUS"
        layout = layout_for_prepare(self.layout)
        size = f" --size {self.image_size}" if self.image_size != 128 else ""
        crop = f" --crop {self.crop}" if self.crop != "none" else ""
        return f"s2v prepare --root {root} --layout {layout} --cache {self.cache_dir}{size}{crop}"


@dataclass(frozen=True)
class PreparedClips:
    """The usable clips of a cache.

    Attributes:
        asked: what they were asked for by.
        rows: clip id -> its row of the manifest.
        parts: ids of the clips of `train`, `val` and `test`, each sorted.
        crop: as the clips' own header says; None: a cache of a version that did not say it.
    """

    asked: ClipRequest
    rows: dict[str, ManifestRow]
    parts: Split
    crop: str | None

    @cached_property
    def speakers(self) -> list[str]:
        """Names, sorted, of those whom the manifest names."""
        return sorted({row.speaker for row in self.rows.values() if row.speaker})

    @cached_property
    def emotions(self) -> list[str]:
        """Names, sorted."""
        return sorted({row.emotion for row in self.rows.values() if row.emotion})

    @property
    def fps(self) -> float:
        """Stored frames a second, the same in all clips of a cache."""
        return next(iter(self.rows.values())).fps

    def clips(self, part: str) -> list[ManifestRow]:
        """Manifest rows of `train`, `val` or `test`, sorted by clip id."""
        return [self.rows[name] for name in self.parts[part]]

    def columns(self, part: str, window_frames: int = 1) -> ClipColumns:
        """The clips of a part that are as long as a window, labels as places in `speakers` and `emotions`.

        Raises:
            InputError: there are none.
        """
        cache, rows = self.asked.cache_dir, self.clips(part)
        names, moods = self.speakers, self.emotions
        if not rows:
            raise InputError(
                f"the {part} part of split {self.asked.split!r} of {cache} is empty ({len(self.rows)} usable clips, "
                f"{len(names)} speakers): prepare more clips or choose another split"
            )
        long = [row for row in rows if row.frames >= window_frames]
        if not long:
            raise InputError(
                f"all {len(rows)} clips of the {part} part of {cache} are shorter than a window of {window_frames} "
                f"frames (the longest has {max(row.frames for row in rows)}); lower window_frames"
            )
        if len(long) < len(rows):
            rank_zero_info(
                f"{len(rows) - len(long)} of {len(rows)} {part} clips are shorter than a window of "
                f"{window_frames} frames and are left out"
            )
        speakers = {name: number for number, name in enumerate(names)}
        emotions = {name: number for number, name in enumerate(moods)}
        return ClipColumns(
            [row.clip_id for row in long],
            # a Path for each takes most of a fit's start
            [os.path.join(cache, row.cache_file) for row in long],
            [row.frames for row in long],
            [int(row.fps) for row in long],
            [speakers.get(row.speaker, -1) for row in long],
            [emotions.get(row.emotion, -1) for row in long],
        )


def is_prepared(cache_dir: Path) -> bool:
    """Whether a preparation has come to its end there."""
    return (cache_dir / MANIFEST_NAME).is_file() and not is_unfinished(cache_dir)


def read_prepared(asked: ClipRequest) -> PreparedClips:
    """Read a cache's manifest and split its usable clips; the split's lists are written beside them.

    Raises:
        InputError: there are no clips, of another size or crop, or not to be split like this.
    """
    every = _read_rows(asked)
    usable = [row for row in every if row.ok]
    if not usable:
        raise InputError(
            f"none of the {len(every)} clips in {asked.cache_dir / MANIFEST_NAME} is usable; its column `reason` "
            "says why"
        )
    header = read_header(asked.cache_dir / usable[0].cache_file)
    if (header.height, header.width) != (asked.image_size, asked.image_size):
        raise InputError(
            f"the clips in {asked.cache_dir} are {header.width} x {header.height} pixels, image_size is "
            f"{asked.image_size}; set image_size, or run `{asked.prepare_command} --overwrite`"
        )
    crop = _checked_crop(header, asked)
    parts = _subset(_make_split(every, asked), usable, asked)
    chosen = {row.clip_id: row for row in usable if asked.speakers is None or row.speaker in asked.speakers}
    return PreparedClips(asked, chosen, parts, crop)


def _read_rows(asked: ClipRequest) -> list[ManifestRow]:
    manifest = asked.cache_dir / MANIFEST_NAME
    if not manifest.is_file():
        raise InputError(f"no prepared clips in {asked.cache_dir}; run `{asked.prepare_command}`")
    if is_unfinished(asked.cache_dir):
        rank_zero_warn(
            f"the preparation of {asked.cache_dir} has not come to its end: these are the clips so far; "
            f"`{asked.prepare_command}` goes on"
        )
    rows = read_manifest(manifest)
    if not rows:
        raise InputError(f"{manifest} has no clip yet; let `{asked.prepare_command}` finish")
    return rows


def _checked_crop(header: CachedClip, asked: ClipRequest) -> str | None:
    crop: str | None = header.settings.get("crop")
    if crop is not None and (crop == "face") != (asked.crop == "face"):
        raise InputError(
            f"the clips in {asked.cache_dir} were prepared with --crop {crop}, data.init_args.crop is {asked.crop}; "
            f"set data.init_args.crop={crop}, or run `{asked.prepare_command} --overwrite`"
        )
    return crop


def _make_split(rows: list[ManifestRow], asked: ClipRequest) -> Split:
    split = split_of(rows, asked.split)
    if is_folder_of_lists(asked.split):
        return split
    try:
        write_split(asked.cache_dir / "splits" / asked.split, split)
    except OSError as error:
        rank_zero_info(f"the split's lists are not written to {asked.cache_dir} ({error.strerror})")
    return split


def _subset(split: Split, usable: list[ManifestRow], asked: ClipRequest) -> Split:
    """What `speakers` and `max_clips` leave of it."""
    if asked.speakers is not None:
        of = {row.clip_id: row.speaker for row in usable}
        if unknown := sorted(set(asked.speakers) - set(of.values())):
            raise InputError(f"speakers {', '.join(unknown)} are not in {asked.cache_dir}")
        wanted = set(asked.speakers)
        split = {part: [name for name in split[part] if of[name] in wanted] for part in PARTS}
    if asked.max_clips is not None:
        split = {
            part: [split[part][place] for place in evenly_spaced(len(split[part]), asked.max_clips)]
            for part in PARTS
        }
    return split
