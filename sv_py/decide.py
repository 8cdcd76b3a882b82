"""Accept or reject calibrated trials, for a wanted rate of false accepts or a prior: `enrol test score accept|reject`.

A trial is accepted if its log-likelihood ratio is at least the calibration's threshold for the wanted rate, or the
Bayes threshold of the prior, log((1 - p) / p).
"""

import argparse
from pathlib import Path

from sv_py import log
from sv_py.cli import InputError, Parser, command
from sv_py.io.scores import read_scores, write_scores
from sv_py.scoring.calibration import load_calibration
from sv_py.scoring.metrics import bayes_threshold


def threshold_of(path: str, rate: float | None, prior: float | None) -> float:
    """The threshold for ``prior``, or the one that the calibration in ``path`` found for a false accept rate.

    Raises InputError.
    """
    model = load_calibration(path)
    if rate is None:
        return bayes_threshold(prior)
    points = model.facts.get("thresholds", {}).get("far", {})
    if str(rate) not in points:
        raise InputError(f"has no threshold for a false accept rate of {rate}, but for {', '.join(points)}", path)
    if points[str(rate)] is None:
        raise InputError(
            f"had no threshold for a rate of {rate}: too few non-target trials, or the highest scores are theirs", path
        )
    return points[str(rate)]["threshold"]


def main() -> None:
    """Parse the command line, read, decide, write."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--far", type=float, help="wanted rate of false accepts, one of those of the calibration")
    choice.add_argument("--prior", type=float, help="probability of a target trial, with errors that cost the same")
    parser.add_argument("model", help="JSON of fit_calibration")
    parser.add_argument("scores", help="scores that calibrate_scores made by it")
    parser.add_argument("out", help="the decisions")
    args = parser.parse_args()
    if args.prior is not None and not 0 < args.prior < 1:
        parser.error(f"--prior lies between 0 and 1, and is {args.prior}")
    log.setup()
    threshold = threshold_of(args.model, args.far, args.prior)
    scores = read_scores(args.scores)
    accepted = scores.scores >= threshold
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    write_scores(args.out, scores, scores.scores, accepted, ("reject", "accept"))
    log.logger.info("%d of %d trials accepted, from %.4f on", accepted.sum(), len(scores), threshold)


if __name__ == "__main__":
    command(main)
