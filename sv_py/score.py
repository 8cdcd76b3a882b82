"""Score a trial list: trials and embeddings in, `enrol test score target|nontarget` lines out."""

import time
from pathlib import Path

import numpy as np

from sv_py import log
from sv_py.cli import Parser, command
from sv_py.io.scores import write_scores
from sv_py.io.trials import read_trials
from sv_py.scoring.backend import score_rows
from sv_py.scoring.sides import add_side_options, load_backend_of, load_sides


def main() -> None:
    """Read, score, write; log how long each took."""
    parser = Parser(prog="python -m sv_py.score", description=__doc__)
    add_side_options(parser)
    parser.add_argument("trials", help="trial list, Kaldi's or VoxCeleb's format")
    parser.add_argument("embeddings", help="xvector.scp")
    parser.add_argument("scores", help="score file to write, in the order of the trials")
    args = parser.parse_args()
    log.setup()
    backend = load_backend_of(args)

    clock = [time.perf_counter()]
    trials = read_trials(args.trials)
    sides = load_sides(args, trials, backend)
    clock.append(time.perf_counter())
    scores = score_rows(sides.enrol, sides.test, sides.rows, backend.arguments.block)
    clock.append(time.perf_counter())
    Path(args.scores).parent.mkdir(parents=True, exist_ok=True)
    write_scores(args.scores, trials, scores, trials.target)
    clock.append(time.perf_counter())
    reading, scoring, writing = np.diff(clock)
    repeated = f" ({trials.repeated} repeated)" if trials.repeated else ""
    log.logger.info(
        "%d trials%s, %d enrolment and %d test embeddings: read in %.2f s, scored in %.2f s, written in %.2f s",
        len(trials), repeated, len(sides.enrol_ids), len(sides.test_ids), reading, scoring, writing,
    )  # fmt: skip


if __name__ == "__main__":
    command(main)
