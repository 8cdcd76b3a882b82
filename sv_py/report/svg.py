"""Small figures as SVG: axes, curves, bands, filled outlines and marks, in the colours of the page's style sheet.

A figure is as wide as the page lets it be, and as a phone's screen in its own units, so that its text stays legible
there. Classes `c0` to `c7` are the colours of experiments or systems, others those of what is drawn.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sv_py.report.html import Html, tag

WIDTH, HEIGHT = 380, 270
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 8, 38  # margins
COLOURS = 8
_ROW = 14  # of the labels of vertical lines
_RATES = (0.00001, 0.0001, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9)


@dataclass(frozen=True)
class Axis:
    """From ``low`` to ``high``; ``ticks`` are values with their labels, ``bend`` makes distances of values."""

    label: str
    low: float
    high: float
    ticks: Mapping[float, str]
    bend: Callable[[np.ndarray], np.ndarray] = np.asarray

    def place(self, values: Sequence[float]) -> np.ndarray:
        """Where ``values`` lie: 0 at ``low``, 1 at ``high``; what is infinite, or far outside, from -2 to 3."""
        low, high = self.bend(np.array([self.low, self.high]))
        return np.clip((self.bend(np.asarray(values, float)) - low) / (high - low), -2, 3)


def linear_axis(label: str, low: float, high: float, room: float = 0.0) -> Axis:
    """Evenly spaced, with at most seven round ticks; ``room`` is left above, as a share of the whole."""
    if high <= low:
        low, high = low - 0.5, low + 0.5
    high += room * (high - low)
    power = 10 ** math.floor(math.log10((high - low) / 6))
    step = next(power * unit for unit in (1, 2, 5, 10) if power * unit * 6 >= high - low)
    ticks = step * np.arange(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return Axis(label, low, high, {float(tick): f"{tick:.6g}" for tick in ticks})


def rate_axis(label: str, low: float, high: float) -> Axis:
    """Fractions in per cent, spaced as the quantiles of a normal distribution, as in a DET plot."""
    from scipy.special import ndtri  # here, since other commands draw without its start-up time

    return Axis(label, low, high, {rate: f"{100 * rate:g}" for rate in _RATES if low <= rate <= high}, ndtri)


@dataclass(frozen=True)
class _Label:
    """Of a vertical line: where the line stands, its row from above, its side (1: right, -1: left), text and style."""

    line: float
    row: int
    side: int
    text: str
    style: str

    @property
    def ends(self) -> tuple[float, float]:
        """Where it begins and ends, with its distances."""
        far = self.line + self.side * (6.3 * len(self.text) + 8)  # about: letters differ
        return min(self.line, far), max(self.line, far)

    def fits(self, others: Sequence["_Label"]) -> bool:
        """Whether it lies within the figure, on no other label, and no line crosses another's label."""
        return self.ends[0] >= LEFT and self.ends[1] <= WIDTH and not any(map(self._collides, others))

    def _collides(self, other: "_Label") -> bool:
        (begin, end), (other_begin, other_end) = self.ends, other.ends
        overlaps = self.row == other.row and begin < other_end and other_begin < end
        crossed = begin < other.line < end and other.row <= self.row
        crosses = other_begin < self.line < other_end and self.row <= other.row
        return overlaps or crossed or crosses


def _arrange(marks: Sequence[tuple[float, str, str]]) -> list[_Label]:
    """Labels of vertical lines at ``marks`` (place, text, style), each as high as the others let it.

    They stand to the right of their lines, or all to the left, or only those to the left for which there is no room.
    """
    rising = sorted(marks)
    right = [_Label(place, 0, 1, text, style) for place, text, style in rising]
    left = [_Label(place, 0, -1, text, style) for place, text, style in reversed(rising)]
    either = [label for label in left if label.ends[1] - label.ends[0] > WIDTH - label.line]
    either += [label for label in right if label.fits([])]
    for labels in (right, left, either):
        placed: list[_Label] = []
        for label in labels:
            rows = (replace(label, row=row) for row in range(len(labels)))
            placed += [one for one in rows if one.fits(placed)][:1]
        if len(placed) == len(marks):
            return placed
    return [replace(label, row=row) for row, label in enumerate(either)]


