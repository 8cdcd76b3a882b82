"""Turn scores into natural-log likelihood ratios by a fitted calibration: `enrol test ratio [target|nontarget]`."""

from pathlib import Path

import numpy as np

from sv_py import log
from sv_py.calibration_options import read_systems
from sv_py.cli import InputError, Parser, command
from sv_py.io.quality import read_quality
from sv_py.io.scores import write_scores
from sv_py.scoring.calibration import load_calibration


def main() -> None:
    """Parse the command line, read, apply, write."""
    parser = Parser(description=__doc__)
    parser.add_argument("--quality", help="quality table of the trials' ids, if the calibration uses measures")
    parser.add_argument("model", help="JSON of fit_calibration")
    parser.add_argument("scores", nargs="+", help="score files, one for each system, in the order of the fit")
    parser.add_argument("out", help="the calibrated scores")
    args = parser.parse_args()
    log.setup()
    model = load_calibration(args.model)
    if len(args.scores) != model.systems:
        raise InputError(f"is a calibration of {model.systems} score files, not of {len(args.scores)}", args.model)
    if bool(args.quality) != bool(model.measures):
        needs = f"needs --quality with {', '.join(model.measures)}" if model.measures else "uses no --quality"
        raise InputError(needs, args.model)
    systems = read_systems(args.scores)
    trials = systems[0]
    quality = np.empty((len(trials.ids), 0))
    if args.quality:
        quality = read_quality(args.quality).of_ids(trials, model.measures)
    ids = np.stack([trials.enrol, trials.test])
    ratios = model.log_likelihood_ratios([system.scores for system in systems], quality, ids)
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    write_scores(args.out, trials, ratios, trials.target)
    log.logger.info("%d scores calibrated", len(trials))


if __name__ == "__main__":
    command(main)
