"""Embeddings from a Kaldi scp, `id path.ark:offset`, loaded in bulk into one matrix."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from sv_py.cli import InputError
from sv_py.io.ark import ArkReader
from sv_py.io.places import split_place

_BLOCK = 8192  # vectors in hand at once


@dataclass(frozen=True)
class Embeddings:
    """``matrix`` is float32 (len(ids), dimension), one row per id."""

    ids: list[str]
    matrix: np.ndarray

    @property
    def dimension(self) -> int:
        """Of each of them."""
        return self.matrix.shape[1]

    def blocks(self) -> Iterator[tuple[slice, "Embeddings"]]:
        """Some thousand rows at a time, with their place."""
        for part in _parts(len(self.ids)):
            yield part, Embeddings(self.ids[part], self.matrix[part])


class StoredEmbeddings:
    """Embeddings of ``ids`` that stay in their arks: for passes over more of them than fit into memory.

    ``places`` and errors as of `load_embeddings`.
    """

    def __init__(self, places: Mapping[str, str], ids: Sequence[str], dimension: int | None = None):
        self.ids, self._places = ids, places
        self.dimension = dimension or _read_vector(ArkReader(), places, ids[0]).size

    def blocks(self) -> Iterator[tuple[slice, Embeddings]]:
        """As those of `Embeddings`; every call reads the arks."""
        for part in _parts(len(self.ids)):
            yield part, load_embeddings(self._places, self.ids[part], self.dimension)


def _parts(count: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, count, _BLOCK))


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


def average(embeddings: Embeddings, models: Mapping[str, Sequence[str]]) -> Embeddings:
    """The mean embedding of each model's utterances, in the order of ``models``."""
    return Embeddings(list(models), group_means(embeddings.matrix, *group_rows(embeddings.ids, models)))


def group_rows(ids: Sequence[str], models: Mapping[str, Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Rows among ``ids`` of all models' utterances, one model after the other, and how many each model has."""
    row = {name: k for k, name in enumerate(ids)}
    rows = np.array([row[name] for names in models.values() for name in names])
    return rows, np.array([len(names) for names in models.values()])


def group_means(matrix: np.ndarray, rows: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Means of rows of ``matrix`` (n, d): group k has the next ``sizes[k]`` of ``rows``. Of the matrix's type."""
    sums = np.add.reduceat(matrix[rows], np.cumsum(sizes) - sizes, axis=0, dtype=np.float64)
    return (sums / sizes[:, None]).astype(matrix.dtype)


def add_groups(sums: np.ndarray, groups: np.ndarray, matrix: np.ndarray) -> None:
    """Add each row of ``matrix`` (n, d) to the row of ``sums`` that ``groups`` (n,) says."""
    order = np.argsort(groups, kind="stable")
    found, first = np.unique(groups[order], return_index=True)
    sums[found] += np.add.reduceat(matrix[order], first, axis=0, dtype=sums.dtype)
