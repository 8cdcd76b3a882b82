"""Cllr, the cost of log-likelihood ratios, and what it would be with the best calibration: minCllr.

N. Brümmer and J. du Preez, "Application-independent evaluation of speaker detection", Computer Speech & Language 20,
2006. The best calibration that keeps the scores' order is that of the pool-adjacent-violators algorithm (PAV), whose
blocks are the edges of the convex hull of the ROC.
"""

import math
from dataclasses import dataclass

import numpy as np

from sv_py.scoring.roc import Rates, error_rates, find_roc


@dataclass(frozen=True)
class PavBlocks:
    """B runs of neighbouring scores that the best calibration maps to one log-likelihood ratio; it does not fall.

    ``lowest`` and ``highest`` score, ``llr`` (natural log; infinite where one kind is absent), trials of both kinds.
    """

    lowest: np.ndarray
    highest: np.ndarray
    llr: np.ndarray
    targets: np.ndarray
    nontargets: np.ndarray


def costs(llrs: np.ndarray, target: bool) -> np.ndarray:
    """The cost in bits of the log-likelihood ratio of each trial of a kind: log2(1 + exp(-llr)), or of -llr."""
    return np.logaddexp(0, -llrs if target else llrs) / math.log(2)


def cllr(llrs: np.ndarray, target: np.ndarray) -> float:
    """Cllr in bits of natural-log ``llrs`` (N,) with labels ``target`` (N,): 0 is perfect, 1 says nothing."""
    return float(costs(llrs[target], True).mean() + costs(llrs[~target], False).mean()) / 2


def min_cllr(scores: np.ndarray, target: np.ndarray) -> float:
    """Cllr in bits of the best calibration of ``scores`` (N,) with labels ``target`` (N,)."""
    return min_cllr_of_rates(error_rates(find_roc(scores, target)))


def min_cllr_of_rates(rates: Rates) -> float:
    """minCllr in bits, of the operating points.

    With shares t and n of the targets and of the non-targets in a block, whose ratio is t / n, it is half the sum of
    t log2(1 + n / t) + n log2(1 + t / n) over the blocks.
    """
    from scipy.special import xlogy  # here, since training and scoring do without its start-up time

    hull = _hull(rates)
    targets, nontargets = np.diff(rates.miss[hull]), -np.diff(rates.false_alarm[hull])
    both = targets + nontargets
    bits = xlogy(both, both) - xlogy(targets, targets) - xlogy(nontargets, nontargets)
    return max(0.0, float(bits.sum()) / (2 * math.log(2)))  # rounding may leave less than 0


def pav(scores: np.ndarray, target: np.ndarray) -> PavBlocks:
    """The best calibration of ``scores`` (N,) with labels ``target`` (N,) that does not change their order."""
    roc = find_roc(scores, target)
    hull = _hull(error_rates(roc))
    below = [part[hull] for part in (roc.targets_below, roc.nontargets_below)]
    sides = list(zip((roc.targets, roc.nontargets), below, strict=True))
    lowest = np.minimum(*(np.append(part, np.inf)[below[:-1]] for part, below in sides))
    highest = np.maximum(*(np.insert(part, 0, -np.inf)[below[1:]] for part, below in sides))
    targets, nontargets = (np.diff(part) for part in below)
    with np.errstate(divide="ignore"):
        llr = np.log(targets / len(roc.targets)) - np.log(nontargets / len(roc.nontargets))
    return PavBlocks(lowest, highest, llr, targets, nontargets)


def _hull(rates: Rates) -> np.ndarray:
    """The points of the convex hull, (B + 1,): where the blocks of the PAV begin, and the last point."""
    from scipy.optimize import isotonic_regression  # here, since training and scoring do without its start-up time

    targets, nontargets = np.diff(rates.miss), -np.diff(rates.false_alarm)
    weights = targets + nontargets
    steps = np.flatnonzero(weights)
    blocks = isotonic_regression(targets[steps] / weights[steps], weights=weights[steps]).blocks
    return np.append(steps[blocks[:-1]], len(weights))
