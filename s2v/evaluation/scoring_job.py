"""One pair's place in a parallel scoring: read and measured in a joblib worker, whose judges are loaded once."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from torch import Tensor

from s2v.evaluation.clip_measurement import ClipMeasurement
from s2v.evaluation.clip_metric import ClipMetric, load_clip_metric
from s2v.evaluation.clip_rows import TestClip
from s2v.evaluation.held_pictures import HeldPictures, mean_frame
from s2v.evaluation.judges import (
    load_emotion_judge,
    load_fid_judge,
    load_identity_judge,
    load_perceptual_judge,
    load_sync_judge,
)
from s2v.evaluation.landmark_judge import load_landmark_judge
from s2v.evaluation.own_metrics import OwnMetrics
from s2v.evaluation.protocol import Protocol
from s2v.evaluation.scoring import measure_clip
from s2v.evaluation.video_crop import VideoCrop
from s2v.evaluation.video_pairs import VideoPair, read_pair, real_frames
from s2v.models.face_landmarks import names_installed
from s2v.process.freed_memory import give_back_freed_memory
from s2v.process.one_thread_each import one_thread
from s2v.weight_files.weight_source import absolute_source


@dataclass(frozen=True)
class ScoringJob:
    """What a worker needs beside the pair; plain values, so that it travels to other machines.

    Weights are as on the command line, `[KIND:]FILE`; None leaves a judge out.
    """

    system: str
    identity: str | None = None
    emotion: str | None = None
    sync: str | None = None
    perceptual: str | None = None
    fid: str | None = None
    landmarks: str | None = None
    device: str = "cpu"
    own_sound: bool = True
    crop: VideoCrop | None = None
    trim: int = 0
    resize: bool = False
    metrics: tuple[str, ...] = ()
    """Classes of metrics of one's own, `package.module.Class`; a worker imports them itself."""

    def protocol(self, metrics: Iterable[ClipMetric] = ()) -> Protocol:
        """With its judges loaded, on the CPU; `metrics` of one's own beside the job's."""
        return Protocol(
            self.system,
            load_identity_judge(self.identity) if self.identity else None,
            load_emotion_judge(self.emotion) if self.emotion else None,
            load_sync_judge(self.sync) if self.sync else None,
            load_perceptual_judge(self.perceptual) if self.perceptual else None,
            load_fid_judge(self.fid) if self.fid else None,
            load_landmark_judge(self.landmarks) if self.landmarks else None,
            trim=self.trim,
            resize=self.resize,
            own=OwnMetrics([*map(load_clip_metric, self.metrics), *metrics]),
        )

    def with_whole_paths(self) -> "ScoringJob":
        """The same for a worker that runs in another folder."""
        names = ("identity", "emotion", "sync", "perceptual", "fid", "landmarks")
        given = {name: getattr(self, name) for name in names}
        if names_installed(self.landmarks):
            # the installed trees lie elsewhere on other machines: their name travels, not their path
            del given["landmarks"]
        whole: dict[str, Any] = {name: absolute_source(source) for name, source in given.items() if source}
        if self.crop is not None and self.crop.detector:
            whole["crop"] = replace(self.crop, detector=absolute_source(self.crop.detector))
        return replace(self, **whole)


def look_at_pair(pair: VideoPair, job: ScoringJob) -> tuple[Tensor, Tensor] | None:
    """First and mean picture of the real video, for `HeldPictures`; None where there are none.

    The judges are loaded before the first look, not before the first measurement: joblib takes the memory after a
    process's first task as its measure, and starts a process that has grown by 300 MB anew.
    """
    _loaded(job)
    with one_thread():
        frames = real_frames(pair, job.crop)
        return None if frames is None else (frames[0].clone(), mean_frame(frames))


def measure_pair(
    pair: VideoPair, job: ScoringJob, held: HeldPictures | None, with_strip: bool
) -> ClipMeasurement | str:
    """One pair's measurement, or why nothing can be measured; `held` as `HeldPictures.for_speaker` gives it."""
    with one_thread():
        clip = read_pair(pair, job.own_sound, job.crop)
        return clip if isinstance(clip, str) else measure_clip_of(clip, job, held, with_strip)


def measure_clip_of(
    clip: TestClip, job: ScoringJob, held: HeldPictures | None, with_strip: bool
) -> ClipMeasurement:
    """A clip's measurement by the job's judges; `held` as `HeldPictures.for_speaker` gives it."""
    with one_thread():
        protocol = copy.copy(_loaded(job))  # a Dask worker may measure several clips at a time
        if held is not None:
            protocol.hold(held)
        found = measure_clip(protocol, clip, with_strip)
    give_back_freed_memory()
    return found


def load_judges(job: ScoringJob) -> None:
    """Have this process ready for the job's clips."""
    _loaded(job)


@lru_cache(maxsize=1)
def _loaded(job: ScoringJob) -> Protocol:
    protocol = job.protocol()
    protocol.move_to(job.device)
    return protocol