class Plot:
    """One pair of axes; what is drawn first lies below."""

    def __init__(self, title: str, x: Axis, y: Axis, height: int = HEIGHT):
        self.title, self.x, self.y, self.height = title, x, y, height
        self._width, self._depth = WIDTH - LEFT - RIGHT, height - TOP - BOTTOM
        self._drawn: list[Html] = []  # inside the axes
        self._marks: list[Html] = []  # over them

    def line(self, xs: Sequence[float], ys: Sequence[float], style: str) -> None:
        """A curve; it is interrupted where ``ys`` is NaN."""
        gaps = np.isnan(np.asarray(ys, float))
        for part in np.split(np.arange(len(gaps)), np.flatnonzero(gaps)):
            part = part[~gaps[part]]
            if len(part):
                places = self._points(np.asarray(xs)[part], np.asarray(ys)[part])
                self._drawn.append(tag("polyline", points=places, class_=f"line {style}"))

    def band(self, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], style: str) -> None:
        """What lies between two curves."""
        there_and_back = self._points([*xs, *reversed(xs)], [*lows, *reversed(highs)])
        self._drawn.append(tag("polygon", points=there_and_back, class_=f"band {style}"))

    def area(self, edges: Sequence[float], heights: Sequence[float], style: str) -> None:
        """A histogram: the outline of bars between ``edges``, filled down to the axis."""
        xs, ys = np.repeat(edges, 2), np.concatenate([[self.y.low], np.repeat(heights, 2), [self.y.low]])
        self._drawn.append(tag("polygon", points=self._points(xs, ys), class_=f"area {style}"))

    def dots(self, xs: Iterable[float], ys: Iterable[float], style: str) -> None:
        """Round marks."""
        for x, y in zip(self._across(xs), self._down(ys), strict=True):
            self._drawn.append(tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=3.5, class_=f"dot {style}"))

    def diagonal(self) -> None:
        """Where both values are equal."""
        ends = np.linspace(max(self.x.low, self.y.low), min(self.x.high, self.y.high), 50)
        self._drawn.append(tag("polyline", points=self._points(ends, ends), class_="line faint"))

    def rules(self, marks: Sequence[tuple[float, str, str]]) -> None:
        """Vertical lines at x, each with a label, in whose row it begins, and a style."""
        places = self._across([x for x, _, _ in marks]).tolist()
        for label in _arrange([(place, *mark[1:]) for place, mark in zip(places, marks, strict=True)]):
            top = TOP + _ROW * label.row
            ends = {"x1": f"{label.line:.1f}", "x2": f"{label.line:.1f}", "y1": top + 2, "y2": TOP + self._depth}
            place = {"x": f"{label.line + 4 * label.side:.1f}", "y": top + 11}
            anchor = "start" if label.side > 0 else "end"
            self._marks.append(tag("line", **ends, class_=f"rule {label.style}"))
            self._marks.append(tag("text", label.text, **place, text_anchor=anchor, class_=f"note {label.style}"))

    def svg(self) -> Html:
        """The figure."""
        bottom, right = TOP + self._depth, LEFT + self._width
        grid, labels = [], []
        for place, text in zip(self._across(self.x.ticks), self.x.ticks.values(), strict=True):
            grid.append(tag("line", x1=f"{place:.1f}", x2=f"{place:.1f}", y1=TOP, y2=bottom))
            labels.append(tag("text", text, x=f"{place:.1f}", y=bottom + 15, text_anchor="middle"))
        for place, text in zip(self._down(self.y.ticks), self.y.ticks.values(), strict=True):
            grid.append(tag("line", x1=LEFT, x2=right, y1=f"{place:.1f}", y2=f"{place:.1f}"))
            labels.append(tag("text", text, x=LEFT - 5, y=f"{place + 4:.1f}", text_anchor="end"))
        middle = TOP + self._depth / 2
        labels.append(
            tag("text", self.x.label, x=LEFT + self._width / 2, y=self.height - 6, text_anchor="middle", class_="name")
        )
        turned = f"translate(12 {middle:.1f}) rotate(-90)"
        labels.append(tag("text", self.y.label, transform=turned, text_anchor="middle", class_="name"))
        frame = {"x": LEFT, "y": TOP, "width": self._width, "height": self._depth}
        frame["viewBox"] = " ".join(map(str, frame.values()))  # the same units; what lies outside is hidden
        return tag(
            "svg",
            tag("g", *grid, class_="grid"),
            tag("svg", *self._drawn, **frame),
            *self._marks,
            tag("g", *labels, class_="labels"),
            viewBox=f"0 0 {WIDTH} {self.height}",
            role="img",
            aria_label=self.title,
        )

    def _across(self, values: Iterable[float]) -> np.ndarray:
        return LEFT + self._width * self.x.place(list(values))

    def _down(self, values: Iterable[float]) -> np.ndarray:
        return TOP + self._depth * (1 - self.y.place(list(values)))

    def _points(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        """Those that follow one another at one place, in halves of a unit, are one: curves may have 100,000 points."""
        places = np.round(2 * np.stack([self._across(xs), self._down(ys)], axis=1)) / 2
        moved = np.append(True, (places[1:] != places[:-1]).any(axis=1))
        return " ".join(f"{x:g},{y:g}" for x, y in places[moved])


def whisker(value: float, interval: tuple[float, float], most: float, style: str) -> Html:
    """A value and its interval as a dot on a line, from 0 at the left to ``most`` at the right, of any width."""
    low, high, dot = (f"{100 * min(end, most) / most:.1f}%" for end in (*interval, value))
    return tag(
        "svg",
        tag("line", x1="0%", x2="100%", y1="50%", y2="50%", class_="scale"),
        tag("line", x1=low, x2=high, y1="50%", y2="50%"),
        tag("circle", cx=dot, cy="50%", r=4),
        class_=f"whisker {style}",
        aria_hidden="true",
    )
