"""The interface of a metric of one's own, which `TestReport(metrics=...)` and `s2v score --metric` ask."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from s2v.errors import InputError
from s2v.own_modules import own_class


@dataclass(frozen=True)
class ShownClip:
    """What one system, the tested or a calibration, shows and lets hear of a clip; nothing here is to be changed."""

    clip_id: str
    speaker: str
    """Empty where unknown."""
    emotion: str
    """Empty where unlabelled."""
    gender: str
    """The speaker's; empty where unlabelled."""
    system: str
    """Its name in the report."""
    frames: Tensor
    """(T, 3, H, W) uint8 RGB at 25 fps, on the CPU or where the system made them."""
    real: Tensor
    """(R, 3, h, w) likewise; R = T, h = H and w = W for a metric of the `same_shape`."""
    speech: Tensor
    """(N,) int16, 16 kHz, beside `frames`, N about 640 T; empty for a metric that does not hear."""


class ClipMetric(ABC):
    """Numbers a clip, which a report treats as it does its own: rows, means with intervals, tables, files.

    Attributes:
        better: name of each number -> where better lies: "up", "down", "zero", "one", "real" (as real clips are), or ""
            for a number that is neither good nor bad.
        definitions: name -> what it means, in a line.
        hears: it listens to the speech. `ground_truth_shifted` and `ground_truth_swapped`, whose pictures are the real
            ones, are measured for such a metric alone; others have ground_truth's value there.
        same_shape: it compares pixel by pixel: generated clips of other size or length than the real one give no value
            and the reason, unless --trim and --resize make them alike.
    """

    better: Mapping[str, str]
    definitions: Mapping[str, str]
    hears: bool = False
    same_shape: bool = False

    @abstractmethod
    def measure(self, clip: ShownClip) -> Mapping[str, float]:
        """The numbers of one clip; what can't be measured is left out or nan.

        An infinite number is left out too, and the row says so: it would be the mean of all clips.

        Raises:
            InputError: nothing can be measured; the message becomes the row's reason.
        """

    def move_to(self, device: torch.device | str) -> None:
        """Bring its networks to the judges' device; frames have to follow in `measure`."""
        for part in vars(self).values():
            if isinstance(part, nn.Module):
                part.to(device)


def load_clip_metric(path: str) -> ClipMetric:
    """A metric by its class, `package.module.Class`, made without arguments.

    Raises:
        InputError: no such class, or it is none of `ClipMetric`'s, or it can't be made.
    """
    kind = own_class(path, "the metric")
    if not issubclass(kind, ClipMetric):
        raise InputError(f"the metric {path} is no subclass of s2v.evaluation.clip_metric.ClipMetric")
    try:
        metric: ClipMetric = kind()
    except TypeError as error:  # it wants arguments, or is abstract
        raise InputError(f"the metric {path} can't be made: {error}") from error
    return metric
