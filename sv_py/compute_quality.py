"""Write the quality table of a trial list's ids: `utt <measure>...`, then `<id> <number>...`.

A measure stands in one of the --quality tables (of the audio, of the cohort, or your own), or is a duration, of
--utt2dur, or a magnitude, of --embeddings.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sv_py import log
from sv_py.calibration_options import chosen_calibration, words
from sv_py.cli import InputError, Parser, command, near_miss
from sv_py.io.embeddings import load_embeddings
from sv_py.io.quality import QualityTable, read_quality, write_quality
from sv_py.io.text import read_table, require_keys
from sv_py.io.trials import match_ids, read_trials
from sv_py.scoring.arguments import MEASURES

_ADD_UP = ("duration", "speech_duration")  # over a model's utterances; of other measures the mean is taken
_NORMS = {"magnitude": 2, "magnitude_l1": 1}  # of the embedding


@dataclass(frozen=True)
class Ids:
    """Ids of a trial list; ``sizes[k]`` of ``utts``, one after the other, are those of the model ``names[k]``.

    An id that is no model is an utterance, and has itself.
    """

    names: list[str]
    utts: list[str]
    sizes: np.ndarray

    def of_utterances(self, values: np.ndarray, measure: str) -> np.ndarray:
        """The values of the ids (len(names),) from those of ``utts``."""
        sums = np.add.reduceat(values, np.cumsum(self.sizes) - self.sizes)
        return sums if measure in _ADD_UP else sums / self.sizes


def read_ids(trials: str | Path, spk2utt: str | Path | None) -> Ids:
    """The ids of a trial list; ``spk2utt`` has the utterances of the models among them. Raises InputError."""
    models = {model: utts.split() for model, utts in read_table(spk2utt).items()} if spk2utt else {}
    names = read_trials(trials).ids
    groups = [models.get(name, [name]) for name in names]
    return Ids(names, [utt for utts in groups for utt in utts], np.array([len(utts) for utts in groups]))


def add_id_options(parser: Parser) -> None:
    """The options that `read_ids` needs."""
    parser.add_argument("--enrol-spk2utt", help="`model utt...`: durations of a model add up, others are means")
    parser.add_argument("trials", help="trial list, Kaldi's or VoxCeleb's format")


def measure_embeddings(path: str, ids: Ids) -> QualityTable:
    """L2 and L1 norm of the embeddings of ``ids.utts`` as the network gave them."""
    places = read_table(path)
    names = match_ids(ids.utts, places)
    require_keys(places, names, path)
    rows = {name: row for row, name in enumerate(dict.fromkeys(names))}
    matrix = load_embeddings(places, list(rows)).matrix.astype(np.float64)
    norms = np.stack([np.linalg.norm(matrix, order, axis=1) for order in _NORMS.values()], axis=1)
    return QualityTable(path, rows, list(_NORMS), norms)


def read_durations(path: str) -> QualityTable:
    """The seconds of a utt2dur. Raises InputError that names file and line."""
    table = read_table(path, columns=2)
    seconds = np.empty((len(table), 1))
    for row, (utt, value) in enumerate(table.items()):
        try:
            seconds[row] = float(value)
        except ValueError:
            seconds[row] = np.nan
        if not 0 <= seconds[row, 0] < np.inf:
            raise InputError(f"'{utt}' does not last '{value}' seconds", path, row + 1)
    return QualityTable(path, {utt: row for row, utt in enumerate(table)}, ["duration"], seconds)


def look_up(tables: list[QualityTable], ids: Ids, measure: str) -> np.ndarray:
    """The ``measure`` of all ids, from the one table that has it; a table may have lines of the models themselves."""
    having = [table for table in tables if measure in table.measures]
    if not having:
        known = () if measure in MEASURES else {*MEASURES, *(name for table in tables for name in table.measures)}
        raise InputError(
            f"no table has the measure '{measure}'{near_miss(measure, known)}: duration is in --utt2dur, magnitude and "
            "magnitude_l1 in --embeddings, others in a --quality table"
        )
    if len(having) > 1:
        raise InputError(f"measure '{measure}' stands in {having[0].path}, too", having[1].path)
    (table,) = having
    values = table.columns([measure])[:, 0]
    names = match_ids(ids.names, table.rows)
    if all(name in table.rows for name in names):
        return values[[table.rows[name] for name in names]]
    utts = match_ids(ids.utts, table.rows)
    require_keys(table.rows, utts, table.path)
    return ids.of_utterances(values[[table.rows[utt] for utt in utts]], measure)


def main() -> None:
    """Parse the command line, collect, write."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--config", help="experiment whose scoring.calibration has the measures")
    choice.add_argument("--measures", type=words, help="or the measures, as duration,snr")
    parser.add_argument("--utt2dur", help="table that has: duration")
    parser.add_argument("--embeddings", help="xvector.scp that has: magnitude, magnitude_l1")
    parser.add_argument("--quality", action="append", default=[], help="quality table that has others; may be repeated")
    add_id_options(parser)
    parser.add_argument("out", help="the quality table")
    args = parser.parse_args()
    log.setup()
    measures = args.measures or chosen_calibration(args.config).args.measures
    if not measures:
        raise InputError("its scoring.calibration uses no measures", args.config)
    ids = read_ids(args.trials, args.enrol_spk2utt)
    tables = [read_quality(path) for path in args.quality]
    if args.utt2dur and "duration" in measures:
        tables.append(read_durations(args.utt2dur))
    if args.embeddings and set(measures) & set(_NORMS):
        tables.append(measure_embeddings(args.embeddings, ids))
    columns = {measure: look_up(tables, ids, measure) for measure in measures}
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    write_quality(args.out, ids.names, columns)
    log.logger.info("%s of %d ids", ", ".join(measures), len(ids.names))


if __name__ == "__main__":
    command(main)
