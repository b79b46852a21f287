"""Curves land where their values say."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from s2v.reporting.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, chart_svg, is_logarithmic, thinned


def points(svg: str) -> list[list[tuple[float, float]]]:
    """Each line's points."""
    found = re.findall(r'points="([^"]+)"', svg)
    return [[(float(x), float(y)) for x, y in (pair.split(",") for pair in line.split())] for line in found]


def test_corners() -> None:
    (line,) = points(chart_svg("m", [(0, "a", [(0, 1.0), (50, 2.0), (100, 3.0)])]))
    middle = (LEFT + (WIDTH - RIGHT - LEFT) / 2, TOP + (HEIGHT - BOTTOM - TOP) / 2)
    assert line == [(LEFT, HEIGHT - BOTTOM), pytest.approx(middle, abs=0.06), (WIDTH - RIGHT, TOP)]


def test_a_logarithmic_axis_puts_1_between_a_hundredth_and_100() -> None:
    (line,) = points(chart_svg("m", [(0, "a", [(0, 0.01), (50, 1.0), (100, 100.0)])]))
    assert line[1][1] == pytest.approx((line[0][1] + line[2][1]) / 2, abs=0.1)
    assert is_logarithmic([1.0, 50.0]) and not is_logarithmic([1.0, 49.0]) and not is_logarithmic([0.0, 50.0])


@pytest.mark.parametrize("value", [0.0, -3.0, 1e-12, 1e12])
def test_a_value_that_never_changes_is_drawn(value: float) -> None:
    svg = chart_svg("m", [(0, "a", [(7, value), (8, value)])])
    assert [y for _, y in points(svg)[0]] == pytest.approx([(TOP + HEIGHT - BOTTOM) / 2] * 2, abs=0.06)


def test_it_is_xml_whatever_the_names() -> None:
    svg = chart_svg("<a\"&'", [(0, "</title><script>", [(0, 1.0), (1, 2.0)]), (9, "b", [(3, 1.0)])])
    root = ElementTree.fromstring(svg)
    assert {element.tag for element in root.iter()} == {"svg", "line", "text", "polyline", "title", "circle"}
    assert root.get("aria-label") == "<a\"&': </title><script> ends at 2; b ends at 1"
    assert [circle.get("class") for circle in root.iter("circle")] == ["dot s0", "dot s1"]


def test_thinning_keeps_every_peak() -> None:
    series = [(step, 100.0 if step == 5_003 else float(step % 2)) for step in range(10_000)]
    kept = thinned(series, 100)
    assert len(kept) <= 100 and (5_003, 100.0) in kept and kept == sorted(kept)
    assert thinned(series[:50], 100) == series[:50]
