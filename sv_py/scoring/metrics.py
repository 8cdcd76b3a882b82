"""Error rates of scored trials: EER, minDCF, actDCF, false rejections at fixed false alarms, Cllr and minCllr.

All are functions of the operating points (`sv_py.scoring.roc`), so ties are exact. Detection costs have unit costs of
both errors and are normalised by that of the better of accepting and rejecting everything.
"""

import math

import numpy as np

from sv_py.scoring.cllr import cllr, min_cllr_of_rates
from sv_py.scoring.roc import Rates, Roc, error_rates, find_roc

PRIORS = (0.01, 0.05, 0.001)  # of a target trial, in detection costs
FALSE_ALARM_RATES = (0.05, 0.01, 0.001)  # at which false rejections are told


def bayes_threshold(prior: float) -> float:
    """The log-likelihood ratio from which on it costs least to accept, at a target ``prior`` with unit costs."""
    return math.log((1 - prior) / prior)


def find_points(scores: np.ndarray, target: np.ndarray, calibrated: bool) -> tuple[Roc, Rates]:
    """The operating points of trials and their rates; if ``calibrated``, with those of Bayes' thresholds and Cllr."""
    roc = find_roc(scores, target, bayes_thresholds(calibrated))
    return roc, error_rates(roc, cllr(scores, target) if calibrated else None)


def bayes_thresholds(calibrated: bool) -> list[float]:
    """The thresholds of PRIORS, whose points the `Roc` of log-likelihood ratios needs; of other scores none."""
    return [bayes_threshold(prior) for prior in PRIORS] if calibrated else []


def eer_point(rates: Rates) -> tuple[float, int]:
    """EER as a fraction, and the first point with no fewer misses than false alarms.

    Linear between that point and the one before.
    """
    k = int(np.argmax(rates.miss >= rates.false_alarm))  # not 0: the first point has no misses and all false alarms
    before, after = (float(rates.false_alarm[j] - rates.miss[j]) for j in (k - 1, k))
    rise = rates.miss[k] - rates.miss[k - 1]
    return float(rates.miss[k - 1] + rise * (before / (before - after))), k


def dcf(rates: Rates, prior: float, point: int | slice = slice(None)) -> np.ndarray:
    """Normalised detection cost at a target ``prior``, at one ``point`` or at all."""
    cost = prior * rates.miss[point] + (1 - prior) * rates.false_alarm[point]
    return cost / min(prior, 1 - prior)


def min_dcf_point(rates: Rates, prior: float) -> tuple[float, int]:
    """Normalised minDCF and its point: the last, which rejects everything, if no other is cheaper."""
    costs = dcf(rates, prior)
    k = int(np.argmin(costs))
    return float(costs[k]), k if costs[k] < costs[-1] else len(costs) - 1


def far_point(rates: Rates, far: float | np.ndarray) -> int | np.ndarray:
    """The first point with a false alarm rate of at most ``far``, or of each of them: that with the fewest misses."""
    return len(rates.false_alarm) - np.searchsorted(rates.false_alarm[::-1], far, "right")


def eer(scores: np.ndarray, target: np.ndarray) -> float:
    """Equal error rate, a fraction, of ``scores`` (N,) with labels ``target`` (N,) bool."""
    return eer_point(error_rates(find_roc(scores, target)))[0]


def min_dcf(scores: np.ndarray, target: np.ndarray, prior: float) -> float:
    """Normalised minimum detection cost at a target ``prior``."""
    return min_dcf_point(error_rates(find_roc(scores, target)), prior)[0]


def act_dcf(llrs: np.ndarray, target: np.ndarray, prior: float) -> float:
    """Normalised detection cost of accepting where natural-log ``llrs`` (N,) reach Bayes' threshold of ``prior``."""
    roc = find_roc(llrs, target, [bayes_threshold(prior)])
    return float(dcf(error_rates(roc), prior, roc.cuts[0]))


def frr_at_far(scores: np.ndarray, target: np.ndarray, far: float) -> float:
    """The least share of rejected targets with a share of at most ``far`` of the non-targets accepted."""
    rates = error_rates(find_roc(scores, target))
    return float(rates.miss[far_point(rates, far)])


def error_metrics(roc: Roc, rates: Rates) -> dict:
    """All metrics with keys as JSON wants them; actDCF and Cllr only of rates that have a Cllr."""
    found = {
        "eer": eer_point(rates)[0],
        "min_dcf": {str(prior): min_dcf_point(rates, prior)[0] for prior in PRIORS},
    }
    if rates.cllr is not None:
        found["act_dcf"] = {str(prior): float(dcf(rates, prior, k)) for prior, k in zip(PRIORS, roc.cuts, strict=True)}
        found["cllr"] = rates.cllr
    return found | {
        "min_cllr": min_cllr_of_rates(rates),
        "frr_at_far": {str(far): float(rates.miss[far_point(rates, far)]) for far in FALSE_ALARM_RATES},
    }


def summarise(scores: np.ndarray, target: np.ndarray, calibrated: bool = False) -> dict:
    """`error_metrics`, their thresholds and the counts. The EER is a fraction, Cllr in bits.

    ``calibrated`` scores are natural-log likelihood ratios. A threshold is a target score, or None where every trial
    has to be rejected. Raises InputError where there are no trials of a kind.
    """
    roc, rates = find_points(scores, target, calibrated)
    return error_metrics(roc, rates) | {
        "eer_threshold": eer_threshold(roc, rates),
        "min_dcf_threshold": {str(p): roc.target_threshold(min_dcf_point(rates, p)[1]) for p in PRIORS},
        "frr_at_far_threshold": {str(far): roc.target_threshold(far_point(rates, far)) for far in FALSE_ALARM_RATES},
        "calibrated": calibrated,
        "counts": {"target": len(roc.targets), "nontarget": len(roc.nontargets)},
    }


def eer_threshold(roc: Roc, rates: Rates) -> float:
    """The target score at which misses have come up with the false alarms."""
    k = eer_point(rates)[1]
    # A step of targets has one false alarm rate: this is how many of them have to be missed, rounded up.
    accepted = len(roc.nontargets) - int(roc.nontargets_below[k])
    missed = -(-accepted * len(roc.targets) // len(roc.nontargets))
    return float(roc.targets[max(int(roc.targets_below[k - 1]), missed - 1)])
