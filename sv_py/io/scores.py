"""Score files: `enrol test score target|nontarget`, a line per trial in the order of the trial list."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sv_py.cli import InputError, near_miss
from sv_py.io.atomic import replace_file
from sv_py.io.pairs import LABELS, IdTable, Pairs, column_blocks, count_repeated

_BLOCK = 1 << 16  # lines formatted at once


@dataclass(frozen=True)
class Scores(Pairs):
    """Pairs with ``scores`` float64 (N,), and ``target`` bool (N,) or None where the file has no labels."""

    scores: np.ndarray
    target: np.ndarray | None = None


def read_scores(path: str | Path, labelled: bool = False) -> Scores:
    """Read `enrol test score` lines, with `target|nontarget` in all of them or in none.

    ``labelled`` asks for the labels. Raises InputError with the line: other columns, a score that is no finite
    number, an unknown label, a pair with contradicting labels.
    """
    ids = IdTable()
    blocks: list[tuple[np.ndarray, ...]] = []
    for first, (enrol, test, values, *labels) in column_blocks(path, "enrol test score [target|nontarget]", (3, 4)):
        if labelled and not labels:
            raise InputError("no label in the 4th column: expected 'enrol test score target|nontarget'", path, first)
        block = (ids.indices(enrol), ids.indices(test), _numbers(values, path, first))
        blocks.append((*block, _labels(labels[0], path, first)) if labels else block)
    enrol, test, scores, *target = (np.concatenate(part) for part in zip(*blocks, strict=True))
    found = Scores(list(ids), enrol, test, scores, *target)
    if found.target is not None:
        count_repeated(found, found.target, path)
    return found


def _numbers(values: tuple[str, ...], path: str | Path, first: int) -> np.ndarray:
    try:
        numbers = np.fromiter(map(float, values), np.float64, len(values))
    except ValueError:
        numbers = np.array([_number(value) for value in values])
    if not np.isfinite(numbers).all():
        wrong = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise InputError(f"score '{values[wrong]}' is not a finite number", path, first + wrong)
    return numbers


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return math.nan


def _labels(labels: tuple[str, ...], path: str | Path, first: int) -> np.ndarray:
    try:
        return np.fromiter(map(LABELS.__getitem__, labels), bool, len(labels))
    except KeyError as error:
        wrong = error.args[0]
        message = f"label '{wrong}'{near_miss(wrong, LABELS)}: expected target or nontarget"
        raise InputError(message, path, first + labels.index(wrong)) from None


def write_scores(
    path: str | Path, pairs: Pairs, scores: np.ndarray, marks: np.ndarray | None, words=("nontarget", "target")
) -> None:
    """Write a score file atomically, six decimals; ``marks`` (N,) bool choose the word of each line, None: no words.

    Raises InputError for a score that is not finite.
    """
    if not np.isfinite(scores).all():
        k = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise InputError(f"the score of '{pairs.ids[pairs.enrol[k]]} {pairs.ids[pairs.test[k]]}' is {scores[k]}")
    names = np.array(pairs.ids, dtype=object)
    endings = np.array([f" {word}" for word in words] if marks is not None else [""], dtype=object)
    marks = np.zeros(len(pairs), bool) if marks is None else marks
    with replace_file(path) as file:
        for start in range(0, len(pairs), _BLOCK):
            part = slice(start, start + _BLOCK)
            ids = names[pairs.enrol[part]], names[pairs.test[part]]
            columns = (*ids, scores[part], endings[marks[part].astype(int)])
            rows = zip(*(column.tolist() for column in columns), strict=True)
            file.write("".join([f"{enrol} {test} {score:.6f}{end}\n" for enrol, test, score, end in rows]))
