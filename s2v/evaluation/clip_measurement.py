"""What one clip contributes to a test: plain values and small tensors, so that other processes can measure."""

from dataclasses import dataclass, field

from torch import Tensor

from s2v.evaluation.clip_rows import ClipRow, TestClip
from s2v.evaluation.contact_sheet import Strip


@dataclass
class ClipMeasurement:
    """Of a clip alone; what needs other clips (ranks, swapped speech, spread, FID) is computed from them all."""

    clip_id: str
    speaker: str
    rows: dict[str, ClipRow]
    """By system, without what needs other clips."""
    embeddings: dict[str, Tensor] = field(default_factory=dict)
    """System -> (D,) identity; empty without a judge or frames."""
    pictures: dict[str, Tensor] = field(default_factory=dict)
    """System -> mean picture, see `mean_picture`; empty for an unknown speaker."""
    features: dict[str, Tensor] = field(default_factory=dict)
    """System -> (T, 2048) of FID's Inception; empty without it."""
    lips: Tensor | None = None
    """(W, D), of the real frames, for another clip's speech."""
    heard: Tensor | None = None
    """(W, D), of the speech, for another clip's lips."""
    sentence: str = ""
    """What is said; empty where unknown."""
    strip: Strip | None = None
    """For the contact sheet."""
    clip: TestClip | None = None
    """Its real frames and speech, where a metric of one's own will hear other speech beside them."""
    size: tuple[int, int] | None = None
    """Width and height of the real frames."""
    generated_size: tuple[int, int] | None = None
    """Of the generated ones; None where there are none."""
