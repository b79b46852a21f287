"""From the protocol's rows to a data set's numbers: means (macro-F1 for emotion) with bootstrap intervals."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch

from s2v.evaluation.bootstrap import Estimate, Floats, estimate, mean_estimate
from s2v.evaluation.clip_rows import EXPORTED, MP4, ClipRow
from s2v.evaluation.speaker_spread import SpeakerSpread
from s2v.evaluation.split_fid import SplitFid
from s2v.metrics import regional_quality
from s2v.metrics.emotion import confusion_matrix, macro_f1

_PICTURES = {name: "up" for name in regional_quality.METRICS}

CLIP_METRICS = _PICTURES | {
    "lpips": "down",
    "sharpness": "one",
    "motion": "one",
    "blink_rate": "real",
    "blink_rate_difference": "zero",
    "mouth_lmd": "down",
    "mouth_correlation": "up",
    "mouth_range": "one",
    "sync_confidence": "up",
    "sync_distance": "down",
    "sync_offset": "",
    "sync_offset_abs": "down",
    "sync_confidence_valid": "up",
    "sync_distance_valid": "down",
    "sync_offset_valid": "",
    "sync_offset_abs_valid": "down",
    "sync_within_one": "up",
    "sync_prefers_true": "up",
    "sync_prefers_true_pairs": "up",
    "identity_rank1": "up",
    "identity_rank5": "up",
    "identity_rank10": "up",
    "identity_cosine": "up",
    "gender_agreement": "up",
    "emotion_accuracy": "up",
}
# the mark swings from frame to frame: through an MP4 a frozen picture moves nearly as much as a real one
CLIP_METRICS |= {f"{name}{MP4}": "" if name == "motion" else CLIP_METRICS[name] for name in EXPORTED}
"""Metrics that have a value a clip, in the report's order, and where better lies.

"real": where the real clips' are; "": nowhere, as of an offset with its sign, where early and late clips cancel out.
"""

BETTER = {
    "up": "higher is better",
    "down": "lower is better",
    "zero": "0 is best",
    "one": "1 is best",
    "real": "as in real clips is best",
}
"""In words, for the directions above."""

METRICS = CLIP_METRICS | {"emotion_macro_f1": "up", "speaker_spread": "one", "fid": "down"}


def own_metrics(meta: Mapping[str, Any]) -> dict[str, str]:
    """Name -> where better lies, of the metrics of one's own that a report's meta tells of."""
    declared = meta.get("own_metrics")
    if not isinstance(declared, dict):  # an older report, or another program's
        return {}
    return {name: str(about.get("better")) for name, about in declared.items() if isinstance(about, dict)}


READ_FIRST = (
    "ssim",
    "psnr",
    "sharpness",
    "lpips",
    "fid",
    "sync_confidence",
    "sync_distance",
    "sync_prefers_true",
    "mouth_lmd",
    "mouth_correlation",
    "identity_rank1",
    "identity_cosine",
    "emotion_accuracy",
    "motion",
    "speaker_spread",
)
"""What the field reads first: the rows of a terminal's table; the files have all."""


def averages_note(with_intervals: bool) -> str:
    """What a table's numbers are."""
    if with_intervals:
        return (
            "Mean over clips with 95 % bootstrap interval, resampled by speaker; with fewer than five speakers it is "
            "too narrow."
        )
    return "Mean over clips, without intervals: these take resamples (bootstrap above 0) and two speakers or more."


class SystemSummary(dict[str, Estimate]):
    """Metric name -> estimate of one system, for the metrics that were measured at all."""

    def __init__(self, estimates: dict[str, Estimate], scored: int, total: int) -> None:
        super().__init__(estimates)
        self.scored = scored
        """Clips on which everything was measured."""
        self.total = total
        """Clips there were."""


def summarise(
    rows: Sequence[ClipRow],
    resamples: int = 1000,
    seed: int = 0,
    spread: SpeakerSpread | None = None,
    fid: SplitFid | None = None,
    own: Collection[str] = (),
) -> dict[str, SystemSummary]:
    """System -> its numbers, in the order in which the systems first appear in `rows`; `own`: one's own metrics."""
    systems = dict.fromkeys(row.system for row in rows)
    metrics = (*CLIP_METRICS, *own)
    found = {
        name: _summary([row for row in rows if row.system == name], metrics, resamples, seed)
        for name in systems
    }
    for name, summary in found.items():
        apart = spread.estimate(name, resamples, seed) if spread is not None else None
        if apart is not None:
            summary["speaker_spread"] = apart
    if fid is not None:
        for name, distance in fid.distances().items():
            found[name]["fid"] = Estimate(distance, math.nan, math.nan, fid.clips(name))
    return found


def _summary(rows: list[ClipRow], metrics: Collection[str], resamples: int, seed: int) -> SystemSummary:
    speakers = [row.speaker for row in rows]
    estimates = {
        metric: mean_estimate(
            [row.values.get(metric, float("nan")) for row in rows], speakers, resamples, seed
        )
        for metric in metrics
        if any(metric in row.values for row in rows)
    }
    judged = [row for row in rows if row.emotion_predicted]
    if judged:
        estimates["emotion_macro_f1"] = _emotion_f1(judged, resamples, seed)
    return SystemSummary(estimates, sum(row.scored for row in rows), len(rows))


def _emotion_f1(rows: list[ClipRow], resamples: int, seed: int) -> Estimate:
    classes = sorted({name for row in rows for name in (row.emotion_true, row.emotion_predicted)})
    speakers = sorted({row.speaker for row in rows})
    per_speaker = []
    for speaker in speakers:
        own = [row for row in rows if row.speaker == speaker]
        predicted = torch.tensor([classes.index(row.emotion_predicted) for row in own])
        true = torch.tensor([classes.index(row.emotion_true) for row in own])
        per_speaker.append(confusion_matrix(predicted, true, len(classes)).flatten())
    totals = torch.stack(per_speaker).double().numpy()

    def f1(sums: Floats) -> Floats:
        confusions = torch.from_numpy(sums).unflatten(1, (len(classes), len(classes)))
        return macro_f1(confusions).numpy()

    return estimate(totals, f1, len(rows), resamples, seed)
