"""Quality tables: a first line `utt <measure>...`, then `<id> <number>...`, a line per utterance or model.

Columns and lines stand in any order, and anybody may add measures of his own.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sv_py.cli import InputError, near_miss
from sv_py.io.pairs import Pairs
from sv_py.io.text import read_lines, require_keys, write_lines
from sv_py.io.trials import match_ids


@dataclass(frozen=True)
class QualityTable:
    """``values`` is float64 (len(rows), len(measures)); ``rows``: id -> its row."""

    path: str | Path
    rows: dict[str, int]
    measures: list[str]
    values: np.ndarray

    def columns(self, measures: Sequence[str]) -> np.ndarray:
        """The values of ``measures``, (len(rows), len(measures)). Raises InputError that names the near miss."""
        for measure in measures:
            if measure not in self.measures:
                known = ", ".join(self.measures)
                raise InputError(
                    f"has no measure '{measure}'{near_miss(measure, self.measures)}; it has {known}", self.path, 1
                )
        return self.values[:, [self.measures.index(measure) for measure in measures]]

    def of_ids(self, pairs: Pairs, measures: Sequence[str]) -> np.ndarray:
        """The ``measures`` of the ids of ``pairs``, (len(pairs.ids), len(measures)).

        Ids may be written as VoxCeleb's lists write them. Raises InputError that names those without a line.
        """
        values = self.columns(measures)
        names = match_ids(pairs.ids, self.rows)
        require_keys(self.rows, names, self.path)
        return values[[self.rows[name] for name in names]]


def read_quality(path: str | Path) -> QualityTable:
    """Read a quality table. Raises InputError with the line: another first line, a wrong number of columns, a value
    that is no finite number, an id or a measure a second time."""
    lines = read_lines(path)
    head, *measures = lines[0].split() or [""]
    if head != "utt" or not measures:
        raise InputError(f"expected 'utt <measure>...', got {lines[0][:80]!r}", path, 1)
    if twice := [measure for measure, count in Counter(measures).items() if count > 1]:
        raise InputError(f"measure '{twice[0]}' a second time", path, 1)
    rows: dict[str, int] = {}
    values = np.empty((len(lines) - 1, len(measures)))
    for number, line in enumerate(lines[1:], 2):
        words = line.split()
        if len(words) != 1 + len(measures):
            raise InputError(f"{len(words)} columns instead of {1 + len(measures)}", path, number)
        if words[0] in rows:
            raise InputError(f"'{words[0]}' a second time", path, number)
        rows[words[0]] = number - 2
        values[number - 2] = [_number(word, path, number) for word in words[1:]]
    return QualityTable(path, rows, measures, values)


def _number(word: str, path: str | Path, line: int) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"'{word}' is not a finite number", path, line)
    return value


def write_quality(path: str | Path, ids: Sequence[str], columns: Mapping[str, np.ndarray]) -> None:
    """Write a table of ``columns``, measure -> values (len(ids),), atomically, seven significant digits.

    Raises InputError for a value that is not finite.
    """
    values = np.stack(list(columns.values()), axis=1)
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        row, column = wrong[0]
        raise InputError(f"{list(columns)[column]} of '{ids[row]}' is {values[row, column]}")
    rows = (f"{name} {' '.join(f'{value:.7g}' for value in row)}" for name, row in zip(ids, values, strict=True))
    write_lines(path, [" ".join(["utt", *columns]), *rows])
