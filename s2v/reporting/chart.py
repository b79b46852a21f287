"""A line chart as inline SVG: a line a run, drawn here, colours and dashes from the page's style."""

import math
from html import escape

from matplotlib.ticker import LogLocator, MaxNLocator

from s2v.reporting.metrics_file import Series

WIDTH, HEIGHT = 420, 250
LEFT, RIGHT, TOP, BOTTOM = 72, 24, 10, 28
"""Room for labels: 1.00025e6 left of the axis, half of 100000 beyond its end."""
LOG_FROM = 50.0
"""Largest over smallest value from which an axis of positive values is logarithmic."""
FEW_DECADES = 300.0
"""Largest over smallest value below which 2 and 5 are ticks of a logarithmic axis too."""
MOST_POINTS = 400
STYLES = 8
"""Line styles that the page's style sheet has: classes s0 to s7."""


def chart_svg(metric: str, lines: list[tuple[int, str, Series]]) -> str:
    """The chart's SVG.

    Args:
        metric: what it shows, for readers who don't see it.
        lines: (number of the run's style, run's name, its values), none of them empty.
    """
    values = [value for _, _, series in lines for _, value in series]
    steps = [step for _, _, series in lines for step, _ in series]
    log = is_logarithmic(values)
    x_axis = _Axis(min(steps), max(steps), LEFT, WIDTH - RIGHT, log=False)
    y_axis = _Axis(min(values), max(values), HEIGHT - BOTTOM, TOP, log)
    ends = "; ".join(f"{name} ends at {series[-1][1]:.4g}" for _, name, series in lines)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(f"{metric}: {ends}")}">',
    ]
    for tick in y_axis.ticks(5):
        y = y_axis(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_label(tick)}</text>')
    for tick in x_axis.ticks(4):
        x = x_axis(tick)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{_label(tick)}</text>')
    for style, name, series in lines:
        points = [f"{x_axis(step):.1f},{y_axis(value):.1f}" for step, value in thinned(series)]
        title = f"<title>{escape(name)}</title>"
        css = f"s{style % STYLES}"
        if len(points) > 1:
            parts.append(f'<polyline class="line {css}" points="{" ".join(points)}">{title}</polyline>')
        step, value = series[-1]
        place = f'cx="{x_axis(step):.1f}" cy="{y_axis(value):.1f}"'
        parts.append(f'<circle class="dot {css}" {place} r="3">{title}</circle>')
    return "".join([*parts, "</svg>"])


def is_logarithmic(values: list[float]) -> bool:
    """Whether values are positive and span so much that a linear axis would show the largest alone."""
    return min(values) > 0 and max(values) / min(values) >= LOG_FROM


def thinned(series: Series, most: int = MOST_POINTS) -> Series:
    """At most `most` points: the smallest and the largest of every stretch, so that no peak is lost."""
    if len(series) <= most:
        return series
    stretches = most // 2
    kept: Series = []
    for number in range(stretches):
        stretch = series[number * len(series) // stretches : (number + 1) * len(series) // stretches]
        extremes = {min(stretch, key=lambda point: point[1]), max(stretch, key=lambda point: point[1])}
        kept += sorted(extremes)
    return kept


class _Axis:
    """A value's place on the drawing; an axis whose values are all one has room on both sides of it."""

    def __init__(self, low: float, high: float, start: float, end: float, log: bool) -> None:
        self.log = log
        if low == high:
            room = abs(low) * 0.1 or 1.0
            low, high = low - room, high + room
        self.low, self.high = low, high
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        low, high, at = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        locator = self._log_locator(most) if self.log else MaxNLocator(most)
        ticks = [float(tick) for tick in locator.tick_values(self.low, self.high)]
        return [tick for tick in ticks if self.low <= tick <= self.high]

    def _log_locator(self, most: int) -> LogLocator:
        # with 2 and 5 it would give too many ticks for a few decades, and not one for many
        few = self.high / self.low < FEW_DECADES
        return LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,), numticks=most)


def _label(value: float) -> str:
    """A tick's place in so many digits that those of a narrow axis differ: 22.252, 1002.5."""
    if value and (abs(value) >= 1e6 or abs(value) < 1e-3):
        mantissa, exponent = f"{value:.6e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:.7g}"
