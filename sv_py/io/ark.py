"""Kaldi arks and scps: written shard by shard and whole, read by position through a memory map."""

import io
import struct
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

import kaldiio
import numpy as np
from kaldiio.matio import read_kaldi

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
    path, colon, offset = place.rpartition(":")
    if not colon or not offset.isdecimal():
        path, offset = place, 0
    if path.rstrip().endswith("|") or path.startswith("|"):
        raise InputError(f"{key}: pipes are not run: {place}")
    return path, int(offset)


def _load_whole(path: str, offset: int) -> np.ndarray:
    """A compressed or text entry. Nothing else may reach kaldiio: it unpickles what says that it is a pickle."""
    with open(path, "rb") as file:
        file.seek(offset)
        head = file.read(8)
        file.seek(offset)
        if not head.startswith(b"\0BCM") and not head.lstrip().startswith(b"["):
            raise ValueError(f"an entry cannot begin with {head!r}")
        return read_kaldi(file)


class ArkReader:
    """Reads matrices and vectors, or only some rows of them, by their scp value ``path.ark:offset``.

    Plain float32 and float64 entries are sliced in place; compressed and text matrices are loaded whole by
    kaldiio. Pipes and other kinds of entries are refused: a swapped data dir must not run code.
    """

    def __init__(self):
        self._maps: OrderedDict[str, np.ndarray] = OrderedDict()

    def read(self, place: str, start: int = 0, stop: int | None = None, key: str = "") -> np.ndarray:
        """Rows ``start:stop`` of the entry as float32 (a copy). Raises InputError that names key and ark."""
        path, offset = split_place(place, key)
        try:
            array = self._slice(path, offset, start, stop)
            if array is None:
                array = _load_whole(path, offset)[start:stop]
        except FileNotFoundError:
            raise InputError(f"{key or place}: no such ark", path) from None
        except (OSError, ValueError, IndexError, AssertionError, RuntimeError, MemoryError, struct.error) as error:
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
        if head[5:6] != b"\4" or (matrix and head[10:11] != b"\4") or rows < 0 or columns < 0:
            raise ValueError(f"no sizes in {head!r}")
        if first + rows * columns * kind.itemsize > len(data):
            raise ValueError(f"{rows} x {columns} values announced, file ends before")
        start, stop, _ = slice(start, stop).indices(rows)
        count, width = max(0, stop - start), columns * kind.itemsize
        values = np.array(data[first + start * width : first + (start + count) * width]).view(kind)
        return values.reshape(count, columns) if matrix else values
