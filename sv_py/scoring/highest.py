"""The highest scores of embeddings against a cohort, in tiles of a product of matrices, by numpy."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sv_py.scoring.backend import Side

MEMORY = 1 << 29  # bytes, unless told otherwise
_ROWS, _COLUMNS = 1024, 8192  # of a tile; of a smaller one BLAS copies more than it multiplies


class Highest:
    """Finds the highest cohort scores within ``memory`` bytes, beside the vectors, by at most so many ``threads``.

    The bits are the same for any number of threads, and of bytes that hold one whole tile (some 40 MB); with fewer
    the last bits may change. BLAS is to have one thread where there are several of ours.
    """

    def __init__(self, memory: int = MEMORY, threads: int = 1):
        self.memory, self.threads = memory, threads

    def each(
        self, vectors: np.ndarray, cohort: Side, keep: int, left_out: np.ndarray,
        take: Callable[[slice, np.ndarray], None],
    ) -> None:  # fmt: skip
        """Call ``take(part, scores)`` for one part of the rows of ``vectors`` (n, d) after another, in any order.

        ``scores`` (rows, keep) are ascending, without the offsets of the rows, and -inf where fewer count: ``left_out``
        (2, P), by ascending rows, are pairs that do not.
        """
        size, itemsize = len(cohort.vectors), vectors.itemsize
        width = min(size, keep + max(_COLUMNS, 4 * keep))
        row = width * itemsize + keep * (itemsize + 16)  # bytes, with those that the caller takes for moments
        rows = min(_ROWS, max(1, self.memory // row))
        workers = min(self.threads, max(1, self.memory // (rows * row)))

        local = threading.local()

        def work(start: int) -> None:
            if not hasattr(local, "buffer"):
                local.buffer = np.empty((rows, width), vectors.dtype)
            part = slice(start, min(start + rows, len(vectors)))
            buffer = local.buffer[: part.stop - start]
            take(part, _highest(buffer, vectors[part], cohort, keep, *pairs_of(left_out, part)))

        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, range(0, len(vectors), rows)))  # numpy lets go of the interpreter's lock


def _highest(
    buffer: np.ndarray, vectors: np.ndarray, cohort: Side, keep: int, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """Ascending scores (rows, keep); the first tile fills the ``buffer``, later ones spare the highest at its end."""
    first, end = 0, buffer.shape[1]
    while first < len(cohort.vectors):
        last = min(first + end, len(cohort.vectors))
        window = buffer[:, end - (last - first) :]
        tile = window[:, : last - first]
        np.matmul(vectors, cohort.vectors[first:last].T, out=tile)
        if cohort.offsets is not None:
            tile += cohort.offsets[first:last]
        inside = (first <= columns) & (columns < last)
        tile[rows[inside], columns[inside] - first] = -np.inf
        window.partition(window.shape[1] - keep, axis=1)
        first, end = last, buffer.shape[1] - keep
    return np.sort(buffer[:, end:], axis=1)  # sums of them do not depend on the tiles


def pairs_of(pairs: np.ndarray, part: slice) -> np.ndarray:
    """Those of ``pairs`` (2, P), by ascending rows, whose rows lie in ``part``; rows are counted from its start."""
    first, last = np.searchsorted(pairs[0], [part.start, part.stop])
    return pairs[:, first:last] - [[part.start], [0]]
