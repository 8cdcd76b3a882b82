"""Thresholds of log-likelihood ratios for a wanted rate of false accepts or a prior, and what they cost."""

import math
from collections.abc import Sequence

import numpy as np

from sv_py.io.scores import Scores
from sv_py.scoring.bootstrap import Resampler
from sv_py.scoring.metrics import PRIORS, bayes_threshold, far_point, min_dcf_point
from sv_py.scoring.roc import Roc, error_rates


def find_thresholds(
    trials: Scores, speakers: np.ndarray, far: Sequence[float], replicates: int, seed: int
) -> dict[str, dict[str, dict | None]]:
    """{"far": {rate: choice}, "prior": {prior: choice}} of labelled log-likelihood ratios; priors are `PRIORS`.

    ``speakers`` (len(ids),): index of the speaker of each id. A choice is {"threshold", "far", "frr", "intervals"}: the
    threshold, the rates of false accepts and false rejects with it, and 95 % intervals of these three, by drawing
    speakers anew, or None without ``replicates``. For a rate it is the threshold with the fewest false rejects among
    those with no more false accepts; None where there are fewer than 1 / rate non-targets, or where only rejecting all
    trials has no more. For a prior it is Bayes' threshold, and its interval that of the threshold of least cost, in
    which it lies if the calibration is good. An end of None is infinite. Raises InputError where there are no trials of
    a kind.
    """
    resampler = Resampler(trials, speakers, calibrated=True)
    roc, whole = resampler.roc, error_rates(resampler.roc)
    points = {("far", rate): far_point(whole, rate) for rate in far if rate * len(roc.nontargets) >= 1}
    thresholds = {choice: _threshold(roc, point) for choice, point in points.items()}
    points = {choice: point for choice, point in points.items() if math.isfinite(thresholds[choice])}
    points |= {("prior", prior): int(cut) for prior, cut in zip(PRIORS, roc.cuts, strict=True)}
    thresholds |= {("prior", prior): bayes_threshold(prior) for prior in PRIORS}
    choose = {"far": far_point, "prior": lambda rates, prior: min_dcf_point(rates, prior)[1]}

    samples: dict[tuple[str, float], list] = {choice: [] for choice in points}
    for rates in resampler.rates(replicates, seed):
        for (kind, value), point in points.items():
            best = _threshold(roc, choose[kind](rates, value))
            samples[kind, value].append((best, rates.false_alarm[point], rates.miss[point]))
    found = {kind: {str(value): None for value in values} for kind, values in (("far", far), ("prior", PRIORS))}
    for (kind, value), point in points.items():
        found[kind][str(value)] = {
            "threshold": thresholds[kind, value],
            "far": float(whole.false_alarm[point]),
            "frr": float(whole.miss[point]),
            "intervals": _intervals(samples[kind, value]),
        }
    return found


def _threshold(roc: Roc, point: int) -> float:
    """Halfway between the highest score that ``point`` rejects and the lowest that it accepts; or infinite."""
    below = ((roc.targets, roc.targets_below[point]), (roc.nontargets, roc.nontargets_below[point]))
    rejected = max((scores[k - 1] for scores, k in below if k > 0), default=-math.inf)
    accepted = min((scores[k] for scores, k in below if k < len(scores)), default=math.inf)
    return float((rejected + accepted) / 2)


def _intervals(samples: list[tuple[float, float, float]]) -> dict[str, list[float | None]] | None:
    """95 % percentile intervals of (threshold, far, frr): order statistics, since thresholds may be infinite."""
    if not samples:
        return None
    ends = np.percentile(samples, [2.5, 97.5], axis=0, method="inverted_cdf").T.tolist()
    return {
        name: [end if math.isfinite(end) else None for end in both]
        for name, both in zip(("threshold", "far", "frr"), ends, strict=True)
    }
