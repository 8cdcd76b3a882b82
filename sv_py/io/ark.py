"""Kaldi arks and scps: written shard by shard and whole, read by position."""

import struct
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
from kaldiio.matio import read_kaldi

from sv_py.cli import InputError
from sv_py.io import compressed
from sv_py.io.atomic import replace_file
from sv_py.io.open_files import OpenFiles
from sv_py.io.places import split_place
from sv_py.io.text import read_table, write_lines, write_table


def write_ark(ark: str | Path, scp: str | Path, items: Iterable[tuple[str, np.ndarray]], compress: bool = False) -> int:
    """Write (key, float32 matrix or vector) pairs to ``ark``, then their places to ``scp``, as `write_entries`.

    ``compress``: matrices take a byte per value, as with copy-feats --compress=true.
    """
    encode = compressed.pack if compress else _plain
    return write_entries(ark, scp, ((key, encode(np.asarray(array, dtype="<f4"))) for key, array in items))


def write_entries(ark: str | Path, scp: str | Path, entries: Iterable[tuple[str, Iterable[bytes]]]) -> int:
    """Write entries, each a key and the pieces of its bytes, to ``ark``, then their places to ``scp``.

    Both appear under their names only when whole, the scp last: a scp that is there has its ark.
    Returns the number of entries. Paths in the scp are absolute, so that a data dir can be used from anywhere.
    """
    lines = []
    place = Path(ark).resolve()
    with replace_file(ark, "wb") as file:
        for key, pieces in entries:
            file.write(f"{key} ".encode())
            lines.append(f"{key} {place}:{file.tell()}")
            file.writelines(pieces)
    write_lines(scp, lines)
    return len(lines)


def follow_ark(ark: str | Path, scp: str | Path) -> None:
    """Rewrite ``scp``, of `write_entries`, if it was moved or copied together with its ``ark``."""
    places = read_table(scp)
    there = {key: f"{Path(ark).resolve()}:{place.rpartition(':')[2]}" for key, place in places.items()}
    if there != places:
        write_table(scp, there)


def _plain(array: np.ndarray) -> tuple[bytes, memoryview]:
    sizes = b"".join(b"\4" + struct.pack("<i", size) for size in array.shape)
    kind = {1: b"FV ", 2: b"FM "}[array.ndim]
    return b"\0B" + kind + sizes, memoryview(np.ascontiguousarray(array)).cast("B") if array.size else memoryview(b"")


def _load_text(path: str, offset: int) -> np.ndarray:
    """A text entry. Nothing else may reach kaldiio: it unpickles what says that it is a pickle."""
    with open(path, "rb") as file:
        file.seek(offset)
        head = file.read(8)
        file.seek(offset)
        if not head.lstrip().startswith(b"["):
            raise ValueError(f"an entry cannot begin with {head!r}")
        return read_kaldi(file)


class ArkReader:
    """Reads matrices and vectors, or only some rows of them, by their scp value ``path.ark:offset``.

    Plain float32 and float64 entries are sliced in place; compressed and text matrices are loaded whole. Pipes
    and other kinds of entries are refused: a swapped data dir must not run code.
    """

    def __init__(self):
        self._files = OpenFiles()

    def read(self, place: str, start: int = 0, stop: int | None = None, key: str = "") -> np.ndarray:
        """Rows ``start:stop`` of the entry as float32 (a copy). Raises InputError that names key and ark."""
        path, offset = split_place(place, key)
        try:
            array = self._slice(path, offset, start, stop)
            if array is None:
                array = _load_text(path, offset)[start:stop]
        except FileNotFoundError:
            raise InputError(f"{key or place}: no such ark", path) from None
        except (OSError, ValueError, IndexError, AssertionError, RuntimeError, MemoryError, struct.error) as error:
            raise InputError(
                f"{key or place}: truncated or not a Kaldi matrix at byte {offset}: {error}", path
            ) from None
        return np.asarray(array, dtype=np.float32)

    def _slice(self, path: str, offset: int, start: int, stop: int | None) -> np.ndarray | None:
        head = self._files.read(path, offset, 32)
        if head[:4] == b"\0BCM":
            return compressed.unpack(head, partial(self._numbers, path, offset))[start:stop]
        kind = {b"F": np.dtype("<f4"), b"D": np.dtype("<f8")}.get(head[2:3])
        if head[:2] != b"\0B" or kind is None or head[3:5] not in (b"M ", b"V "):
            return None
        rows = int.from_bytes(head[6:10], "little", signed=True)
        matrix = head[3:4] == b"M"
        columns = int.from_bytes(head[11:15], "little", signed=True) if matrix else 1
        first = offset + (15 if matrix else 10)
        if head[5:6] != b"\4" or (matrix and head[10:11] != b"\4") or rows < 0 or columns < 0:
            raise ValueError(f"no sizes in {head!r}")
        if first + rows * columns * kind.itemsize > self._files.size(path):
            raise ValueError(f"{rows} x {columns} values announced, file ends before")
        start, stop, _ = slice(start, stop).indices(rows)
        count = max(0, stop - start)
        values = self._files.array(path, first + start * columns * kind.itemsize, count * columns, kind)
        return values.reshape(count, columns) if matrix else values

    def _numbers(self, path: str, offset: int, position: int, count: int, kind: str) -> np.ndarray:
        return self._files.array(path, offset + position, count, kind)
