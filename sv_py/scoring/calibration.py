"""Calibration and fusion: a weighted sum of scores and of quality measures that is a log-likelihood ratio.

One score is calibrated, several are fused; with measures of both sides this is the quality measure function (QMF) of
Thienpondt et al. (2021). Fitted on trials of speakers that were trained on, applied to all others.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sv_py.cli import InputError
from sv_py.io.atomic import replace_file
from sv_py.scoring.arguments import CalibrationArguments
from sv_py.scoring.logistic import fit_log_odds

_FORMAT = "calibration 1"
_LOGARITHMIC = ("duration", "speech_duration")
_SHORTEST = 0.1  # seconds, of which a logarithm is taken
_BLOCK = 1 << 18  # trials calibrated at once
_FORMS = {"min": np.minimum, "max": np.maximum, "difference": lambda a, b: np.abs(a - b)}


@dataclass(frozen=True)
class Calibration:
    """``bias`` plus the sum of ``weights`` times inputs: those of the scores, then those of the measures' forms.

    ``weights`` has the names of the inputs: `score` or `score 1`, `score 2`, ... and `min log duration`, ... .
    ``ranges``: measure -> the lowest and the highest value among the trials of the fit, beyond which none is believed.
    ``facts``: what else the file says: prior and trials of the fit, thresholds.
    """

    weights: dict[str, float]
    bias: float
    ranges: dict[str, tuple[float, float]]
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def systems(self) -> int:
        """How many scores a trial has."""
        return sum(name.startswith("score") for name in self.weights)

    @property
    def measures(self) -> list[str]:
        """The measures that both sides of a trial need, in order."""
        return list(self.ranges)

    def log_likelihood_ratios(self, scores: Sequence[np.ndarray], quality: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Natural-log likelihood ratios (N,), float64.

        ``scores``: as many arrays (N,) as systems; ``quality`` (n, len(measures)): the measures of utterances or
        models; ``ids`` (2, N): the rows of both sides in it.
        """
        ratios = np.full(ids.shape[1], self.bias)
        forms = list(self.weights)[self.systems :]
        for start in range(0, len(ratios), _BLOCK):
            part = slice(start, start + _BLOCK)
            inputs = _inputs([values[part] for values in scores], quality[ids[:, part]], self.ranges, forms)
            for weight, values in zip(self.weights.values(), inputs.values(), strict=True):
                ratios[part] += weight * values
        return ratios

    def save(self, path: str | Path) -> None:
        """Write it as JSON, atomically."""
        found = {"format": _FORMAT, "bias": self.bias, "weights": self.weights, "ranges": self.ranges, **self.facts}
        with replace_file(path) as file:
            file.write(json.dumps(found, indent=2) + "\n")


def load_calibration(path: str | Path) -> Calibration:
    """Read what `Calibration.save` wrote. Raises InputError for anything else."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        if found.pop("format") != _FORMAT:
            raise KeyError
        weights = {str(name): float(weight) for name, weight in found.pop("weights").items()}
        ranges = {str(measure): (float(low), float(high)) for measure, (low, high) in found.pop("ranges").items()}
        bias = float(found.pop("bias"))
        for form, *_, measure in (name.split() for name in weights if not name.startswith("score")):
            if form not in _FORMS or measure not in ranges:
                raise KeyError
        if not np.isfinite([bias, *weights.values(), *sum(ranges.values(), ())]).all():
            raise ValueError
    except FileNotFoundError:
        raise InputError("no such file", path) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError("is no calibration (fit_calibration makes one)", path) from None
    return Calibration(weights, bias, ranges, found)


class LogisticCalibration:
    """Fits calibrations with the arguments of the table's entries."""

    def __init__(self, arguments: CalibrationArguments):
        self.prior, self.forms = arguments.prior, arguments.forms

    def fit(
        self, scores: Sequence[np.ndarray], target: np.ndarray, measures: Sequence[str], quality: np.ndarray,
        ids: np.ndarray,
    ) -> Calibration:  # fmt: skip
        """The calibration of trials with labels ``target`` (N,) bool; the others as in `Calibration`.

        Raises InputError where there are no trials of a kind, and where targets do not have the higher scores.
        """
        sides = quality[ids]
        ends = zip(sides.min(axis=(0, 1)).tolist(), sides.max(axis=(0, 1)).tolist(), strict=True)
        ranges = dict(zip(measures, ends, strict=True))
        shown = [f"log {measure}" if measure in _LOGARITHMIC else measure for measure in measures]
        inputs = _inputs(scores, sides, ranges, [f"{form} {name}" for name in shown for form in self.forms])
        weights, bias = fit_log_odds(np.stack(list(inputs.values()), axis=1), target, self.prior)
        if len(scores) == 1 and weights[0] <= 0:
            raise InputError("targets do not score higher than non-targets: are the labels or the scores reversed?")
        return Calibration(dict(zip(inputs, weights.tolist(), strict=True)), bias, ranges)


def _inputs(
    scores: Sequence[np.ndarray], sides: np.ndarray, ranges: dict[str, tuple[float, float]], forms: Sequence[str]
) -> dict[str, np.ndarray]:
    """Name -> values (N,) of all inputs; ``forms`` are the names of those of measures, such as 'min log duration'.

    ``sides`` (2, N, len(ranges)) are the measures of both sides.
    """
    names = ["score"] if len(scores) == 1 else [f"score {number}" for number in range(1, len(scores) + 1)]
    values = {}
    for (measure, (low, high)), both in zip(ranges.items(), np.moveaxis(sides, 2, 0), strict=True):
        both = np.clip(both, low, high)
        values[measure] = np.log(np.maximum(both, _SHORTEST)) if measure in _LOGARITHMIC else both
    found = {name: _FORMS[name.split()[0]](*values[name.split()[-1]]) for name in forms}
    return dict(zip(names, scores, strict=True)) | found
