"""Smooth shapes on a supersampled canvas: splines through control points, soft masks, shaded blends."""

import math
from collections.abc import Sequence
from copy import copy
from functools import lru_cache

import cv2
import numpy as np
from scipy.interpolate import CubicSpline

Points = Sequence[tuple[float, float]] | np.ndarray
Tint = Sequence[float] | np.ndarray
_SHIFT = 4  # fractional bits of OpenCV's sub-pixel coordinates


@lru_cache(maxsize=256)
def _spline_basis(knots: int, closed: bool, count: int) -> np.ndarray:
    """(count, knots): a cubic spline with evenly spaced knots is linear in its control points."""
    if closed:
        unit = np.eye(knots)[[*range(knots), 0]]
        spline = CubicSpline(np.arange(knots + 1), unit, bc_type="periodic")
        return spline(np.linspace(0, knots, count, endpoint=False))
    return CubicSpline(np.arange(knots), np.eye(knots), bc_type="natural")(np.linspace(0, knots - 1, count))


def curve(points: Points, closed: bool = True, count: int = 90) -> np.ndarray:
    """(count, 2) points of a cubic spline through `points`."""
    return _spline_basis(len(points), closed, count) @ np.asarray(points, dtype=float)


def moved(points: np.ndarray, x: float, y: float) -> np.ndarray:
    """The same outline elsewhere."""
    return points + np.array([x, y])


def mirrored(right: Points) -> np.ndarray:
    """A closed outline from its right half, given from top to bottom; the axis is x = 0.5."""
    half = np.asarray(right, dtype=float)
    left = half[::-1].copy()
    left[:, 0] = 1 - left[:, 0]
    return np.concatenate([half, left[np.abs(left[:, 0] - 0.5) > 1e-9]])


def _fixed(points: np.ndarray, scale: float) -> np.ndarray:
    # OpenCV puts a pixel's centre at whole numbers, the picture's coordinates put it at halves.
    return (points * (scale * (1 << _SHIFT)) - ((1 << _SHIFT) // 2 - 0.5)).astype(np.int32)


def _value(colour: Tint | float) -> Sequence[float]:
    return [float(c) for c in np.atleast_1d(np.asarray(colour))]


def fill(image: np.ndarray, points: np.ndarray, colour: Tint | float, scale: float | None = None) -> None:
    """Fill a polygon in place, anti-aliased.

    Args:
        scale: pixels of one unit of `points`; by default the image's height.
    """
    outline = _fixed(points, scale or image.shape[0])
    cv2.fillPoly(image, [outline], _value(colour), cv2.LINE_AA, _SHIFT)


def stroke(
    image: np.ndarray, points: np.ndarray, colour: Tint | float, width: float, scale: float | None = None
) -> None:
    """Draw an open line `width` thick in place, in the units of `fill`."""
    scale = scale or image.shape[0]
    thickness = max(1, round(width * scale))
    cv2.polylines(image, [_fixed(points, scale)], False, _value(colour), thickness, cv2.LINE_AA, _SHIFT)


class Window:
    """A view of part of a square picture, drawn on in the whole picture's coordinates: cheap to clip."""

    def __init__(self, image: np.ndarray, centre: tuple[float, float], reach: tuple[float, float]) -> None:
        self.scale = image.shape[0]
        low = [max(0, round((c - r) * self.scale)) for c, r in zip(centre, reach, strict=True)]
        high = [round((c + r) * self.scale) for c, r in zip(centre, reach, strict=True)]
        self.pixels = image[low[1] : high[1], low[0] : high[0]]
        self.corner = np.array(low) / self.scale

    def blank(self, colour: Tint) -> "Window":
        """A new picture of the same place in one colour."""
        other = copy(self)
        other.pixels = np.empty_like(self.pixels)
        other.pixels[:] = np.clip(np.asarray(colour), 0, 255)
        return other

    def fill(self, points: np.ndarray, colour: Tint) -> None:
        fill(self.pixels, points - self.corner, colour, self.scale)

    def stroke(self, points: np.ndarray, colour: Tint, width: float) -> None:
        stroke(self.pixels, points - self.corner, colour, width, self.scale)

    def coverage(self, outline: np.ndarray) -> np.ndarray:
        """(h, w, 1) float32 in 0..1."""
        canvas = np.zeros(self.pixels.shape[:2], np.uint8)
        fill(canvas, outline - self.corner, 255, self.scale)
        return canvas[..., None].astype(np.float32) / 255

    def paste(self, other: "Window", outline: np.ndarray) -> None:
        """Take over another window's picture inside `outline`."""
        mixed = self.pixels + self.coverage(outline) * (other.pixels.astype(np.float32) - self.pixels)
        self.pixels[:] = mixed.astype(np.uint8)


def tapered(points: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Outline of a brush stroke along `points` (n, 2) whose full width at each point is `width` (n,)."""
    along = np.empty_like(points)
    along[1:-1] = points[2:] - points[:-2]
    along[0], along[-1] = points[1] - points[0], points[-1] - points[-2]
    half = (0.5 * width / (np.sqrt((along * along).sum(axis=1)) + 1e-12))[:, None] * along[:, ::-1] * (-1, 1)
    return np.concatenate([points + half, (points - half)[::-1]])


@lru_cache(maxsize=8)
def _circle(count: int) -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([np.cos(turn), np.sin(turn)], axis=1)


def ellipse(x: float, y: float, rx: float, ry: float, angle: float = 0.0, count: int = 40) -> np.ndarray:
    """Outline (count, 2); `angle` in degrees, clockwise."""
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return _circle(count) @ np.array([[rx * c, rx * s], [-ry * s, ry * c]]) + (x, y)


def mask(size: int, *outlines: np.ndarray) -> np.ndarray:
    """(size, size) float32 in 0..1: the union of polygons."""
    canvas = np.zeros((size, size), np.uint8)
    for outline in outlines:
        fill(canvas, outline, 255)
    return canvas.astype(np.float32) / 255


def line(size: int, points: np.ndarray, width: float, sigma: float) -> np.ndarray:
    """(size, size) float32 in 0..1: an open line, blurred."""
    canvas = np.zeros((size, size), np.uint8)
    stroke(canvas, points, 255, width)
    return soften(canvas.astype(np.float32) / 255, sigma)


def soften(weight: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur by `sigma` (fraction of the height); wide ones at a quarter of the resolution."""
    height, width = weight.shape
    pixels = sigma * height
    if pixels < 6:
        return cv2.GaussianBlur(weight, (0, 0), max(pixels, 0.3))
    small = cv2.resize(weight, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), pixels / 4)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def blend(image: np.ndarray, weight: np.ndarray, colour: Tint | np.ndarray, amount: float = 1.0) -> None:
    """Mix `colour` (RGB, or a picture) into the float32 (H, W, 3) picture in place, by `weight` (H, W)."""
    left, top, width, height = cv2.boundingRect((weight > 1e-3).astype(np.uint8))
    if not width:
        return
    rows, columns = slice(top, top + height), slice(left, left + width)
    part = (weight[rows, columns] * amount)[..., None]
    target = np.asarray(colour, np.float32)
    target = target[rows, columns] if target.ndim == 3 else target
    image[rows, columns] += part * (target - image[rows, columns])


def shade(colour: Tint, factor: float) -> np.ndarray:
    """Lighter (above 1: towards white) or darker (below 1: towards black, a little warmer)."""
    rgb = np.asarray(colour, np.float32)
    if factor >= 1:
        return rgb + (255 - rgb) * (factor - 1)
    return rgb * (factor ** np.array([0.85, 1.0, 1.05], np.float32))
