"""What trial and score files share: one line per pair of ids, read into an id table and index arrays."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sv_py.cli import InputError
from sv_py.io.text import line_blocks

LABELS = {"target": True, "nontarget": False}


@dataclass(frozen=True)
class Pairs:
    """N pairs: ``ids[enrol[k]]`` against ``ids[test[k]]``; ``enrol`` and ``test`` are int32 arrays (N,)."""

    ids: list[str]
    enrol: np.ndarray
    test: np.ndarray

    def __len__(self) -> int:
        return len(self.enrol)


class IdTable(dict[str, int]):
    """id -> its index; an id not seen before gets the next one."""

    def __missing__(self, name: str) -> int:
        self[name] = len(self)
        return self[name]

    def indices(self, names: Collection[str]) -> np.ndarray:
        """Indices of ``names``, int32."""
        return np.fromiter(map(self.__getitem__, names), np.int32, len(names))


def column_blocks(path: str | Path, form: str, widths: tuple[int, ...]) -> Iterator[tuple[int, list[tuple[str, ...]]]]:
    """Yield (number of the first line, columns) of a text table whose lines all have one of the ``widths``.

    Raises InputError at the first line with another number of columns; ``form`` describes the right one.
    """
    width = None
    for first, lines in line_blocks(path):
        rows = [line.split() for line in lines]
        width = width or len(rows[0])
        wrong = next((k for k, row in enumerate(rows) if len(row) != width), None)
        if width not in widths:
            wrong = 0
        if wrong is not None:
            as_above = f" as the lines above, which have {width}" if first + wrong > 1 else ""
            message = f"{len(rows[wrong])} columns: {lines[wrong][:80]!r}; expected '{form}'{as_above}"
            raise InputError(message, path, first + wrong)
        yield first, list(zip(*rows, strict=True))


def count_repeated(pairs: Pairs, target: np.ndarray, path: str | Path) -> int:
    """How many lines repeat an earlier pair. Raises InputError where the labels of a pair contradict each other."""
    key = pairs.enrol.astype(np.int64) * len(pairs.ids) + pairs.test
    order = np.argsort(key, kind="stable")  # stable: of two equal pairs the later line comes second
    key = key[order]
    again = key[1:] == key[:-1]
    clash = again & (target[order[1:]] != target[order[:-1]])
    if clash.any():
        line = int(order[1:][clash].min())
        pair = f"{pairs.ids[pairs.enrol[line]]} {pairs.ids[pairs.test[line]]}"
        raise InputError(f"'{pair}' is target here and nontarget elsewhere, or the reverse", path, line + 1)
    return int(again.sum())
