"""What the report shows of a system: the scores of one trial list by one experiment, back end, norm and calibration."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sv_py.io.quality import QualityTable
from sv_py.io.scores import Scores

_BINS = 60


@dataclass(frozen=True)
class Curve:
    """A DET curve: rates of false accepts and false rejects, (K,), and the band (2, B) of the latter at ``grid`` (B,).

    ``cheapest`` is the point (false accepts, false rejects) of minDCF(0.01), or None where that is to reject all.
    """

    far: np.ndarray
    frr: np.ndarray
    grid: np.ndarray
    band: np.ndarray | None
    cheapest: tuple[float, float] | None


@dataclass(frozen=True)
class Histogram:
    """Densities of the scores of either kind between ``edges``; at either end a bin has all that lies beyond."""

    edges: np.ndarray
    target: np.ndarray
    nontarget: np.ndarray


@dataclass(frozen=True)
class WorstTrial:
    """A trial far on the wrong side; ``quality``: measure -> its values of both ids."""

    enrol: str
    test: str
    score: float
    target: bool
    quality: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Decision:
    """A threshold of a calibration: for a rate of false accepts (``kind`` far) or a prior.

    ``chosen`` has its rates, far and frr, on the calibration's trials, with intervals; ``here`` those on the list.
    """

    kind: str
    value: str
    chosen: dict
    here: dict[str, float]


@dataclass(frozen=True)
class System:
    """``result`` stands in results.json; ``p_values``: its metrics' differences from those of another system.

    ``reliability``, of calibrated scores only: log-likelihood ratios, and what they should be by the PAV of the trials.
    """

    experiment: str
    key: str  # in results.json
    trials: str
    backend: str
    steps: tuple[str, ...]  # normalisation and calibration, as the file's name has them
    result: dict
    p_values: dict | None
    curve: Curve
    histogram: Histogram
    reliability: tuple[np.ndarray, np.ndarray] | None
    decisions: Sequence[Decision]
    worst: Sequence[WorstTrial]

    @property
    def scoring(self) -> str:
        """Back end, normalisation and calibration."""
        return " + ".join([self.backend, *self.steps])


class Line(NamedTuple):
    """A system as a table or a figure shows it: its name there, and the style of its colour."""

    name: str
    system: System
    style: str


def histogram(scores: Scores) -> Histogram:
    """Bins between the outermost thousandths of either kind, so that a stray score does not squeeze all others."""
    kinds = scores.scores[scores.target], scores.scores[~scores.target]
    ends = [np.quantile(kind, [0.001, 0.999]) for kind in kinds]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    width = edges[1] - edges[0]
    densities = [np.histogram(np.clip(kind, edges[0], edges[-1]), edges)[0] / (len(kind) * width) for kind in kinds]
    return Histogram(edges, *densities)


def decide(scores: Scores, thresholds: dict[str, dict[str, dict | None]]) -> list[Decision]:
    """What the ``thresholds`` of a calibration do to ``scores``; those that it had too few trials for are left out."""
    found = []
    for kind, points in thresholds.items():
        for value, point in points.items():
            if point:
                accepted = scores.scores >= point["threshold"]
                here = {"far": accepted[~scores.target].mean(), "frr": 1 - accepted[scores.target].mean()}
                found.append(Decision(kind, value, point, {rate: float(share) for rate, share in here.items()}))
    return found


def worst_trials(scores: Scores, quality: QualityTable | None, count: int) -> list[WorstTrial]:
    """The ``count`` target trials with the lowest scores, then the ``count`` non-target trials with the highest.

    Raises InputError where ``quality`` lacks an id.
    """
    rows = []
    for kind, sign in ((True, 1), (False, -1)):
        of_kind = np.flatnonzero(scores.target == kind)
        rows += of_kind[np.argsort(sign * scores.scores[of_kind], kind="stable")[:count]].tolist()
    measures = quality.measures if quality else []
    values = quality.of_ids(scores, measures) if quality else np.empty((len(scores.ids), 0))
    sides = [(int(scores.enrol[row]), int(scores.test[row])) for row in rows]
    return [
        WorstTrial(
            scores.ids[enrol], scores.ids[test], float(scores.scores[row]), bool(scores.target[row]),
            dict(zip(measures, values[[enrol, test]].T.tolist(), strict=True)),
        )
        for row, (enrol, test) in zip(rows, sides, strict=True)
    ]  # fmt: skip
