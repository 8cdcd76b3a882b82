"""Draw the trials of calibration: target and non-target, of short and of long utterances of training speakers.

They are balanced, seeded, and of the given utterances only: those that were kept out of the cohort.
"""

import argparse
import dataclasses
from pathlib import Path

from sv_py import log
from sv_py.calibration_options import chosen_calibration
from sv_py.cli import Parser, command
from sv_py.compute_quality import read_durations
from sv_py.io.text import read_table, require_keys, write_lines
from sv_py.scoring.calibration_trials import draw_trials

_OPTIONS = ("short", "long", "trials_per_kind", "seed")


def limits(text: str) -> tuple[float, float]:
    """The two numbers of '2,6'. Raises ValueError, as argparse wants."""
    least, most = map(float, text.split(","))
    return least, most


def main() -> None:
    """Parse the command line, draw, write the trial list."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", help="experiment whose scoring.calibration has what is not given here")
    parser.add_argument("--short", type=limits, help="seconds of a short utterance, least and most, as 2,6")
    parser.add_argument("--long", type=float, help="seconds above which an utterance is long")
    parser.add_argument("--trials-per-kind", type=int, help="of each label and pair of durations")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--spk2gender", help="non-target trials are of one gender; any table by speaker will do")
    parser.add_argument("utt2spk", help="the utterances")
    parser.add_argument("utt2dur", help="seconds of these, and perhaps of others")
    parser.add_argument("out", help="the trial list")
    args = parser.parse_args()
    log.setup()
    given = {name: getattr(args, name) for name in _OPTIONS if getattr(args, name) is not None}
    arguments = dataclasses.replace(chosen_calibration(args.config).args, **given)
    utt2spk = read_table(args.utt2spk, columns=2)
    durations = read_durations(args.utt2dur)
    require_keys(durations.rows, utt2spk, args.utt2dur)
    seconds = {utt: durations.values[durations.rows[utt], 0] for utt in utt2spk}
    gender = read_table(args.spk2gender, columns=2) if args.spk2gender else None
    if gender is not None:
        require_keys(gender, sorted(set(utt2spk.values())), args.spk2gender)
    drawn = draw_trials(
        utt2spk, seconds, arguments.short, arguments.long, arguments.trials_per_kind, arguments.seed, gender
    )
    for kind, number in drawn.found.items():
        if number < arguments.trials_per_kind:
            targets, nontargets = drawn.possible[kind]
            log.logger.warning(
                "%s: %d instead of %d trials of each label: %d target and %d non-target trials are possible",
                kind, number, arguments.trials_per_kind, targets, nontargets,
            )  # fmt: skip
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    write_lines(args.out, drawn.lines)
    log.logger.info("%d trials of %d utterances", len(drawn.lines), len(utt2spk))


if __name__ == "__main__":
    command(main)
