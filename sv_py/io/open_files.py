"""Files that stay open and are read by position."""

import os
from collections import OrderedDict

import numpy as np


class OpenFiles:
    """Reads at any position of many files; the ``limit`` used last stay open.

    pread instead of a memory map: what was read does not stay in this process's resident memory, and processes that
    fork share a descriptor without moving each other's position; each thread needs its own. A pickled copy opens its
    files anew.
    """

    def __init__(self, limit: int = 256):
        self._limit = limit
        self._open: OrderedDict[str, tuple[int, int]] = OrderedDict()  # path -> (descriptor, size in bytes)

    def size(self, path: str) -> int:
        """Bytes of the file when it was opened."""
        return self._file(path)[1]

    def read(self, path: str, offset: int, count: int) -> bytes:
        """``count`` bytes from ``offset`` on, fewer where the file ends."""
        return os.pread(self._file(path)[0], count, offset)

    def array(self, path: str, offset: int, count: int, kind: str) -> np.ndarray:
        """``count`` numbers of the dtype ``kind`` from ``offset`` on. Raises ValueError if the file ends before."""
        descriptor, size = self._file(path)
        if offset + count * np.dtype(kind).itemsize > size:
            raise ValueError(f"the file ends before byte {offset + count * np.dtype(kind).itemsize}")
        values = np.empty(count, kind)
        rest = memoryview(values.view(np.uint8))
        while rest:  # one call reads at most 2 GB, and less where a network file system likes
            got = os.preadv(descriptor, [rest], offset)
            if got == 0:
                raise ValueError("the file has become shorter")
            rest, offset = rest[got:], offset + got
        return values

    def _file(self, path: str) -> tuple[int, int]:
        found = self._open.get(path)
        if found is not None:
            self._open.move_to_end(path)
            return found
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._open[path] = descriptor, os.fstat(descriptor).st_size
        if len(self._open) > self._limit:
            os.close(self._open.popitem(last=False)[1][0])
        return self._open[path]

    def close(self) -> None:
        """Close all files; the next read opens its own again."""
        while self._open:
            os.close(self._open.popitem()[1][0])

    __del__ = close

    def __getstate__(self) -> dict:
        return {"_limit": self._limit, "_open": OrderedDict()}
