"""EER, minDCF and their speaker-bootstrap intervals from score files.

The EER is a fraction in JSON and per cent in the table. Speakers of the bootstrap are those of --utt2spk; without it,
ids that target trials connect count as one speaker.
"""

import argparse
import hashlib
import json
from pathlib import Path

from sv_py.cli import InputError, Parser, command
from sv_py.io.atomic import replace_file
from sv_py.io.scores import Scores, read_scores
from sv_py.io.text import read_table
from sv_py.scoring.bootstrap import intervals, speakers_by_table, speakers_by_trials
from sv_py.scoring.metrics import PRIORS, summarise

REPLICATES = 500


def evaluate(path: str, utt2spk: dict[str, str], replicates: int, seed: int) -> dict:
    """All metrics of a score file. ``intervals`` and ``bootstrap`` are None where there are none."""
    scores = read_scores(path, labelled=True)
    try:
        result = summarise(scores.scores, scores.target)
        result |= bootstrap(scores, utt2spk, replicates, seed) if replicates else {"intervals": None, "bootstrap": None}
    except InputError as error:
        raise InputError(str(error), path) from None
    result["trials_sha256"] = trials_digest(scores)
    return result


def bootstrap(scores: Scores, utt2spk: dict[str, str], replicates: int, seed: int) -> dict:
    """The keys ``intervals`` and ``bootstrap`` of a result."""
    speakers = speakers_by_table(scores, utt2spk) if utt2spk else speakers_by_trials(scores, scores.target)
    found = intervals(scores, scores.scores, scores.target, speakers, replicates, seed)
    return {
        "intervals": found and {"eer": found["eer"], "min_dcf": found["min_dcf"]},
        "bootstrap": {
            "unit": "speaker",
            "speakers": int(speakers.max()) + 1,
            "speakers_from": "utt2spk" if utt2spk else "target trials",
            "replicates": found["replicates"] if found else 0,
            "seed": seed,
        },
    }


def trials_digest(scores: Scores) -> str:
    """SHA-256 of the trials as Kaldi writes them: results are comparable if these are equal."""
    digest = hashlib.sha256()
    for enrol, test, target in zip(scores.enrol.tolist(), scores.test.tolist(), scores.target.tolist(), strict=True):
        label = "target" if target else "nontarget"
        digest.update(f"{scores.ids[enrol]} {scores.ids[test]} {label}\n".encode())
    return digest.hexdigest()


def table(results: dict[str, dict]) -> str:
    """Results as text: EER in per cent, minDCF, each with its interval."""
    rows = [["trials", "EER %", *(f"minDCF({prior})" for prior in PRIORS), "targets", "non-targets"]]
    for name, result in results.items():
        spread = result["intervals"] or {"eer": None, "min_dcf": {}}
        costs = [_cell(cost, spread["min_dcf"].get(prior), 1, 3) for prior, cost in result["min_dcf"].items()]
        rows.append([name, _cell(result["eer"], spread["eer"], 100, 2), *costs, *map(str, result["counts"].values())])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _cell(value: float, interval: list[float] | None, scale: float, digits: int) -> str:
    spread = " [{:.{d}f}, {:.{d}f}]".format(*(scale * end for end in interval), d=digits) if interval else ""
    return f"{scale * value:.{digits}f}{spread}"


def main() -> None:
    """Print a table or JSON; write JSON on request."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", nargs="+", help="score files, `enrol test score target|nontarget`")
    parser.add_argument(
        "--json", action="store_true", help="print JSON, not a table; of several files, name -> metrics"
    )
    parser.add_argument("--out", help="write JSON name -> metrics here, beside what is printed")
    parser.add_argument("--name", action="append", help="name of a score file, in their order (default: file name)")
    parser.add_argument("--utt2spk", action="append", default=[], help="utterance -> speaker; may be repeated")
    parser.add_argument("--bootstrap", type=int, default=REPLICATES, help="replicates (%(default)s); 0: no intervals")
    parser.add_argument("--seed", type=int, default=0, help="seed of the bootstrap (%(default)s)")
    args = parser.parse_args()
    names = args.name or [Path(path).name for path in args.scores]
    if len(names) != len(args.scores) or len(set(names)) != len(names):
        parser.error(f"{len(args.scores)} score files need as many different names, not {' '.join(names)}")
    if args.bootstrap < 0:
        parser.error("--bootstrap is a number of replicates, or 0")

    utt2spk = read_speakers(args.utt2spk)
    results = {
        name: evaluate(path, utt2spk, args.bootstrap, args.seed) for name, path in zip(names, args.scores, strict=True)
    }
    if args.out:
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        with replace_file(args.out) as file:
            file.write(json.dumps(results, indent=2) + "\n")
    if args.json:
        print(json.dumps(results if len(results) > 1 else results[names[0]], indent=2))
    else:
        print(table(results))


def read_speakers(paths: list[str]) -> dict[str, str]:
    """One utt2spk from several. Raises InputError where they disagree."""
    utt2spk: dict[str, str] = {}
    for path in paths:
        for utt, speaker in read_table(path, columns=2).items():
            if utt2spk.setdefault(utt, speaker) != speaker:
                raise InputError(f"{utt} is of {speaker} here, of {utt2spk[utt]} in another --utt2spk", path)
    return utt2spk


if __name__ == "__main__":
    command(main)
