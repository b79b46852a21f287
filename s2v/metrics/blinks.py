"""Blinks a second from eyelid landmarks, by the eye aspect ratio of Soukupová & Čech 2016.

Landmarks are the 68 of iBUG 300-W, points 36 to 47 around the eyes. The ratio depends on the person, the view and the
network, so an eye counts as shut against what is open in the same clip.
"""

import torch
from torch import Tensor

from s2v.batch import FPS

POINTS = 68
EYES = (slice(36, 42), slice(42, 48))
"""Each: outer or inner corner, two of the upper lid, the other corner, two of the lower lid."""

SHUT_BELOW, OPEN_ABOVE = 0.65, 0.85
"""Of the clip's open eyes. Between the two an eye stays what it was: noise at the edge is no second blink."""

OPEN_QUANTILE = 0.75
"""Eyes are open most of the time; the widest frames are noise and surprise."""

LONGEST_SECONDS = 0.5
"""A blink takes 0.1 to 0.4 s; eyes lowered or closed for longer are none."""


def eye_aspect_ratio(landmarks: Tensor) -> Tensor:
    """(T, 68, 2) x and y -> (T,), mean of both eyes: the lids' distance over the corners', about 0.3 open, 0.1 shut.

    nan where the landmarks are.
    """
    ratios = []
    for eye in EYES:
        corner, upper, upper2, corner2, lower2, lower = landmarks[:, eye].unbind(dim=1)
        lids = (upper - lower).norm(dim=-1) + (upper2 - lower2).norm(dim=-1)
        ratios.append(lids / (2 * (corner - corner2).norm(dim=-1)))
    return torch.stack(ratios).mean(dim=0)


def count_blinks(ratios: Tensor) -> int:
    """How often the eyes shut in a clip of ratios (T,); frames without a face (nan) change nothing.

    The median of three frames comes first: a network's slip lasts one frame, a blink three and more. A blink that the
    clip's beginning or end cuts counts.
    """
    seen = ratios[~ratios.isnan()]
    if not len(seen):
        return 0
    held = torch.cat([seen[:1], seen, seen[-1:]])
    smooth = held.unfold(0, 3, 1).median(dim=1).values
    opened = float(smooth.quantile(OPEN_QUANTILE))
    blinks, shut_for = 0, 0
    for ratio in [*smooth.tolist(), opened]:
        if ratio < SHUT_BELOW * opened or (shut_for and not ratio > OPEN_ABOVE * opened):
            shut_for += 1
        else:
            blinks += 0 < shut_for <= LONGEST_SECONDS * FPS
            shut_for = 0
    return blinks


def blink_rate(ratios: Tensor) -> float:
    """Blinks a second of the frames (T,), 25 a second, that have a face; nan where none has."""
    seen = int((~ratios.isnan()).sum())
    return count_blinks(ratios) * FPS / seen if seen else float("nan")
