"""Normalise scores by what both sides of their trials score against a cohort of impostors."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sv_py import log
from sv_py.cli import InputError, Parser, command
from sv_py.config import load
from sv_py.io.quality import write_quality
from sv_py.io.scores import Scores, read_scores, write_scores
from sv_py.registry import Part
from sv_py.scoring import NORMS
from sv_py.scoring.backend import Side, score_rows
from sv_py.scoring.cohort import Statistics, cohort_statistics
from sv_py.scoring.cohort_files import OWN_SPEAKER, load_cohort, own_speakers
from sv_py.scoring.highest import MEMORY, Highest
from sv_py.scoring.sides import Sides, add_side_options, load_backend_of, load_sides

_CHECKED, _TOLERANCE = 1000, 1e-3  # scores that are made anew; files have six decimals, other machines other last bits


def choose_norm(args: argparse.Namespace) -> Part:
    """Name and arguments of the normalisation that the options say. Raises InputError."""
    if args.config:
        if args.norm or args.top:
            raise InputError("--config has the normalisation and its arguments: neither --norm nor --top beside it")
        part = load(args.config).scoring.norm
        if part is None:
            raise InputError("scoring.norm.name is none: there is no normalisation", args.config)
        return part
    name = args.norm or "as_norm"
    return Part(name, NORMS.arguments(name)(**({"top": tuple(args.top)} if args.top else {})))


def choose_finder(args: argparse.Namespace) -> Highest:
    """What finds the highest scores, on the device and in the memory that the options say. Raises InputError."""
    if args.memory_mb < 1 or args.num_threads < 1:
        raise InputError(f"--memory-mb and --num-threads are 1 or more, not {args.memory_mb} and {args.num_threads}")
    if args.device == "cpu":
        return Highest(args.memory_mb << 20, args.num_threads)
    from sv_py.scoring.highest_gpu import HighestOnGpu  # here, since they import torch
    from sv_py.train.model import open_device

    return HighestOnGpu(args.memory_mb << 20, open_device(args.device))


def check_scores(scores: Scores, sides: Sides, block: int, path: str) -> None:
    """Raise InputError with the line if the scores, some of which are made anew, are not of this back end."""
    some = np.unique(np.linspace(0, len(scores) - 1, _CHECKED, dtype=int))
    found = score_rows(sides.enrol, sides.test, sides.rows[:, some], block)
    given = scores.scores[some]
    wrong = np.abs(found - given) > _TOLERANCE * (1 + np.abs(given))
    if wrong.any():
        k = int(np.argmax(wrong))
        raise InputError(
            f"score {given[k]:.6f}, where this back end with these embeddings gives {found[k]:.6f}",
            path,
            int(some[k]) + 1,
        )


def side_statistics(
    sides: Sides, wanted: Sequence[int], cohort: Side, tops: Sequence[int], left_out: list, finder: Highest
) -> dict[int, list[Statistics]]:
    """Statistics of each of the ``wanted`` sides (0 enrolment, 1 test) for each of ``tops``."""
    found = {}
    for k in wanted:
        if k == 1 and 0 in found and sides.test is sides.enrol:
            found[1] = found[0]
        else:
            found[k] = cohort_statistics((sides.enrol, sides.test)[k], cohort, tops, left_out[k], finder)
    return found


def write_impostors(path: str, sides: Sides, statistics: dict[int, list[Statistics]]) -> None:
    """Write the statistics of the first top as a quality table of all ids of the trials."""
    rows = {}
    for ids, (found, *_) in ((sides.enrol_ids, statistics[0]), (sides.test_ids, statistics[1])):
        rows |= zip(ids, zip(found.mean.tolist(), found.deviation.tolist(), strict=True), strict=True)
    names = sorted(rows)
    values = np.array([rows[name] for name in names])
    write_quality(path, names, {"impostor_mean": values[:, 0], "impostor_std": values[:, 1]})


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = Parser(prog="python -m sv_py.normalise_scores", description=__doc__)
    add_side_options(parser)
    parser.add_argument("--norm", help=f"without --config: one of {', '.join(NORMS.entries)} (default: as_norm)")
    parser.add_argument("--top", type=int, action="append", help="cohort scores that count, 0: all; may be repeated")
    parser.add_argument("--utt2spk", help="speaker of every utterance, or model, of the trials")
    parser.add_argument("--cohort-utt2spk", help="speaker of every vector of the cohort")
    parser.add_argument("--own-speaker", choices=OWN_SPEAKER, default="error", help="if cohort has him")
    parser.add_argument("--cohort-utt2domain", help="domain of every vector of the cohort, for means by domain")
    parser.add_argument("--memory-mb", type=int, default=MEMORY >> 20, help="for scores, beside embeddings and cohort")
    parser.add_argument("--num-threads", type=int, default=1, help="with more, let BLAS have one: OMP_NUM_THREADS=1")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--impostors-out", help="quality table to write: impostor_mean and impostor_std of every id")
    parser.add_argument("trials", metavar="scores_in", help="scores of the trials by the same back end")
    parser.add_argument("embeddings", help="xvector.scp of the trials")
    parser.add_argument("cohort", help="cohort.scp")
    parser.add_argument("scores_out", help="score file to write; of several --top a file of each, with its number")
    return parser.parse_args()


def main() -> None:
    """Read, find the statistics, normalise, write; log how long each took."""
    args = parse_arguments()
    log.setup()
    part = choose_norm(args)
    norm, finder, backend = NORMS.build(part.name, part.args), choose_finder(args), load_backend_of(args)

    clock = [time.perf_counter()]
    scores = read_scores(args.trials)
    sides = load_sides(args, scores, backend)
    check_scores(scores, sides, backend.arguments.block, args.trials)
    cohort_ids, cohort = load_cohort(args, backend)
    dimensions = [side.vectors.shape[1] for side in (sides.enrol, cohort)]
    if dimensions[0] != dimensions[1]:
        raise InputError(f"the cohort has {dimensions[1]} dimensions, the trials have {dimensions[0]}", args.cohort)
    left_out = own_speakers(args, sides, cohort_ids)
    clock.append(time.perf_counter())
    wanted = (0, 1) if args.impostors_out else norm.sides
    statistics = side_statistics(sides, wanted, cohort, norm.tops, left_out, finder)
    clock.append(time.perf_counter())
    for path in (args.scores_out, args.impostors_out):
        if path:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
    for k, top in enumerate(norm.tops):
        normalised = norm.normalise(scores.scores, sides.rows, {side: statistics[side][k] for side in norm.sides})
        write_scores(f"{args.scores_out}{top if len(norm.tops) > 1 else ''}", scores, normalised, scores.target)
    if args.impostors_out:
        write_impostors(args.impostors_out, sides, statistics)
    clock.append(time.perf_counter())
    flat = max(int((part.deviation == 0).sum()) for found in statistics.values() for part in found)
    if flat:
        log.logger.warning("%d embeddings score alike against all cohort vectors that count: they only shift", flat)
    reading, finding, writing = np.diff(clock)
    log.logger.info(
        "%s of %d trials by a cohort of %d: read in %.2f s, cohort scores in %.2f s, written in %.2f s",
        part.name, len(scores), len(cohort_ids), reading, finding, writing,
    )  # fmt: skip


if __name__ == "__main__":
    command(main)
