"""How mouths move, by landmarks: no network of lips and speech is needed, and faces may be of any size.

Landmarks are the 68 of iBUG 300-W, points 48 to 67 around the lips. All lengths are shares of the distance between the
eyes, the clip's median, so that near and far faces compare.
"""

import math

from torch import Tensor

from s2v.metrics.blinks import EYES

MOUTH = slice(48, 68)
UPPER_LIP, LOWER_LIP = 62, 66
"""The middles of the lips' inner edges."""


def mouth_points(landmarks: Tensor) -> Tensor:
    """(T, 68, 2) pixels -> (T, 20, 2), each frame's mouth about its own centre; nan where the landmarks are."""
    mouth = landmarks[:, MOUTH]
    return (mouth - mouth.mean(dim=1, keepdim=True)) / _between_eyes(landmarks)


def mouth_opening(landmarks: Tensor) -> Tensor:
    """(T, 68, 2) pixels -> (T,): how far the lips' inner edges are apart; nan where the landmarks are."""
    return (landmarks[:, UPPER_LIP] - landmarks[:, LOWER_LIP]).norm(dim=-1) / _between_eyes(landmarks)


def mouth_landmark_distance(generated: Tensor, real: Tensor) -> float:
    """LMD of the mouth (Chen et al. 2018, equation 9): mean distance of a frame's 20 points about the mouth's centre.

    Args:
        generated: landmarks (T, 68, 2), or (1, 68, 2) of a picture held still.
        real: (T, 68, 2) of the same instants.

    Returns:
        Share of the distance between the eyes, over the frames where both have a face; nan where none has.
    """
    apart = (mouth_points(generated) - mouth_points(real)).norm(dim=-1).mean(dim=1)
    return float(apart.nanmean())


def mouth_opening_correlation(generated: Tensor, real: Tensor) -> float:
    """Pearson's correlation of two courses of `mouth_opening`, (T,) each, over the frames where both have a face.

    nan where one of them never changes, or fewer than two frames are left.
    """
    both = ~(generated.isnan() | real.isnan())
    if int(both.sum()) < 2:
        return math.nan
    a, b = (course[both].double() - course[both].double().mean() for course in (generated, real))
    size = float(a.norm() * b.norm())
    return float(a @ b) / size if size else math.nan


def mouth_opening_range(generated: Tensor, real: Tensor) -> float:
    """Standard deviation of `mouth_opening` over time, generated / real: 0 for a mouth that never moves.

    nan where the real one never does, or either has fewer than two frames with a face.
    """
    made, true = (float(course[~course.isnan()].double().std()) for course in (generated, real))
    return made / true if true else math.nan


def _between_eyes(landmarks: Tensor) -> Tensor:
    """Median over frames with a face, of the distance between the eyes' centres, pixels."""
    first, second = (landmarks[:, eye].mean(dim=1) for eye in EYES)
    return (first - second).norm(dim=-1).nanmedian()
