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


def tick_labels(values: list[float]) -> list[str]:
    """What the value axis says."""
    texts = ElementTree.fromstring(chart_svg("m", [(0, "a", list(enumerate(values)))])).iter("text")
    return [str(text.text) for text in texts if text.get("text-anchor") == "end"]


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.9, 46.0, ["1", "2", "5", "10", "20"]),
        (0.002, 60.0, ["0.01", "0.1", "1", "10"]),
        (1e-6, 1.0, ["1e-6", "1e-4", "0.01", "1"]),
    ],
)
def test_a_logarithmic_axis_has_ticks_and_room_between_them(
    low: float, high: float, labels: list[str]
) -> None:
    assert tick_labels([low, high]) == labels


@pytest.mark.parametrize(("low", "high", "last"), [(1e6, 1.0012e6, 100_000), (-1.5e-4, -1.1e-4, 20_000)])
def test_no_label_is_cut_off_at_the_drawing_s_edge(low: float, high: float, last: int) -> None:
    """A digit of 12 pixels' height is up to 7.7 wide; the last step's label stands about its axis' end."""
    svg = ElementTree.fromstring(chart_svg("m", [(0, "a", [(0, low), (last, high)])]))
    for text in svg.iter("text"):
        place, width = float(text.get("x", "nan")), sum({".": 4, "-": 5}.get(c, 7.7) for c in str(text.text))
        start = place - width if text.get("text-anchor") == "end" else place - width / 2
        assert start >= 0 and start + width <= WIDTH, text.text
    assert str(last) in [text.text for text in svg.iter("text")]


def test_a_tick_says_where_it_is() -> None:
    assert tick_labels([1e-4, 1.75e-4]) == ["1.05e-4", "1.2e-4", "1.35e-4", "1.5e-4", "1.65e-4"]
    assert tick_labels([0.0, 50_000.0]) == ["0", "10000", "20000", "30000", "40000", "50000"]
    assert tick_labels([22.25, 22.256]) == ["22.2505", "22.252", "22.2535", "22.255"]
    assert tick_labels([1000.0, 1012.0]) == ["1000", "1002.5", "1005", "1007.5", "1010"]
    assert tick_labels([1e6, 1.75e6]) == ["1.05e6", "1.2e6", "1.35e6", "1.5e6", "1.65e6"]
