"""A test from its first clip to its report, whoever made the clips: `s2v test` and `s2v score` both run this."""

import time
from collections import Counter
from typing import Any

from torch import Tensor

from s2v.batch import FPS, SAMPLE_RATE
from s2v.evaluation.clip_measurement import ClipMeasurement
from s2v.evaluation.clip_rows import ClipRow, TestClip
from s2v.evaluation.contact_sheet import Strip, strip_of
from s2v.evaluation.protocol import Protocol, generated_frames
from s2v.evaluation.provenance import describe_judge, git_commit, package_versions
from s2v.evaluation.report import Report
from s2v.evaluation.retrieval import describe_genders
from s2v.evaluation.row_table import RowTable
from s2v.evaluation.summary import summarise
from s2v.files.file_hash import sha256_of_list
from s2v.process.freed_memory import give_back_freed_memory

BOOTSTRAP_SEED = 0


class Scoring:
    """Measures clips as they come and keeps numbers, embeddings and thumbnails alone.

    Args:
        protocol: with its judges.
        bootstrap: resamples behind each 95 % interval.
        max_strips: of the contact sheet, which has one for each speaker, or clip without one, and emotion; 0: no sheet.
    """

    def __init__(self, protocol: Protocol, bootstrap: int = 1000, max_strips: int = 48) -> None:
        self.protocol = protocol
        self.bootstrap = bootstrap
        self.max_strips = max_strips
        self.strips: dict[tuple[str, str], Strip] = {}
        self._sizes: set[tuple[int, int]] = set()
        self.oblong: set[tuple[int, int]] = set()
        """Widths and heights of pictures, real or generated, that are not square."""
        self._started = time.monotonic()

    @property
    def system(self) -> str:
        """Name of what is tested."""
        return self.protocol.systems[0]

    def add(self, clip: TestClip) -> dict[str, ClipRow]:
        """Measure one clip; its rows by system."""
        rows = self.take(measure_clip(self.protocol, clip, self.wants_strip(clip)), clip.emotion)
        give_back_freed_memory()
        return rows

    def wants_strip(self, clip: TestClip) -> bool:
        """Is there room on the contact sheet for a clip like this?"""
        return self._has_room_for(_strip_key(clip.clip_id, clip.speaker, clip.emotion))

    def take(self, found: ClipMeasurement, emotion: str) -> dict[str, ClipRow]:
        """Keep what `measure_clip` found, here or elsewhere; clips in the test's order."""
        if found.size is not None:
            self._sizes.add(found.size)
        for size in (found.size, found.generated_size):
            if size is not None and size[0] != size[1]:
                self.oblong.add(size)
        key = _strip_key(found.clip_id, found.speaker, emotion)
        if found.strip is not None and self._has_room_for(key):
            self.strips[key] = found.strip
        return self.protocol.take(found)

    def _has_room_for(self, key: tuple[str, str]) -> bool:
        return key not in self.strips and len(self.strips) < self.max_strips

    def refuse(self, clip_id: str, speaker: str, reason: str) -> None:
        """Count a clip of which there are no real frames."""
        self.protocol.refuse(clip_id, speaker, reason)

    def report(self, meta: dict[str, Any], teachers: set[str] | None) -> Report | None:
        """The report on all clips; None where there were none.

        Args:
            meta: what the caller knows of data set, checkpoint and device.
            teachers: hashes of the files the system learned from; None where that is not known.
        """
        rows = self.protocol.finish()
        if not rows:
            return None
        systems = summarise(
            rows,
            self.bootstrap,
            BOOTSTRAP_SEED,
            self.protocol.spread,
            self.protocol.split_fid,
            self.protocol.own.declared,
        )
        strips = [self.strips[key] for key in sorted(self.strips)]
        return Report(rows, systems, meta | self._meta(rows, teachers), strips)

    def _meta(self, rows: RowTable, teachers: set[str] | None) -> dict[str, Any]:
        clips = [row for row in rows if row.system == self.system]
        judges = {
            "identity": self.protocol.identity,
            "emotion": self.protocol.emotion,
            "sync": self.protocol.sync,
            "perceptual": self.protocol.perceptual,
            "fid": self.protocol.fid,
            "landmarks": self.protocol.landmarks,
        }
        width, height = max(self._sizes, default=(0, 0))
        return {
            "clips": len(clips),
            "speakers": len({row.speaker for row in clips if row.speaker}),
            "clip_list_sha256": sha256_of_list(row.clip_id for row in clips),
            "judges": {name: describe_judge(judge, teachers) for name, judge in judges.items()},
            "own_metrics": self.protocol.own.declared,
            "fid_frames": self.protocol.split_fid.frames if self.protocol.split_fid is not None else None,
            "emotion_references": dict(
                Counter(row.emotion_reference for row in clips if row.emotion_reference)
            ),
            "genders": describe_genders(rows),
            "image_size": f"{width} x {height}"
            + (" (largest; sizes differ)" if len(self._sizes) > 1 else ""),
            "oblong": [f"{across} x {high}" for across, high in sorted(self.oblong)],
            "trim": self.protocol.pixels.trim,
            "resize": self.protocol.pixels.resize,
            "adjusted_clips": sum(bool(row.adjusted) for row in clips),
            "fps": FPS,
            "sample_rate": SAMPLE_RATE,
            "packages": package_versions(),
            "git_commit": git_commit(),
            "seed": BOOTSTRAP_SEED,
            "bootstrap_resamples": self.bootstrap,
            "seconds": round(time.monotonic() - self._started, 1),
        }


def _strip_key(clip_id: str, speaker: str, emotion: str) -> tuple[str, str]:
    """Clips that share it share a strip, which it names: clips without a speaker are strangers, and share none."""
    return speaker or clip_id, emotion


def measure_clip(protocol: Protocol, clip: TestClip, with_strip: bool) -> ClipMeasurement:
    """What one clip tells, with a strip for the contact sheet if there are two rows of pictures to show."""
    found = protocol.measure(clip)
    found.size = (clip.real.shape[-1], clip.real.shape[-2])
    generated = generated_frames(clip)
    if isinstance(generated, Tensor):
        found.generated_size = (generated.shape[-1], generated.shape[-2])
    if with_strip and isinstance(generated, Tensor):
        title = " ".join(filter(None, _strip_key(clip.clip_id, clip.speaker, clip.emotion)))
        found.strip = strip_of(title, {"real": clip.real, "generated": generated}, FPS)
    return found
