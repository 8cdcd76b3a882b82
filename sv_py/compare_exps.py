"""Compare experiments: one table of their error rates, data, size, time, and the keys in which they differ.

Behind an interval stands the p-value of the difference from the first experiment, or from --baseline: a paired
bootstrap over speakers, of the scores in exp/<tag>/scores.
"""

import argparse
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from sv_py import log
from sv_py.cli import InputError, Parser, command, near_miss
from sv_py.config import read_values
from sv_py.io.scores import Scores, read_scores
from sv_py.io.text import read_table
from sv_py.report.comparison import Experiment, compare, read_experiment, render
from sv_py.scoring.bootstrap import metric_replicates, p_values
from sv_py.scoring.evaluation import find_speakers, trials_digest
from sv_py.scoring.metrics import eer

REPLICATES, SEED = 1000, 0


def pairs(experiments: list[Experiment], baseline: str | None) -> Iterator[tuple[str, int, str]]:
    """(key of the first experiment, column, key) of each result that is compared, as far as the trials are the same.

    Without a ``baseline`` results of one key are compared. Raises InputError for a baseline that is not there.
    """
    first = experiments[0].results
    if baseline is not None and baseline not in first:
        known = ", ".join(first)
        raise InputError(f"--baseline {baseline}: {experiments[0].name} has {known}{near_miss(baseline, first)}")
    for column, experiment in enumerate(experiments):
        for key, result in experiment.results.items():
            reference = baseline or key
            same = reference in first and first[reference]["trials_sha256"] == result["trials_sha256"]
            if same and (column, key) != (0, reference):
                yield reference, column, key


def read_scored(folder: Path, key: str, result: dict) -> Scores:
    """The scores of a result. Raises InputError where these are others than it was computed of."""
    scores = read_scores(folder / "scores" / key, labelled=True)
    if (
        trials_digest(scores) != result["trials_sha256"]
        or abs(eer(scores.scores, scores.target) - result["eer"]) > 1e-9
    ):
        raise InputError(f"results.json has {key} of other scores: run stage 9 again", folder / "scores" / key)
    return scores


def significance(
    folders: list[Path], experiments: list[Experiment], baseline: str | None, replicates: int
) -> dict[tuple[int, str], dict]:
    """(column, key) -> p-values of the metrics; results without scores have none, which is logged."""

    @cache
    def replicated(column: int, key: str) -> list[dict]:
        result = experiments[column].results[key]
        scores = read_scored(folders[column], key, result)
        utt2spk = folders[0] / "scores/utt2spk"  # the first experiment's for all: the same draws
        speakers = find_speakers(scores, read_table(utt2spk, columns=2) if utt2spk.is_file() else {})
        return metric_replicates(scores, speakers, replicates, SEED, result.get("calibrated", False))

    found = {}
    for reference, column, key in pairs(experiments, baseline):
        lacking = [
            path for path in (folders[0] / "scores" / reference, folders[column] / "scores" / key) if not path.is_file()
        ]
        if lacking:
            log.logger.warning("no p-value of %s of %s: no %s", key, experiments[column].name, lacking[0])
        elif tested := p_values(replicated(0, reference), replicated(column, key)):
            found[column, key] = tested
    return found


def main() -> None:
    """Parse the command line and print the table."""
    parser = Parser(prog="compare_exps.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", action="store_true", help="a table for a README")
    parser.add_argument(
        "--baseline", metavar="KEY", help="of the first experiment's results, e.g. cosine/test: compare all with it"
    )
    parser.add_argument("--bootstrap", type=int, default=REPLICATES, help="replicates (%(default)s); 0: no p-values")
    parser.add_argument("exp", type=Path, nargs="+", help="experiments' folders, e.g. exp/ecapa")
    args = parser.parse_args()
    if args.bootstrap < 0:
        parser.error("--bootstrap is a number of replicates, or 0")
    log.setup()
    experiments = [read_experiment(folder, read_values(folder / "config.yaml")) for folder in args.exp]
    tests = significance(args.exp, experiments, args.baseline, args.bootstrap) if args.bootstrap else {}
    print(render([e.name for e in experiments], compare(experiments, tests), args.markdown))


if __name__ == "__main__":
    command(main)
