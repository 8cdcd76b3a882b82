"""Choose dev speakers, dev trials and validation utterances of a data dir, all from one seed."""

import itertools
import math
from pathlib import Path

import numpy as np

from sv_py import log
from sv_py.cli import InputError, Parser, command
from sv_py.io.text import invert, read_table, write_lines


def choose_speakers(spk2utt: dict[str, list[str]], count: int, seed: int) -> list[str]:
    """``count`` speakers with two utterances or more, sorted; the same for the same speakers and seed."""
    able = [spk for spk, utts in spk2utt.items() if len(utts) > 1]
    if count < 2 or len(able) < count or len(spk2utt) < count + 2:
        raise InputError(
            f"cannot hold out {count} dev speakers of {len(spk2utt)}, {len(able)} of them with two utterances: "
            "at least two must be held out and two be left (hold_out.dev_speakers)"
        )
    return sorted(np.random.default_rng(seed).choice(able, count, replace=False).tolist())


def make_trials(spk2utt: dict[str, list[str]], gender: dict[str, str], most: int, seed: int) -> list[str]:
    """At most ``most`` target and ``most`` non-target lines; non-targets of one gender where genders are known."""
    rng = np.random.default_rng([seed, 1])
    targets = [pair for utts in spk2utt.values() for pair in itertools.combinations(utts, 2)]
    speakers = [
        (a, b) for a, b in itertools.combinations(spk2utt, 2) if not gender or gender.get(a) == gender.get(b)
    ] or list(itertools.combinations(spk2utt, 2))
    nontargets = set()
    for first, second in (speakers[i] for i in rng.integers(len(speakers), size=4 * most)):
        if len(nontargets) == most:
            break
        nontargets.add(
            (spk2utt[first][rng.integers(len(spk2utt[first]))], spk2utt[second][rng.integers(len(spk2utt[second]))])
        )
    if len(targets) > most:
        targets = [targets[i] for i in sorted(rng.choice(len(targets), most, replace=False))]
    return [f"{a} {b} target" for a, b in targets] + [f"{a} {b} nontarget" for a, b in sorted(nontargets)]


def choose_utts(spk2utt: dict[str, list[str]], share: float, seed: int) -> set[str]:
    """Of each speaker's utterances that ``share``, rounded up, but for his last one. Raises InputError if that is none.

    What is chosen of a speaker depends on the seed, on his utterances and on those before him.
    """
    rng = np.random.default_rng([seed, 2])
    chosen: set[str] = set()
    for utts in spk2utt.values():
        count = min(math.ceil(round(share * len(utts), 9)), len(utts) - 1)  # 0.07 * 100 is more than 7
        chosen.update(rng.choice(utts, count, replace=False).tolist())
    if not chosen:
        raise InputError(f"no training speaker has two utterances, to hold out {share} of them (hold_out.valid_share)")
    return chosen


def main() -> None:
    """Parse the command line; write train_utts, dev_utts, trials and, where they are asked for, valid_utts."""
    parser = Parser(prog="python -m sv_py.hold_out", description=__doc__)
    parser.add_argument("--speakers", type=int, default=16, help="speakers to hold out")
    parser.add_argument("--trials", type=int, default=2000, help="most target, and most non-target, trials")
    parser.add_argument("--valid-share", type=float, default=0.0, help="of each training speaker's utterances")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("out_dir", type=Path, help="an existing folder for the lists")
    args = parser.parse_args()
    if args.trials < 1 or args.seed < 0:
        raise InputError(f"--trials must be at least 1 and --seed at least 0, not {args.trials} and {args.seed}")
    if not 0 <= args.valid_share < 1:
        raise InputError(f"--valid-share must be at least 0 and below 1, not {args.valid_share}")
    log.setup()
    utt2spk = read_table(args.data_dir / "utt2spk", columns=2)
    genders = args.data_dir / "spk2gender"
    gender = read_table(genders, columns=2) if genders.exists() else {}
    spk2utt = invert(utt2spk)
    dev = choose_speakers(spk2utt, args.speakers, args.seed)
    trials = make_trials({spk: spk2utt[spk] for spk in dev}, gender, args.trials, args.seed)
    dev_utts = {utt for spk in dev for utt in spk2utt.pop(spk)}
    valid = choose_utts(spk2utt, args.valid_share, args.seed) if args.valid_share else set()
    write_lines(args.out_dir / "dev_utts", (u for u in utt2spk if u in dev_utts))
    write_lines(args.out_dir / "train_utts", (u for u in utt2spk if u not in dev_utts and u not in valid))
    write_lines(args.out_dir / "trials", trials)
    if valid:
        write_lines(args.out_dir / "valid_utts", (u for u in utt2spk if u in valid))
    log.logger.info("%d dev speakers, %d dev trials, %d valid utterances", len(dev), len(trials), len(valid))


if __name__ == "__main__":
    command(main)
