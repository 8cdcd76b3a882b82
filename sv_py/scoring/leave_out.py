"""Whether measures of quality help on speakers that were not fitted on, and would not if they were somebody else's."""

import itertools
from collections.abc import Sequence

import numpy as np

from sv_py.cli import InputError
from sv_py.scoring.calibration import LogisticCalibration
from sv_py.scoring.cllr import cllr
from sv_py.scoring.metrics import eer


def leave_out(
    calibration: LogisticCalibration, scores: Sequence[np.ndarray], target: np.ndarray, speakers: np.ndarray,
    measures: Sequence[str], quality: np.ndarray, ids: np.ndarray, folds: int, seed: int,
) -> dict:  # fmt: skip
    """Cllr and EER of trials by calibrations that were fitted on trials of other speakers only.

    Speakers are dealt to ``folds``. Trials between two folds, or within one, are calibrated by the fit on the trials of
    which neither side is in these; the ratios of all trials are judged together. "linear" is of the scores alone; with
    ``measures`` there are also "qmf" and "shuffled", for which every utterance has the measures of another one.
    ``speakers`` (2, N): index of the speaker of each side; the others are those of `LogisticCalibration.fit`. Raises
    InputError where a fit would have no trials of both kinds.
    """
    random = np.random.default_rng(seed)
    count = int(speakers.max()) + 1
    if not 3 <= folds <= count:
        raise InputError(f"{count} speakers can be left out in 3 to {count} folds, not in {folds}")
    fold = random.permutation(np.arange(count) % folds)[speakers]
    shuffled = quality[random.permutation(len(quality))]
    kinds = {"linear": ([], quality[:, :0])}
    if measures:
        kinds |= {"qmf": (measures, quality), "shuffled": (measures, shuffled)}

    ratios = {kind: np.empty(len(target)) for kind in kinds}
    for pair in itertools.combinations_with_replacement(range(folds), 2):
        left = (fold.min(axis=0) == pair[0]) & (fold.max(axis=0) == pair[1])
        fitted = ~np.isin(fold, pair).any(axis=0)
        if len(set(target[fitted].tolist())) < 2:
            raise InputError(f"{folds} folds of {count} speakers leave no trials of both kinds to fit on")
        for kind, (names, values) in kinds.items():
            model = calibration.fit([s[fitted] for s in scores], target[fitted], names, values, ids[:, fitted])
            ratios[kind][left] = model.log_likelihood_ratios([s[left] for s in scores], values, ids[:, left])
    return {
        "folds": folds,
        "calibrations": {kind: {"cllr": cllr(r, target), "eer": eer(r, target)} for kind, r in ratios.items()},
    }
