"""Which emotion shows? A judge's classes on generated clips against labels, or its view of the real clip."""

import torch
from torch import Tensor

_SPELLINGS = {
    "anger": ("ang", "angry"),
    "contempt": ("con", "contemptuous"),
    "disgust": ("dis", "disgusted"),
    "fear": ("fea", "fearful", "afraid"),
    "happiness": ("hap", "happy", "joy"),
    "neutral": ("neu", "calm"),
    "sadness": ("sad",),
    "surprise": ("sur", "surprised"),
}
_CANONICAL = {spelling: name for name, others in _SPELLINGS.items() for spelling in (name, *others)}


def canonical_emotion(name: str) -> str:
    """One spelling for what corpora and judges call differently: "HAP", "happy" -> "happiness".

    Unknown names come back in lower case.
    """
    lower = name.strip().lower()
    return _CANONICAL.get(lower, lower)


def clip_emotion(logits: Tensor) -> int:
    """The class with the highest mean probability over a clip's frames: (T, C) -> index."""
    return int(logits.float().softmax(dim=-1).mean(dim=0).argmax())


def confusion_matrix(predicted: Tensor, true: Tensor, num_classes: int) -> Tensor:
    """Counts (C, C) int64, rows true, columns predicted, of (N,) int64 twice."""
    pairs = torch.bincount(true * num_classes + predicted, minlength=num_classes**2)
    return pairs.reshape(num_classes, num_classes)


def macro_f1(confusion: Tensor) -> Tensor:
    """Unweighted mean of the F1 of the classes that occur: confusion matrices (..., C, C) -> (...).

    As scikit-learn's with `labels` given. Its default, and torchmetrics', also counts a class that is only predicted,
    as 0: one clip of 600 that looks contemptuous would cost a seventh where six emotions occur, and systems with the
    same clips would be averaged over different classes. nan where no class occurs.
    """
    counts = confusion.double()
    hits = counts.diagonal(dim1=-2, dim2=-1)
    true, predicted = counts.sum(dim=-1), counts.sum(dim=-2)
    occurs = true > 0
    f1 = torch.where(occurs, 2 * hits / (true + predicted).clamp(min=1), 0.0)
    return f1.sum(dim=-1) / occurs.sum(dim=-1)
