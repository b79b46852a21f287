"""What goes into the protocol, a clip, and what comes out, a row for it and each system."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

GROUND_TRUTH = "ground_truth"
SHIFTED = "ground_truth_shifted"
SWAPPED = "ground_truth_swapped"
STILL = "still_frame"
ANOTHER_CLIP = "another_clip"
MEAN_IMAGE = "mean_image"
ANOTHER_SPEAKER = "another_speaker"
OWN_FRAMES = (GROUND_TRUTH, SHIFTED, SWAPPED, STILL)
"""Calibration rows made of the clip's own real frames."""
OTHER_FRAMES = (ANOTHER_CLIP, MEAN_IMAGE, ANOTHER_SPEAKER)
"""Those made of other clips' real frames, held still."""
CALIBRATION = (*OWN_FRAMES, *OTHER_FRAMES)

MP4 = "_mp4"
"""What metrics of the frames in an export's MP4 end in."""
EXPORTED = (
    "ssim",
    "psnr",
    "psnr_clip",
    "psnr_mouth",
    "sharpness",
    "motion",
    "sync_confidence",
    "sync_distance",
    "sync_prefers_true",
    "identity_cosine",
)
"""Metrics that are measured on those frames too."""

SHIFTED_BY = 10
"""Frames by which the speech of `ground_truth_shifted` is ahead of the pictures."""

BY_LABEL = "label"
BY_REAL_FRAMES = "judge on real frames"


@dataclass
class TestClip:
    """One whole clip of the test split."""

    __test__ = False  # not a test of pytest's

    clip_id: str
    speaker: str
    """Empty where unknown."""
    emotion: str
    """Empty where unlabelled."""
    real: Tensor
    """(T, 3, H, W) uint8 RGB at 25 fps."""
    generated: Tensor | str | None
    """The same, made by the system; None where it made nothing, or a sentence that says why there is none."""
    speech: Tensor | str
    """(N,) int16, 16 kHz; N about T * 640. Or a sentence that says why there is none."""
    generated_speech: Tensor | str | None = None
    """Likewise, what is heard beside the generated frames; None: the same speech."""
    exported: Tensor | None = None
    """The generated frames as a viewer gets them, decoded from an export's MP4; None: not looked at."""
    gender: str = ""
    """The speaker's; empty where unlabelled."""
    sentence: str = ""
    """A name of what is said, the same for the same words; empty where unknown."""

    def on_cpu(self) -> "TestClip":
        """The same for another process."""
        parts: dict[str, Any] = {
            name: part.cpu() for name, part in vars(self).items() if isinstance(part, Tensor)
        }
        return replace(self, **parts)


@dataclass
class ClipRow:
    """What was measured on one clip of one system."""

    clip_id: str
    speaker: str
    system: str
    values: dict[str, float] = field(default_factory=dict)
    """Metric name -> value; nan or absent where it could not be measured."""
    emotion_true: str = ""
    emotion_predicted: str = ""
    emotion_reference: str = ""
    """Where `emotion_true` comes from: `BY_LABEL`, `BY_REAL_FRAMES`, or empty."""
    reasons: list[str] = field(default_factory=list)
    """Why something could not be measured; empty for a row that is whole."""
    gender: str = ""
    """The speaker's; empty where unlabelled."""
    adjusted: str = ""
    """What was done to the pictures before they were compared pixel by pixel; empty: nothing."""

    @property
    def scored(self) -> bool:
        """Everything that was asked for is there."""
        return not self.reasons

    @property
    def reason(self) -> str:
        """All reasons as one text."""
        return "; ".join(self.reasons)

    @property
    def measured(self) -> bool:
        """Something is there, if not all."""
        return any(map(math.isfinite, self.values.values()))
