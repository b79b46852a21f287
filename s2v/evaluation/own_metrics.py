"""Metrics of one's own in a test: asked about every row of a clip, and declared to the report."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from s2v.batch import SAMPLES_PER_FRAME
from s2v.errors import InputError
from s2v.evaluation.borrowed_speech import BorrowedSpeech
from s2v.evaluation.clip_measurement import ClipMeasurement
from s2v.evaluation.clip_metric import ClipMetric, ShownClip
from s2v.evaluation.clip_rows import GROUND_TRUTH, SHIFTED, SHIFTED_BY, STILL, SWAPPED, ClipRow, TestClip
from s2v.evaluation.definitions import DEFINITIONS
from s2v.evaluation.pixel_comparison import PixelComparison
from s2v.evaluation.report_rows import COLUMNS
from s2v.evaluation.row_table import RowTable
from s2v.evaluation.summary import BETTER, METRICS

_TAKEN = {*METRICS, *DEFINITIONS, *COLUMNS, "total"}


@dataclass
class _Beside:
    """What a row shows, beside which real frames, and its speech or why there is none."""

    frames: Tensor
    real: Tensor
    speech: Tensor | str


class OwnMetrics:
    """All that a test was given.

    Args:
        metrics: in the order of the report.

    Raises:
        InputError: a name is another metric's or no plain word, or lacks a direction or a definition.
    """

    def __init__(self, metrics: Sequence[ClipMetric] = ()) -> None:
        self.metrics = tuple(metrics)
        self.declared: dict[str, dict[str, Any]] = {}
        """Name -> what a report's meta says of it."""
        for metric in self.metrics:
            self._declare(metric)
        self._hearing = [metric for metric in self.metrics if metric.hears]
        self._borrowed: BorrowedSpeech[tuple[int, TestClip]] = BorrowedSpeech()
        """Of samples (N,); the place of a row that waits for them, and its clip."""

    def _declare(self, metric: ClipMetric) -> None:
        kind = f"{type(metric).__module__}.{type(metric).__qualname__}"
        better, definitions = getattr(metric, "better", {}), getattr(metric, "definitions", {})
        if not better or better.keys() != definitions.keys():
            raise InputError(
                f"the metric {kind} must name the same numbers, at least one, in better and definitions"
            )
        for name, direction in better.items():
            if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII):
                raise InputError(f"the metric {kind}: {name!r} is no name of letters, digits and underscores")
            if name in _TAKEN or name in self.declared:
                by = self.declared[name]["class"] if name in self.declared else "the report's own"
                raise InputError(f"the metric {kind}: the name {name!r} is taken ({by}); give it another")
            if direction and direction not in BETTER:
                raise InputError(
                    f"the metric {kind}: better[{name!r}] is one of {', '.join(BETTER)} or empty, got {direction!r}"
                )
            self.declared[name] = {
                "class": kind,
                "better": direction,
                "definition": definitions[name],
                "same_shape": metric.same_shape,
            }

    def move_to(self, device: torch.device | str) -> None:
        """Bring their networks to a device."""
        for metric in self.metrics:
            metric.move_to(device)

    def measure(
        self,
        found: ClipMeasurement,
        clip: TestClip,
        faces: dict[str, Tensor],
        ours: str,
        pixels: PixelComparison,
    ) -> None:
        """Fill in the rows of a clip, except what a hearing metric makes of another clip's speech.

        Args:
            found: with the clip's rows by system.
            clip: the clip.
            faces: what each system shows, (T, 3, H, W), or (1, 3, H, W) held still; the tested one's as it came.
            ours: the tested system.
            pixels: makes clips comparable, or says why they are not.

        Raises:
            InputError: a metric gave what it had not declared.
        """
        if not self.metrics:
            return
        count = len(clip.real)
        beside = {
            name: _Beside(
                frames.expand(count, -1, -1, -1) if name != ours else frames, clip.real, clip.speech
            )
            for name, frames in faces.items()
        }
        if ours in beside and clip.generated_speech is not None:
            beside[ours].speech = clip.generated_speech
        # the held frame is the clip's own first: it is given, not made
        beside[STILL] = _from(beside[STILL], 1)
        later = replace(_from(beside[GROUND_TRUTH], SHIFTED_BY), frames=clip.real[:-SHIFTED_BY])
        later.real = later.frames
        for metric in self.metrics:
            shown = beside | ({SHIFTED: later} if metric.hears else {})
            for name, one in shown.items():
                alike = pixels if name == ours and metric.same_shape else None
                self._ask(metric, found.rows[name], clip, one, alike)
            if not metric.hears:
                for name in (SHIFTED, SWAPPED):
                    _copy(metric, found.rows[GROUND_TRUTH], found.rows[name])
        if self._hearing:
            found.clip = replace(clip, generated=None, generated_speech=None)

    def take(self, found: ClipMeasurement, index: int) -> None:
        """Clip by clip in the test's order: every clip borrows another one's speech, see `BorrowedSpeech`.

        Args:
            found: what `measure` filled in.
            index: where the row SWAPPED will be in the test's table.
        """
        if found.clip is None:
            return
        row = found.rows[SWAPPED]
        if isinstance(found.clip.speech, str):
            _give_reason(row, found.clip.speech)
            return
        borrowed = self._borrowed.take(found.sentence, found.clip.speech, (index, found.clip))
        if borrowed is not None:
            self._swap(row, found.clip, borrowed)

    def finish(self, rows: RowTable) -> None:
        """The first clips, which found no other speech before them, borrow it now."""
        for (index, clip), borrowed in self._borrowed.finish():
            row = rows[index]
            self._swap(row, clip, borrowed)
            rows[index] = row

    def _swap(self, row: ClipRow, clip: TestClip, speech: Tensor | str) -> None:
        if isinstance(speech, str):
            _give_reason(row, speech)
            return
        count = min(len(clip.real), len(speech) // SAMPLES_PER_FRAME)
        real = clip.real[:count]
        for metric in self._hearing:
            self._ask(metric, row, clip, _Beside(real, real, speech[: count * SAMPLES_PER_FRAME]))

    def _ask(
        self,
        metric: ClipMetric,
        row: ClipRow,
        clip: TestClip,
        beside: _Beside,
        alike: PixelComparison | None = None,
    ) -> None:
        frames, real, speech = beside.frames, beside.real, beside.speech
        if not metric.hears:
            speech = torch.zeros(0, dtype=torch.int16)
        if isinstance(speech, str):
            _give_reason(row, speech)
            return
        name = type(metric).__name__
        if not len(frames):
            _give_reason(row, f"{name}: no frames are left")
            return
        try:
            if alike is not None:
                frames, real, _ = alike.comparable(frames, real)
        except InputError as error:  # the built-in metrics' reason too
            _give_reason(row, str(error))
            return
        shown = ShownClip(
            row.clip_id, row.speaker, clip.emotion, row.gender, row.system, frames, real, speech
        )
        try:
            values = metric.measure(shown)
        except InputError as error:
            _give_reason(row, f"{name}: {error}")
            return
        except Exception as error:  # a fault of its own: where it came up is not in its traceback
            raise RuntimeError(f"the metric {name} failed on {row.system} of clip {row.clip_id}") from error
        if unknown := sorted(values.keys() - metric.better.keys()):
            raise InputError(
                f"the metric {name} gave {', '.join(map(repr, unknown))}, of which its better says nothing"
            )
        row.values |= {number: float(value) for number, value in values.items() if not math.isinf(value)}
        if infinite := [number for number, value in values.items() if math.isinf(value)]:
            _give_reason(row, f"{name}: {', '.join(infinite)} infinite, of which there is no mean")


def _from(beside: _Beside, first: int) -> _Beside:
    """The same without its first frames, nor what is heard beside them."""
    speech = beside.speech
    return _Beside(
        beside.frames[first:],
        beside.real[first:],
        speech if isinstance(speech, str) else speech[first * SAMPLES_PER_FRAME :],
    )


def _copy(metric: ClipMetric, source: ClipRow, row: ClipRow) -> None:
    row.values |= {name: source.values[name] for name in metric.better if name in source.values}
    for reason in source.reasons:
        if reason.startswith(f"{type(metric).__name__}: "):
            _give_reason(row, reason)


def _give_reason(row: ClipRow, reason: str) -> None:
    """Once: a built-in metric may have said the same."""
    if reason not in row.reasons:
        row.reasons.append(reason)
