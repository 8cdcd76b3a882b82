"""The report's figures: DET curves, histograms of scores, calibration, trainings."""

from collections.abc import Mapping, Sequence
from math import log

import numpy as np

from sv_py.report.curves import PANELS, phase_starts, values_of
from sv_py.report.html import Html, tag
from sv_py.report.svg import Axis, Plot, linear_axis, rate_axis
from sv_py.report.system import Line


def legend(entries: Mapping[str, str]) -> Html:
    """A list of names, each with the style that it is drawn in."""
    return tag(
        "ul", *(tag("li", tag("span", class_=f"swatch {style}"), name) for name, style in entries.items()),
        class_="legend",
    )  # fmt: skip


def _figure(caption: str, note: str | None, plot: Plot, key: Html | None = None) -> Html:
    return tag("figure", tag("figcaption", caption, note and tag("span", f" {note}")), plot.svg(), key)


def det(caption: str, lines: Sequence[Line]) -> Html:
    """DET curves with their bands."""
    results = [line.system.result for line in lines]
    most = 0.5 if max(result["eer"] for result in results) < 0.3 else 0.9
    kinds = (("false accepts, %", "nontarget"), ("false rejects, %", "target"))
    x, y = (rate_axis(label, 0.7 / max(r["counts"][kind] for r in results), most) for label, kind in kinds)
    plot = Plot(f"DET curves, {caption}", x, y, height=300)
    plot.diagonal()
    for _, system, style in lines:
        if system.curve.band is not None:
            plot.band(system.curve.grid, *system.curve.band, style)
    for _, system, style in lines:
        plot.line(system.curve.far, system.curve.frr, style)
        if system.curve.cheapest:
            plot.dots(*zip(system.curve.cheapest), style)
    key = legend({line.name: line.style for line in lines})
    banded = any(line.system.curve.band is not None for line in lines)
    return _figure("DET curves", f"{'with 95 % bands; ' if banded else ''}circles: minDCF(0.01)", plot, key)


def scores(line: Line) -> Html:
    """Histograms of the scores of both kinds, with the thresholds of the metrics."""
    bars, result = line.system.histogram, line.system.result
    label = "log-likelihood ratio" if result["calibrated"] else "score"
    density = Axis("density", 0, 1.4 * max(bars.target.max(), bars.nontarget.max()), {})
    thresholds = _thresholds(result)
    ends = [*bars.edges[[0, -1]], *(threshold for threshold, *_ in thresholds)]
    plot = Plot(f"scores, {line.name}", linear_axis(label, min(ends), max(ends)), density)
    kinds = {"non-targets": "nontarget", "targets": "target"}
    for kind in kinds.values():
        plot.area(bars.edges, getattr(bars, kind), kind)
    plot.rules(thresholds)
    return _figure("Scores,", line.name, plot, legend(kinds))


def _thresholds(result: dict) -> list[tuple[float, str, str]]:
    """Where trials are accepted: at the EER; at minDCF or, of calibrated scores, where the prior says so."""
    found = {"EER": result["eer_threshold"]}
    for prior, threshold in result["min_dcf_threshold"].items():
        if result["calibrated"]:
            found[f"prior {prior}"] = log((1 - float(prior)) / float(prior))
        else:
            found[f"minDCF({prior})"] = threshold
    return [(threshold, label, "") for label, threshold in found.items() if threshold is not None]


def calibration(line: Line) -> Html:
    """Log-likelihood ratios against those that the trials themselves ask for."""
    given, asked = line.system.reliability
    low, high = line.system.histogram.edges[[0, -1]]
    axes = [linear_axis(label, low, high) for label in ("log-likelihood ratio", "best calibration (PAV)")]
    plot = Plot(f"calibration, {line.name}", *axes)
    plot.diagonal()
    plot.line(given, np.where(np.isfinite(asked), asked, np.nan), line.style)
    return _figure("Calibration,", line.name, plot)


def trainings(epochs: Mapping[str, Sequence[dict]], styles: Mapping[str, str]) -> list[Html]:
    """Curves of the experiments' trainings, a figure for each quantity that one of them has."""
    found = []
    for title, scale, *keys in PANELS:
        curves = {
            (name, key): scale * np.array(values_of(of, key), float)
            for name, of in epochs.items()
            for key in keys
            if key and any(value is not None for value in values_of(of, key))
        }
        if not curves:
            continue
        numbers = np.concatenate(list(curves.values()))
        y = linear_axis("", float(np.nanmin(numbers)), float(np.nanmax(numbers)), room=0.2)
        plot = Plot(title, linear_axis("epoch", 0.5, max(map(len, epochs.values())) + 0.5), y)
        for (name, key), curve in curves.items():
            plot.line(range(1, len(curve) + 1), curve, styles[name] + (" dashed" if key != keys[0] else ""))
        starts: dict[tuple[float, str], str] = {}
        for name, of in epochs.items():
            for before, phase in phase_starts(of):
                place = before + 0.5, phase
                starts[place] = "" if place in starts else styles[name]  # of several experiments: of none's colour
        plot.rules([(x, phase, style) for (x, phase), style in starts.items()])
        found.append(_figure(title, None, plot))
    return found
