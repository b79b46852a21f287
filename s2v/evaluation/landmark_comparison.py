"""What landmarks tell of a clip: how often it blinks, and how its mouth moves beside the real one's."""

import math

from torch import Tensor

from s2v.batch import FPS
from s2v.evaluation.clip_rows import GROUND_TRUTH, SHIFTED, SHIFTED_BY, SWAPPED, ClipRow
from s2v.metrics.blinks import blink_rate, eye_aspect_ratio
from s2v.metrics.mouth_landmarks import (
    mouth_landmark_distance,
    mouth_opening,
    mouth_opening_correlation,
    mouth_opening_range,
)

LEAST_FRAMES = FPS
"""A second: fewer frames with a face say nothing of how often somebody blinks or how a mouth moves."""

LEAST_SHARE = 0.5
"""Of a clip's frames; where more are without a face, those that have one are a choice of the detector's."""


def compare_landmarks(rows: dict[str, ClipRow], found: dict[str, Tensor]) -> None:
    """Add a clip's blinks and mouth to its rows, or the reason why not.

    Args:
        rows: by system.
        found: system -> landmarks (T, 68, 2) of its frames, which begin with the real ones, or (1, 68, 2) of a
            picture held still; nan where there is no face.
    """
    faults = {name: _fault(landmarks) for name, landmarks in found.items()}
    unseen = faults[GROUND_TRUTH]
    for name, landmarks in found.items():
        if faults[name]:
            rows[name].reasons.append(faults[name])
        else:
            rows[name].values["blink_rate"] = _blinks(landmarks)
            if unseen:
                rows[name].reasons.append(f"the real clip's {unseen}")
    for name in (SHIFTED, SWAPPED):
        if unseen:
            rows[name].reasons.append(unseen)
        else:
            rows[name].values["blink_rate"] = rows[GROUND_TRUTH].values["blink_rate"]
    if unseen:
        return
    real, seen = found[GROUND_TRUTH], {name: marks for name, marks in found.items() if not faults[name]}
    for name in (*seen, SHIFTED, SWAPPED):
        values = rows[name].values
        values["blink_rate_difference"] = values["blink_rate"] - rows[GROUND_TRUTH].values["blink_rate"]
    for name, landmarks in seen.items():
        _compare_mouths(rows[name], landmarks, real)
    # as far from the real mouth as one that moves SHIFTED_BY frames late
    if len(real) - SHIFTED_BY >= LEAST_FRAMES:
        _compare_mouths(rows[SHIFTED], real[:-SHIFTED_BY], real[SHIFTED_BY:])


def _fault(landmarks: Tensor) -> str:
    """Why a clip's landmarks can't be measured; empty where they can."""
    count, faces = len(landmarks), int((~landmarks.isnan().any(dim=(1, 2))).sum())
    if count == 1:
        return "" if faces else "landmarks can't be compared: no face was found in the held frame"
    if count < LEAST_FRAMES:
        return f"landmarks can't be compared in {count} frames: {LEAST_FRAMES} are needed"
    if faces < max(LEAST_FRAMES, LEAST_SHARE * count):
        return f"landmarks can't be compared: a face was found in {faces} of {count} frames"
    return ""


def _blinks(landmarks: Tensor) -> float:
    """A second; a picture held still never blinks."""
    return 0.0 if len(landmarks) == 1 else blink_rate(eye_aspect_ratio(landmarks))


def _compare_mouths(row: ClipRow, generated: Tensor, real: Tensor) -> None:
    """Landmarks (T, 68, 2) each, frame by frame as far as both go, or generated (1, 68, 2), held."""
    if len(generated) > 1:
        both = min(len(generated), len(real))
        generated, real = generated[:both], real[:both]
        together = int((~(generated.isnan() | real.isnan()).any(dim=(1, 2))).sum())
        if together < LEAST_FRAMES:  # each may have a face in half of its frames, and they in no one both
            row.reasons.append(f"mouths can't be compared: both have a face in {together} of {both} frames")
            return
    values = {"mouth_lmd": mouth_landmark_distance(generated, real)}
    if len(generated) == 1:
        values["mouth_range"] = 0.0
    else:
        openings = mouth_opening(generated), mouth_opening(real)
        values["mouth_range"] = mouth_opening_range(*openings)
        # left out, the clips whose mouth a system freezes would better its mean
        frozen = values["mouth_range"] == 0
        values["mouth_correlation"] = 0.0 if frozen else mouth_opening_correlation(*openings)
    row.values |= {name: value for name, value in values.items() if math.isfinite(value)}
