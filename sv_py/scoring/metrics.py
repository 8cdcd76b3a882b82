"""Equal error rate and minimum detection cost, exact with ties.

A trial is accepted if its score >= threshold. Misses change only at target scores, and between two target scores
the false alarms fall as the threshold rises: so it is enough to look at the distinct target scores. Each one gives two
operating points, just at it and just above it; tied non-targets lie between the two.
"""

from dataclasses import dataclass

import numpy as np

from sv_py.cli import InputError

PRIORS = (0.01, 0.05, 0.001)


@dataclass(frozen=True)
class Ranking:
    """Where the K distinct target scores lie among the sorted scores: all that EER and minDCF depend on."""

    thresholds: np.ndarray  # the distinct target scores, ascending
    targets_below: np.ndarray  # (K + 1,) number of targets below each, and of all targets
    nontargets_below: np.ndarray  # (K,) number of non-targets below each
    nontargets_up_to: np.ndarray  # (K,) the same with ties
    nontargets: int


@dataclass(frozen=True)
class Rates:
    """Miss and false alarm rates at each threshold, (K,), and just above it."""

    miss: np.ndarray
    false_alarm: np.ndarray
    miss_above: np.ndarray
    false_alarm_above: np.ndarray


def rank(targets: np.ndarray, nontargets: np.ndarray) -> Ranking:
    """Rank the scores of both kinds, each sorted ascending. Raises InputError where there are none of a kind."""
    for kind, scores in (("target", targets), ("non-target", nontargets)):
        if not len(scores):
            raise InputError(f"there are no {kind} trials: error rates need both kinds")
    first = np.flatnonzero(np.concatenate([[True], targets[1:] != targets[:-1]]))
    thresholds = targets[first]
    return Ranking(
        thresholds,
        np.append(first, len(targets)),
        np.searchsorted(nontargets, thresholds, "left"),
        np.searchsorted(nontargets, thresholds, "right"),
        len(nontargets),
    )


def error_rates(ranking: Ranking) -> Rates:
    """Rates of trials that all count once."""
    missed = ranking.targets_below / ranking.targets_below[-1]
    return Rates(
        missed[:-1],
        (ranking.nontargets - ranking.nontargets_below) / ranking.nontargets,
        missed[1:],
        (ranking.nontargets - ranking.nontargets_up_to) / ranking.nontargets,
    )


def weighted_error_rates(ranking: Ranking, target_weights: np.ndarray, nontarget_weights: np.ndarray) -> Rates:
    """Rates of trials that count ``weights`` times (integers); in the sorted order that was ranked."""
    missed = np.concatenate([[0], np.cumsum(target_weights)])[ranking.targets_below]
    rejected = np.concatenate([[0], np.cumsum(nontarget_weights)])
    return Rates(
        missed[:-1] / missed[-1],
        (rejected[-1] - rejected[ranking.nontargets_below]) / rejected[-1],
        missed[1:] / missed[-1],
        (rejected[-1] - rejected[ranking.nontargets_up_to]) / rejected[-1],
    )


def eer_point(rates: Rates) -> tuple[float, int]:
    """EER as a fraction, and the index of the threshold where the curves cross.

    Linear between the last operating point with fewer misses than false alarms and the first without.
    """
    k = int(np.argmax(rates.miss_above >= rates.false_alarm_above))  # above the last threshold all targets are missed
    miss, false_alarm = rates.miss[k], rates.false_alarm[k]
    if miss >= false_alarm:  # crossed among the non-targets below: there the miss rate is constant
        return float(miss), k
    rise, fall = rates.miss_above[k] - miss, false_alarm - rates.false_alarm_above[k]
    return float(miss + rise * (false_alarm - miss) / (rise + fall)), k


def min_dcf_point(rates: Rates, prior: float) -> tuple[float, int | None]:
    """Normalised minDCF with unit costs, and the index of its threshold: None where rejecting all is cheapest."""
    costs = prior * rates.miss + (1 - prior) * rates.false_alarm
    k = int(np.argmin(costs))
    cost, trivial = float(costs[k]), min(prior, 1 - prior)
    return (cost / trivial, k) if cost < prior else (prior / trivial, None)


def _rank_trials(scores: np.ndarray, target: np.ndarray) -> Ranking:
    return rank(np.sort(scores[target]), np.sort(scores[~target]))


def eer(scores: np.ndarray, target: np.ndarray) -> float:
    """Equal error rate, a fraction, of ``scores`` (N,) with labels ``target`` (N,) bool."""
    return eer_point(error_rates(_rank_trials(scores, target)))[0]


def min_dcf(scores: np.ndarray, target: np.ndarray, prior: float) -> float:
    """Normalised minimum detection cost at a target ``prior``, costs 1."""
    return min_dcf_point(error_rates(_rank_trials(scores, target)), prior)[0]


def summarise(scores: np.ndarray, target: np.ndarray) -> dict:
    """EER (a fraction), minDCF by prior, their thresholds and the counts, with keys as JSON wants them.

    A threshold of minDCF is None where rejecting every trial costs least.
    """
    ranking = _rank_trials(scores, target)
    rates = error_rates(ranking)
    rate, crossing = eer_point(rates)
    points = {str(prior): min_dcf_point(rates, prior) for prior in PRIORS}
    return {
        "eer": rate,
        "eer_threshold": float(ranking.thresholds[crossing]),
        "min_dcf": {prior: cost for prior, (cost, _) in points.items()},
        "min_dcf_threshold": {
            prior: None if k is None else float(ranking.thresholds[k]) for prior, (_, k) in points.items()
        },
        "counts": {"target": int(ranking.targets_below[-1]), "nontarget": ranking.nontargets},
    }
