"""The operating points of scored trials, exact with ties: what every error rate is a function of.

A trial is accepted if its score >= threshold. As the threshold rises past all scores, trials are rejected one after the
other, those of one score together. Only where the curve turns is there an operating point to keep: scores of one kind
that follow each other are one straight step, so well separated trials have few points, whatever their number.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sv_py.cli import InputError


@dataclass(frozen=True)
class Roc:
    """K operating points, from accepting all trials to rejecting all, and the K - 1 steps between them.

    Point k rejects the ``targets_below[k]`` lowest of the sorted ``targets`` and likewise the non-targets.
    ``cuts`` are the points of the thresholds that were asked for.
    """

    targets: np.ndarray
    nontargets: np.ndarray
    targets_below: np.ndarray
    nontargets_below: np.ndarray
    cuts: np.ndarray

    def target_threshold(self, point: int) -> float | None:
        """The lowest target score that ``point`` accepts; None if it accepts no target."""
        below = int(self.targets_below[point])
        return float(self.targets[below]) if below < len(self.targets) else None


@dataclass(frozen=True)
class Rates:
    """Miss and false alarm rates (K,) at the points of a `Roc`; the trials' ``cllr`` if they have one."""

    miss: np.ndarray
    false_alarm: np.ndarray
    cllr: float | None = None


@dataclass(frozen=True)
class DetPoints:
    """A DET curve: ``far`` falls and ``frr`` rises with ``threshold``; (K,) each, the last threshold infinite."""

    far: np.ndarray
    frr: np.ndarray
    threshold: np.ndarray


def find_roc(scores: np.ndarray, target: np.ndarray, thresholds: Sequence[float] = ()) -> Roc:
    """The operating points of ``scores`` (N,) with labels ``target`` (N,) bool.

    There is one for each of ``thresholds`` too. Raises InputError where there are no trials of a kind.
    """
    return roc_of_sorted(np.sort(scores[target]), np.sort(scores[~target]), thresholds)


def roc_of_sorted(targets: np.ndarray, nontargets: np.ndarray, thresholds: Sequence[float] = ()) -> Roc:
    """As `find_roc`, of both kinds' scores, each in ascending order."""
    for kind, scores in (("target", targets), ("non-target", nontargets)):
        if not len(scores):
            raise InputError(f"there are no {kind} trials: error rates need both kinds")
    first = np.flatnonzero(np.concatenate([[True], targets[1:] != targets[:-1]]))
    distinct = targets[first]
    # Just at and just above each distinct target score; between these two lie the tied non-targets.
    missed = np.stack([first, np.append(first[1:], len(targets))], axis=1).ravel()
    rejected = np.stack([np.searchsorted(nontargets, distinct, side) for side in ("left", "right")], axis=1).ravel()
    points = _turns(np.concatenate([[0], missed, [len(targets)]]), np.concatenate([[0], rejected, [len(nontargets)]]))
    cuts = [np.searchsorted(scores, np.asarray(thresholds, float)) for scores in (targets, nontargets)]
    place = np.searchsorted(sum(points), np.sort(sum(cuts)))
    missed, rejected = (np.insert(below, place, np.sort(cut)) for below, cut in zip(points, cuts, strict=True))
    return Roc(targets, nontargets, missed, rejected, np.searchsorted(missed + rejected, sum(cuts)))


def _turns(*below: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of the points of a curve with the coordinates ``below``, those where it turns, and its ends."""
    moved = np.append(True, np.any([np.diff(part) for part in below], axis=0))
    below = tuple(part[moved] for part in below)
    straight = np.any([part[2:] == part[:-2] for part in below], axis=0)
    turns = np.concatenate([[True], ~straight, [True]])
    return tuple(part[turns] for part in below)


def error_rates(roc: Roc, cllr: float | None = None) -> Rates:
    """Rates of trials that all count once."""
    return Rates(
        roc.targets_below / len(roc.targets),
        (len(roc.nontargets) - roc.nontargets_below) / len(roc.nontargets),
        cllr,
    )


def weighted_error_rates(targets: np.ndarray, nontargets: np.ndarray, cllr: float | None = None) -> Rates:
    """Rates of trials that do not all count once, of the summed weights (K - 1,) of each step's trials.

    Each kind has weights above 0.
    """
    missed, rejected = (np.concatenate([[0], np.cumsum(weights)]) for weights in (targets, nontargets))
    return Rates(missed / missed[-1], (rejected[-1] - rejected) / rejected[-1], cllr)


def det_points(scores: np.ndarray, target: np.ndarray) -> DetPoints:
    """The DET curve of ``scores`` (N,) with labels ``target`` (N,): every point where it turns."""
    roc = find_roc(scores, target)
    rates = error_rates(roc)
    lowest = [
        np.append(scores, np.inf)[below]
        for scores, below in ((roc.targets, roc.targets_below), (roc.nontargets, roc.nontargets_below))
    ]
    return DetPoints(rates.false_alarm, rates.miss, np.minimum(*lowest))
