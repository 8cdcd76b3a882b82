"""Embeddings from a Kaldi scp, `id path.ark:offset`, loaded in bulk into one matrix."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from sv_py.cli import InputError
from sv_py.io.ark import ArkReader
from sv_py.io.places import split_place

_BLOCK = 8192  # vectors copied at once


@dataclass(frozen=True)
class Embeddings:
    """``matrix`` is float32 (len(ids), dimension), one row per id."""

    ids: list[str]
    matrix: np.ndarray


def load_embeddings(places: Mapping[str, str], ids: Sequence[str], dimension: int | None = None) -> Embeddings:
    """Load the vectors of ``ids``; ``places`` maps id -> `path.ark:offset`, as `read_table` of a scp gives it.

    Raises InputError that names the id of what is no vector, has a value that is not finite, or another dimension
    than ``dimension`` (default: that of the first).
    """
    reader = ArkReader()
    dimension = dimension or _read_vector(reader, places, ids[0]).size
    matrix = np.empty((len(ids), dimension), np.float32)
    for path, (rows, offsets) in _by_ark(places, ids).items():
        _read_vector(reader, places, ids[rows[0]])  # a missing or empty ark is reported here
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            plain, values = _plain_vectors(path, offsets[start : start + _BLOCK], dimension)
            matrix[block[plain]] = values
            for row in block[~plain].tolist():  # of another dimension or kind
                vector = _read_vector(reader, places, ids[row])
                if vector.size != dimension:
                    raise InputError(f"{ids[row]} has {vector.size} dimensions instead of {dimension}", path)
                matrix[row] = vector
            finite = np.isfinite(matrix[block]).all(axis=1)
            if not finite.all():
                raise InputError(f"{ids[block[~finite][0]]} has values that are not finite", path)
    return Embeddings(list(ids), matrix)


def _by_ark(places: Mapping[str, str], ids: Sequence[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """ark -> (rows of the matrix, offsets in the ark), in the order of the offsets: disks like that."""
    arks: dict[str, tuple[list[int], list[int]]] = {}
    for row, name in enumerate(ids):
        path, offset = split_place(places[name], name)
        rows, offsets = arks.setdefault(path, ([], []))
        rows.append(row)
        offsets.append(offset)
    return {path: _in_order(np.array(rows), np.array(offsets)) for path, (rows, offsets) in arks.items()}


def _in_order(rows: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(offsets)
    return rows[order], offsets[order]


def _plain_vectors(path: str, offsets: np.ndarray, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Which entries are float32 vectors of ``dimension`` (mask like ``offsets``), and the values of those."""
    data = np.asarray(np.memmap(path, np.uint8, mode="r"))
    head = np.frombuffer(b"\0BFV \4" + dimension.to_bytes(4, "little"), np.uint8)
    width = 4 * dimension
    plain = offsets + len(head) + width <= len(data)
    if not plain.any():
        return plain, np.empty((0, dimension), np.float32)
    plain[plain] = (sliding_window_view(data, len(head))[offsets[plain]] == head).all(axis=1)
    return plain, sliding_window_view(data, width)[offsets[plain] + len(head)].view("<f4")


def _read_vector(reader: ArkReader, places: Mapping[str, str], name: str) -> np.ndarray:
    vector = reader.read(places[name], key=name)
    if vector.ndim != 1 or not vector.size:
        raise InputError(f"{name} is no vector but has shape {vector.shape}: {places[name]}")
    return vector


def mean_embedding(places: Mapping[str, str], dimension: int) -> np.ndarray:
    """Mean of all embeddings of a scp, float64 (dimension,); a block of them at a time is in memory."""
    names = iter(places)
    total = np.zeros(dimension)
    while block := list(islice(names, _BLOCK)):
        total += load_embeddings(places, block, dimension).matrix.sum(axis=0, dtype=np.float64)
    return total / len(places)


def average(embeddings: Embeddings, models: Mapping[str, Sequence[str]]) -> Embeddings:
    """The mean embedding of each model's utterances, in the order of ``models``."""
    row = {name: k for k, name in enumerate(embeddings.ids)}
    rows = np.array([row[name] for names in models.values() for name in names])
    sizes = np.array([len(names) for names in models.values()])
    sums = np.add.reduceat(embeddings.matrix[rows], np.cumsum(sizes) - sizes, axis=0, dtype=np.float64)
    return Embeddings(list(models), (sums / sizes[:, None]).astype(np.float32))
