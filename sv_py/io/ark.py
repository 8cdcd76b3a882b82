"""Kaldi arks and scps: written shard by shard and whole, read by position through a memory map."""

import io
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

import kaldiio
import numpy as np

from sv_py.cli import InputError
from sv_py.io.atomic import replace_file
from sv_py.io.text import write_lines

_MAPS = 256  # arks kept open at once; a shard is read many times in a row


def write_ark(ark: str | Path, scp: str | Path, items: Iterable[tuple[str, np.ndarray]]) -> int:
    """Write (key, float32 matrix or vector) pairs to ``ark``, then their places to ``scp``.

    Both appear under their names only when whole, the scp last: a scp that is there has its ark.
    Returns the number of entries. Paths in the scp are absolute, so that a data dir can be used from anywhere.
    """
    lines = []
    place = Path(ark).resolve()
    with replace_file(ark, "wb") as file:
        for key, array in items:
            entry = io.BytesIO()
            kaldiio.save_ark(entry, {key: np.asarray(array, dtype=np.float32)})
            lines.append(f"{key} {place}:{file.tell() + len(key.encode()) + 1}")
            file.write(entry.getbuffer())
    write_lines(scp, lines)
    return len(lines)


def split_place(place: str, key: str = "") -> tuple[str, int]:
    """Path and byte offset of a scp value. Raises InputError for a pipe, which is never run."""
    if place.rstrip().endswith("|") or place.startswith("|"):
        raise InputError(f"{key}: pipes are not run: {place}")
    path, colon, offset = place.rpartition(":")
    if not colon or not offset.isdigit():
        return place, 0
    return path, int(offset)


class ArkReader:
    """Reads matrices and vectors, or only some rows of them, by their scp value ``path.ark:offset``.

    Plain float32 and float64 entries are sliced in place; other kinds (compressed, text) are loaded
    whole by kaldiio. Values with a pipe are refused: a swapped data dir must not run code.
    """

    def __init__(self):
        self._maps: OrderedDict[str, np.ndarray] = OrderedDict()

    def read(self, place: str, start: int = 0, stop: int | None = None, key: str = "") -> np.ndarray:
        """Rows ``start:stop`` of the entry as float32 (a copy). Raises InputError that names key and ark."""
        path, offset = split_place(place, key)
        try:
            array = self._slice(path, offset, start, stop)
            if array is None:
                array = kaldiio.load_mat(place)[start:stop]
        except (OSError, ValueError, IndexError, AssertionError) as error:
            if isinstance(error, FileNotFoundError):
                raise InputError(f"{key or place}: no such ark", path) from None
            raise InputError(
                f"{key or place}: truncated or not a Kaldi matrix at byte {offset}: {error}", path
            ) from None
        return np.asarray(array, dtype=np.float32)

    def _map(self, path: str) -> np.ndarray:
        if path in self._maps:
            self._maps.move_to_end(path)
            return self._maps[path]
        self._maps[path] = np.memmap(path, dtype=np.uint8, mode="r")
        if len(self._maps) > _MAPS:
            self._maps.popitem(last=False)
        return self._maps[path]

    def _slice(self, path: str, offset: int, start: int, stop: int | None) -> np.ndarray | None:
        data = self._map(path)
        head = data[offset : offset + 15].tobytes()
        kind = {b"F": np.dtype("<f4"), b"D": np.dtype("<f8")}.get(head[2:3])
        if head[:2] != b"\0B" or kind is None or head[3:5] not in (b"M ", b"V "):
            return None
        rows = int.from_bytes(head[6:10], "little", signed=True)
        matrix = head[3:4] == b"M"
        columns = int.from_bytes(head[11:15], "little", signed=True) if matrix else 1
        first = offset + (15 if matrix else 10)
        if first + rows * columns * kind.itemsize > len(data):
            raise ValueError(f"{rows} x {columns} values announced, file ends before")
        start, stop, _ = slice(start, stop).indices(rows)
        width = columns * kind.itemsize
        values = (
            np.frombuffer(data, kind, max(0, stop - start) * columns, first + start * width)
            if stop > start
            else (np.empty(0, kind))
        )
        return values.reshape(-1, columns).copy() if matrix else values.copy()
