"""A test of two clips of each talking square, measured by its own judges."""

from s2v.evaluation.clip_rows import ClipRow, TestClip
from s2v.evaluation.protocol import Protocol
from s2v.evaluation.summary import summarise
from tests.s2v.evaluation.talking_squares import COLOURS, EMOTIONS, face_judge, square_clip, sync_judge


def corpus() -> list[TestClip]:
    return [
        square_clip(speaker, emotion, seed=10 * number + index)
        for number, speaker in enumerate(COLOURS)
        for index, emotion in enumerate(EMOTIONS)
    ]


def run(clips: list[TestClip], **judges: object) -> list[ClipRow]:
    chosen = {"identity": face_judge(), "emotion": face_judge(), "sync": sync_judge(), **judges}
    protocol = Protocol(**chosen)  # type: ignore[arg-type]
    for clip in clips:
        protocol.add(clip)
    return protocol.finish()


def of_system(rows: list[ClipRow], system: str) -> list[ClipRow]:
    return [row for row in rows if row.system == system]


def mean(rows: list[ClipRow], system: str, metric: str) -> float:
    return summarise(rows, resamples=0)[system][metric].mean
