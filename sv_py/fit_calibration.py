"""Fit a calibration, or a fusion of several systems, on scored trials with labels: a JSON of a few numbers.

The trials are of speakers that were trained on (make_calibration_trials), scored as those that are to be calibrated.
The JSON has the weights, and thresholds for wanted false accept rates and priors with speaker-bootstrap intervals.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sv_py import log
from sv_py.calibration_options import chosen_calibration, read_systems, shares, words
from sv_py.cli import InputError, Parser, command
from sv_py.io.quality import read_quality
from sv_py.io.scores import Scores
from sv_py.io.text import read_table
from sv_py.scoring import CALIBRATIONS
from sv_py.scoring.bootstrap import speakers_by_table, speakers_by_trials
from sv_py.scoring.calibration import LogisticCalibration
from sv_py.scoring.decision import find_thresholds
from sv_py.scoring.leave_out import leave_out


def read_measures(path: str | None, measures: Sequence[str] | None, trials: Scores) -> tuple[list[str], np.ndarray]:
    """Names of the measures and their values for each id of the trials, (len(trials.ids), number of measures).

    ``path`` is the quality table, of which all columns are taken where ``measures`` is None. Raises InputError.
    """
    if not path:
        if measures:
            raise InputError(f"--quality names the table that has {', '.join(measures)}")
        return [], np.empty((len(trials.ids), 0))
    table = read_quality(path)
    measures = table.measures if measures is None else list(measures)
    if not measures:
        raise InputError("the experiment's scoring.calibration uses no measures, and so no --quality", path)
    return measures, table.of_ids(trials, measures)


def find_speakers(path: str | None, trials: Scores) -> np.ndarray:
    """Index of the speaker of each id of the trials, as the utt2spk in ``path`` or else the labels tell."""
    if path:
        return speakers_by_table(trials, read_table(path, columns=2))
    return speakers_by_trials(trials, trials.target)


def judge_left_out(calibration: LogisticCalibration, data: tuple, folds: int, seed: int) -> dict:
    """What `leave_out` finds with ``data``, its next arguments, under that name; logs it, and a warning of overfitting.

    Too few speakers to judge by are a warning, too, and nothing is found: the fit on all of them stands.
    """
    try:
        found = leave_out(calibration, *data, folds, seed)
    except InputError as error:
        log.logger.warning("speakers cannot be left out, so what the fit is worth is not known: %s", error)
        return {}
    results = found["calibrations"]
    for name, result in results.items():
        log.logger.info("left out, %s: Cllr %.4f, EER %.2f %%", name, result["cllr"], 100 * result["eer"])
    if "qmf" in results and results["qmf"]["cllr"] > results["linear"]["cllr"]:
        log.logger.warning("overfitted: for speakers left out the ratios are worse with the measures than without")
    return {"leave_out": found}


def main() -> None:
    """Parse the command line, fit, and write the JSON."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", help="experiment whose scoring.calibration, with its arguments, is to be taken")
    parser.add_argument("--quality", help="quality table of the trials' ids; without it, no measures are used")
    parser.add_argument("--measures", type=words, help="as duration,snr (default: the experiment's, else all columns)")
    parser.add_argument("--prior", type=float, help="of targets in the cost (default: the experiment's, else 0.5)")
    parser.add_argument("--utt2spk", help="speakers of the trials (default: what target trials connect is one speaker)")
    parser.add_argument("--far", type=shares, default="0.05,0.01,0.001", help="false accept rates with a threshold")
    parser.add_argument("--bootstrap", type=int, default=1000, help="replicates for intervals (%(default)s); 0: none")
    parser.add_argument("--leave-out", type=int, default=0, metavar="K", help="also judge speakers left out, K folds")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap and of the folds (%(default)s)")
    parser.add_argument("scores", nargs="+", help="`enrol test score target|nontarget`, one file for each system")
    parser.add_argument("out", help="the JSON")
    args = parser.parse_args()
    if min(args.bootstrap, args.seed) < 0 or args.leave_out < 0 or args.leave_out in (1, 2):
        parser.error("--bootstrap and --seed are at least 0, --leave-out is 0 or at least 3")
    log.setup()
    part = chosen_calibration(args.config)
    if args.prior is not None:
        part = dataclasses.replace(part, args=dataclasses.replace(part.args, prior=args.prior))
    calibration = CALIBRATIONS.build(part.name, part.args)

    systems = read_systems(args.scores, labelled=True)
    trials, scores = systems[0], [system.scores for system in systems]
    chosen = args.measures or (part.args.measures if args.config else None)
    measures, quality = read_measures(args.quality, chosen, trials)
    speakers = find_speakers(args.utt2spk, trials)
    ids = np.stack([trials.enrol, trials.test])

    fitted = calibration.fit(scores, trials.target, measures, quality, ids)
    weights = ", ".join(f"{weight:.4g} {name}" for name, weight in fitted.weights.items())
    log.logger.info("log-likelihood ratio: %.4g, %s", fitted.bias, weights)
    ratios = fitted.log_likelihood_ratios(scores, quality, ids)
    if ratios[trials.target].min() > ratios[~trials.target].max():
        log.logger.warning("every target scores above every non-target: how large the ratios are means nothing")
    targets = int(trials.target.sum())
    counts = {"target": targets, "nontarget": len(trials) - targets, "speakers": len(np.unique(speakers))}
    calibrated = dataclasses.replace(trials, scores=ratios)
    thresholds = find_thresholds(calibrated, speakers, args.far, args.bootstrap, args.seed)
    facts = {"prior": part.args.prior, "counts": counts, "thresholds": thresholds}
    if args.leave_out:
        data = scores, trials.target, speakers[ids], measures, quality, ids
        facts |= judge_left_out(calibration, data, args.leave_out, args.seed)
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    dataclasses.replace(fitted, facts=facts).save(args.out)


if __name__ == "__main__":
    command(main)
