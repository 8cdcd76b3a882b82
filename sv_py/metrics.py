"""Error rates of score files with speaker-bootstrap intervals: EER, detection costs, Cllr, breakdowns.

Rates are fractions in JSON and per cent in tables. Speakers of the bootstrap are those of --utt2spk; without it, ids
that target trials connect count as one speaker. actDCF and Cllr are told of --calibrated scores only, which have to be
natural-log likelihood ratios.
"""

import argparse
import json
import math
from collections.abc import Iterable
from pathlib import Path

from sv_py.cli import InputError, Parser, command, near_miss
from sv_py.io.atomic import replace_file
from sv_py.io.scores import read_scores
from sv_py.io.text import read_table
from sv_py.report.text import tables
from sv_py.scoring.breakdown import Attribute
from sv_py.scoring.evaluation import evaluate

REPLICATES = 1000
DURATION = "duration"


def read_tables(paths: Iterable[str], seconds: bool = False) -> dict[str, str]:
    """One `key value` table from several. Raises InputError where they disagree, or a value is no number of seconds."""
    table: dict[str, str] = {}
    for path in paths:
        for line, (key, value) in enumerate(read_table(path, columns=2).items(), 1):
            if seconds and not _is_duration(value):
                raise InputError(f"'{value}' is no number of seconds", path, line)
            if table.setdefault(key, value) != value:
                raise InputError(f"'{key}' has {value} here, and {table[key]} in another such table", path, line)
    return table


def _is_duration(value: str) -> bool:
    try:
        return 0 <= float(value) < math.inf
    except ValueError:
        return False


def read_attributes(given: list[str], utt2dur: list[str], edges: tuple[float, ...]) -> list[Attribute]:
    """The attributes `name=file` (files of one name are one table), and the durations. Raises InputError."""
    files: dict[str, list[str]] = {}
    for word in given:
        name, equals, path = word.partition("=")
        if not (name.isidentifier() and equals and path) or name == DURATION:
            what = "durations are those of --utt2dur" if name == DURATION else "expected name=file"
            raise InputError(f"--attribute {word}: {what}")
        files.setdefault(name, []).append(path)
    attributes = [Attribute(name, read_tables(paths)) for name, paths in files.items()]
    if utt2dur:
        attributes.append(Attribute(DURATION, read_tables(utt2dur, seconds=True), edges))
    return attributes


def read_edges(text: str) -> tuple[float, ...]:
    """Ascending numbers above 0 between commas. Raises InputError."""
    try:
        edges = tuple(float(word) for word in text.split(","))
    except ValueError:
        edges = ()
    if not edges or not all(low < high for low, high in zip((0, *edges), (*edges, math.inf), strict=True)):
        raise InputError(f"--duration-bins is ascending seconds with commas between, such as 2,6, not '{text}'")
    return edges


def main() -> None:
    """Print tables or JSON; write JSON on request."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", nargs="+", help="score files, `enrol test score target|nontarget`")
    parser.add_argument("--json", action="store_true", help="print JSON, not tables; of several files, name -> metrics")
    parser.add_argument("--out", help="write JSON name -> metrics here, beside what is printed")
    parser.add_argument("--name", action="append", help="name of a score file, in their order (default: file name)")
    parser.add_argument("--calibrated", action="append", default=[], metavar="NAME", help="a file of likelihood ratios")
    parser.add_argument("--utt2spk", action="append", default=[], help="utterance -> speaker; may be repeated")
    parser.add_argument(
        "--attribute", action="append", default=[], metavar="NAME=FILE",
        help="break down by what the table says of utterances or their speakers, e.g. gender=spk2gender",
    )  # fmt: skip
    parser.add_argument("--utt2dur", action="append", default=[], help="break down by duration; may be repeated")
    parser.add_argument("--duration-bins", default="2,6", help="edges of the bins of durations, s (%(default)s)")
    parser.add_argument("--bootstrap", type=int, default=REPLICATES, help="replicates (%(default)s); 0: no intervals")
    parser.add_argument("--seed", type=int, default=0, help="seed of the bootstrap (%(default)s)")
    args = parser.parse_args()
    names = args.name or [Path(path).name for path in args.scores]
    if len(names) != len(args.scores) or len(set(names)) != len(names):
        parser.error(f"{len(args.scores)} score files need as many different names, not {' '.join(names)}")
    if unknown := set(args.calibrated) - set(names):
        name = min(unknown)
        parser.error(f"--calibrated {name}: no score file has that name{near_miss(name, names)}")
    if args.bootstrap < 0:
        parser.error("--bootstrap is a number of replicates, or 0")

    utt2spk = read_tables(args.utt2spk)
    attributes = read_attributes(args.attribute, args.utt2dur, read_edges(args.duration_bins))
    results = {}
    for name, path in zip(names, args.scores, strict=True):
        scores = read_scores(path, labelled=True)
        try:
            results[name] = evaluate(scores, utt2spk, attributes, name in args.calibrated, args.bootstrap, args.seed)
        except InputError as error:
            raise InputError(str(error), path) from None
    if args.out:
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        with replace_file(args.out) as file:
            file.write(json.dumps(results, indent=2) + "\n")
    if args.json:
        print(json.dumps(results if len(results) > 1 else results[names[0]], indent=2))
    else:
        print(tables(results))


if __name__ == "__main__":
    command(main)
