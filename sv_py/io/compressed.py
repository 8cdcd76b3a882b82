"""Kaldi's compressed matrices, written as by copy-feats --compress=true, and read.

Of a matrix of more than 8 rows (`CM`) a value is a byte, which counts along three straight lines between the quantiles
0, 1/4, 3/4 and 1 of its column. Otherwise it is two bytes (`CM2`) or one (`CM3`) between the matrix's extremes.
"""

import struct
from collections.abc import Callable

import numpy as np

_HEAD = struct.Struct("<ffii")  # least value, range, rows, columns
_STEPS = np.array([64, 128, 63], np.float32).reshape(3, 1, 1)  # of the three lines
_FIRST = np.array([0, 64, 192], np.float32).reshape(3, 1, 1)  # where they begin
_UNIT = np.float32(1 / 65535)
_HALF = np.float64(0.5)  # Kaldi adds it in double precision: the bytes are the same


def pack(array: np.ndarray) -> tuple[bytes, ...]:
    """The pieces of the entry that holds a float32 matrix (T, F) of finite values, T and F above 0."""
    least, most = array.min(), array.max()
    span = most - least if most > least else 1 + abs(least)
    rows, columns = array.shape
    head = _HEAD.pack(least, span, rows, columns)
    if rows <= 8:
        return b"\0BCM2 ", head, _to_uint16(array, least, span).tobytes()
    quarter = rows // 4
    ranks = [0, quarter, 3 * quarter, rows - 1]
    quantiles = _to_uint16(np.partition(array, ranks, axis=0)[ranks], least, span).astype(np.int32)
    quantiles[0] = np.minimum(quantiles[0], 65532)
    for k in (1, 2, 3):  # no line may be level
        quantiles[k] = np.clip(quantiles[k], quantiles[k - 1] + 1, 65532 + k)
    begin, rise = _lines(quantiles, least, span)
    codes = np.floor(((array.T - begin) / rise).clip(0, 1) * _STEPS + _HALF).sum(axis=0)
    return b"\0BCM ", head, quantiles.T.astype("<u2").tobytes(), codes.astype(np.uint8).tobytes()


def unpack(head: bytes, read: Callable[[int, int, str], np.ndarray]) -> np.ndarray:
    """The matrix (T, F), float32, of an entry that begins with ``head``, 32 bytes or all that are there.

    ``read(position, count, dtype)`` gives numbers of the entry. Raises ValueError or struct.error for anything else.
    """
    kind = head[2:].split(b" ", 1)[0]
    position = 3 + len(kind) + _HEAD.size
    least, span, rows, columns = _HEAD.unpack_from(head, 3 + len(kind))
    if rows < 0 or columns < 0:
        raise ValueError(f"no sizes in {head!r}")
    if kind in (b"CM2", b"CM3"):
        number, steps = ("<u2", 65535) if kind == b"CM2" else ("u1", 255)
        codes = read(position, rows * columns, number).reshape(rows, columns)
        return np.float32(least) + np.float32(span / steps) * codes.astype(np.float32)
    if kind != b"CM":
        raise ValueError(f"an entry cannot begin with {head[:8]!r}")
    quantiles = read(position, 4 * columns, "<u2").reshape(columns, 4).T
    begin, rise = _lines(quantiles, least, span)
    codes = read(position + 8 * columns, rows * columns, "u1").reshape(columns, rows)
    shares = (codes - _FIRST).clip(0, _STEPS) / _STEPS
    return np.ascontiguousarray((begin[0] + (shares * rise).sum(axis=0)).T)


def _to_uint16(values: np.ndarray, least: np.float32, span: np.float32) -> np.ndarray:
    return (((values - least) / span).clip(0, 1) * np.float32(65535) + np.float64(0.499)).astype("<u2")


def _lines(quantiles: np.ndarray, least: float, span: float) -> tuple[np.ndarray, np.ndarray]:
    """Where the three lines of each column begin and how far they rise, (3, F, 1) each, of quantiles (4, F)."""
    values = np.float32(least) + np.float32(span) * _UNIT * quantiles.astype(np.float32)[:, :, None]
    return values[:3], np.diff(values, axis=0)
