"""Axes, curves and labels of the report's figures."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from sv_py.report.html import Html, join, tag
from sv_py.report.svg import HEIGHT, LEFT, TOP, WIDTH, Plot, linear_axis, rate_axis, whisker


def points(drawn: str, style: str) -> list[tuple[float, float]]:
    """The points of the curve of a style."""
    found = re.search(rf'points="([^"]*)" class="line {style}"', drawn)[1]
    return [tuple(map(float, point.split(","))) for point in found.split()]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (-0.31, 0.94, ["0", "0.5"]),
        (0, 1.9e-3, ["0", "0.0005", "0.001", "0.0015"]),
        (0.5, 29.5, ["5", "10", "15", "20", "25"]),
        (7, 7, ["6.6", "6.8", "7", "7.2", "7.4"]),
    ],
)
def test_ticks_are_few_round_numbers_within_the_axis(low, high, ticks):
    assert list(linear_axis("", low, high).ticks.values()) == ticks


def test_rates_are_spaced_as_the_quantiles_of_a_normal_distribution():
    axis = rate_axis("", 0.001, 0.5)
    z = {0.001: -3.0902, 0.05: -1.6449, 0.5: 0.0}
    assert axis.place(list(z)) == pytest.approx([(value + 3.0902) / 3.0902 for value in z.values()], abs=1e-4)
    assert axis.ticks[0.005] == "0.5" and min(axis.ticks) == 0.001 and max(axis.ticks) == 0.4
    assert axis.place([0, 1]).tolist() == [-2, 3]  # infinitely far


def test_a_curve_is_interrupted_where_there_is_no_number():
    plot = Plot("", linear_axis("", 0, 4), linear_axis("", 0, 1))
    plot.line([0, 1, 2, 3, 4], [0, 1, np.nan, 1, 0], "c0")
    assert plot.svg().count('class="line c0"') == 2


def test_a_curve_of_very_many_points_is_drawn_with_those_that_can_be_told_apart():
    plot = Plot("", linear_axis("", 0, 1), linear_axis("", 0, 1))
    x = np.linspace(0, 1, 100_000)
    plot.line(x, x, "c0")
    drawn = points(plot.svg(), "c0")
    assert 300 < len(drawn) < 1500
    assert drawn[0] == (LEFT, HEIGHT - 38) and drawn[-1][1] == TOP


class Labels(HTMLParser):
    """The labels of vertical lines: (begin, end, height, text), and where the lines stand, in one order."""

    def __init__(self, svg: str):
        super().__init__()
        self.lines, self.labels, self._open = [], [], None
        self.feed(svg)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if attrs.get("class", "").startswith("rule"):
            self.lines.append(float(attrs["x1"]))
        self._open = attrs if attrs.get("class", "").startswith("note") else None

    def handle_data(self, data):
        if self._open:
            begin, width = float(self._open["x"]), 6.3 * len(data)
            begin -= width if self._open["text-anchor"] == "end" else 0
            self.labels.append((begin, begin + width, float(self._open["y"]), data))


@pytest.mark.parametrize(
    "places",
    [
        (0.1, 0.12, 0.14),
        (0.8, 0.9, 0.99),
        (0.1, 0.5, 0.9),
        (0.3, 0.3, 0.3),
        (0.05, 0.2, 0.88, 0.9),
        (0.65, 0.78, 0.8, 0.89),
    ],
)
def test_labels_of_lines_neither_overlap_nor_are_crossed_by_other_lines(places):
    plot = Plot("", linear_axis("", 0, 1), linear_axis("", 0, 1))
    plot.rules([(x, f"threshold{k}", "") for k, x in enumerate(places)])
    found = Labels(plot.svg())
    assert len(found.labels) == len(found.lines) == len(places)
    for own, (begin, end, y, name) in enumerate(found.labels):
        assert begin >= LEFT and end <= WIDTH, name
        for other, (b, e, other_y, _) in enumerate(found.labels):
            if other != own:
                assert y != other_y or e <= begin or end <= b, name
                assert not (begin < found.lines[other] < end and other_y <= y), name


def test_an_interval_is_drawn_to_scale():
    drawn = whisker(0.05, (0.02, 0.1), 0.2, "c1")
    assert 'x1="10.0%" x2="50.0%"' in drawn and 'cx="25.0%"' in drawn


def test_text_is_escaped_and_html_is_not_escaped_again():
    inner = tag("b", "1 < 2", class_="x")
    assert inner == '<b class="x">1 &lt; 2</b>' and isinstance(inner, Html)
    assert tag("p", inner, None, " & ", title='"') == '<p title="&quot;"><b class="x">1 &lt; 2</b> &amp; </p>'
    assert join("<", Html("<br>")) == "&lt;<br>"
    assert tag("meta", charset="utf-8", name=None) == '<meta charset="utf-8">'
